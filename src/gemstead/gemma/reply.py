"""What a Gemma 4 model writes, read piece by piece into events: its thinking, its text, its tool calls.

    <|channel>thought\\n ... \\n<channel|>text<|tool_call>call:name{...}<tool_call|><|tool_response>

Source: the 2026-07-09 chat template; llama.cpp b11434 (common/parsers/gemma4.cpp) and its tests of Gemma 4 replies,
read November 2026, for what models write against the rules.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from gemstead.core.types import Event, ReasoningDelta, TextDelta, ToolCallDelta
from gemstead.gemma.calls import ParsedCall, read_call
from gemstead.gemma.markers import Marker, MarkerScanner
from gemstead.gemma.tokens import TOOL_CALL_CLOSE
from gemstead.gemma.values import MAX_ARGUMENTS_CHARS, ValueInvalid

LeakKind: TypeAlias = Literal[
    "stray_turn_marker",
    "stray_channel_marker",
    "unclosed_channel",
    "text_before_channel",
    "stray_call_marker",
    "unclosed_call",
    "repaired_call",
    "unparsed_call",
    "stray_response_marker",
    "stray_control_token",
    "text_after_end",
]

MAX_LEAD_CHARS = 16
"""So much of a first line of dashes is held back until it is clear that no channel follows it."""

MAX_CALL_CHARS = MAX_ARGUMENTS_CHARS
MAX_UNPARSED_CALLS = 8
MAX_UNPARSED_CHARS = 2000

_Mode: TypeAlias = Literal["text", "reasoning", "call", "ended"]


class ReplyParser:
    """Reads one reply. The same text gives the same events, deltas joined, and the same `leaks`, however it is cut.

    `is_in_reasoning`: the prompt has already opened the thought. `leaks` names each kind of broken rule once, in the
    order of its first appearance; a marker where it belongs is no leak. `unparsed_calls` keeps the raw text of calls
    that could not be read, at most MAX_UNPARSED_CALLS of MAX_UNPARSED_CHARS each.

    Markers never pass into the text. After the end of the turn (`<turn|>`, another's turn, `<|tool_response>`) nothing
    does. `unclosed_channel`, `unclosed_call` and, with it, `unparsed_call` are normal for a reply cut at its length.

    Held back are what may become a marker, dashes that begin the reply (MAX_LEAD_CHARS), the last newline of a thought,
    and a call until it is complete.

    Not promised: an answer that *talks* about these tokens loses them, as text cannot tell a token from its spelling;
    text given out before a channel opens stays given out; a call whose tokens the engine has swallowed is text.
    """

    def __init__(self, *, is_in_reasoning: bool = False) -> None:
        self.leaks: list[LeakKind] = []
        self.unparsed_calls: list[str] = []
        self._scanner = MarkerScanner()
        self._mode: _Mode = "reasoning" if is_in_reasoning else "text"
        self._events: list[Event] = []
        self._has_text = False
        self._has_reasoning = False
        self._has_output = False
        self._num_calls = 0
        self._lead = ""
        self._skips_blanks = is_in_reasoning
        self._newline = ""
        self._call = _CallText()

    def feed(self, text: str) -> list[Event]:
        """The events that are certain now."""
        if self._mode == "text" and self._has_text and not self._scanner.held and "<" not in text:
            return [TextDelta(text)] if text else []
        for marker, piece in self._scanner.feed(text):
            self._take(marker, piece)
        return self._drain()

    def close(self) -> list[Event]:
        """The reply is over; what was held back."""
        if self._mode == "call" and TOOL_CALL_CLOSE.startswith(self._scanner.held):
            self._scanner.held = ""
        for marker, piece in self._scanner.close():
            self._take(marker, piece)
        if self._mode == "call":
            self._leak("unclosed_call")
            self._end_call(is_whole=False)
        elif self._mode == "reasoning":
            self._leak("unclosed_channel")
        self._release_lead()
        return self._drain()

    def _take(self, marker: Marker | None, piece: str) -> None:
        if self._mode == "call":
            self._take_in_call(marker, piece)
        elif self._mode == "ended":
            if piece.strip() and marker not in ("turn_close", "other"):
                self._leak("text_after_end")
        elif marker is None:
            self._write(piece)
        else:
            self._mark(marker)

    def _take_in_call(self, marker: Marker | None, piece: str) -> None:
        if marker is None or marker == "quote" or self._call.is_in_string:
            self._call.add(marker, piece)
            if self._call.is_too_long:
                self._leak("unparsed_call")
        elif marker == "other":
            self._leak("stray_control_token")
        elif marker == "call_close":
            self._end_call(is_whole=True)
        else:
            self._leak("unclosed_call")
            self._end_call(is_whole=True)
            self._take(marker, piece)

    def _write(self, text: str) -> None:
        """Plain text, outside of calls."""
        if self._skips_blanks:
            text = text.lstrip()
            if not text:
                return
            self._skips_blanks = False
        if self._mode == "reasoning":
            self._write_reasoning(text)
        elif self._has_text:
            self._events.append(TextDelta(text))
        else:
            self._lead += text
            if len(self._lead) > MAX_LEAD_CHARS or self._lead.strip(" \t\r\n-"):
                self._release_lead()

    def _write_reasoning(self, text: str) -> None:
        """The newline before the closing token is the template's, so one at the end waits."""
        self._has_reasoning = self._has_output = True
        text = self._newline + text
        self._newline = "\n" if text.endswith("\n") else ""
        if text := text.removesuffix("\n"):
            self._events.append(ReasoningDelta(text))

    def _release_lead(self) -> None:
        if self._lead:
            self._events.append(TextDelta(self._lead))
            self._lead = ""
            self._has_text = self._has_output = True

    def _mark(self, marker: Marker) -> None:
        """A marker outside of calls."""
        self._settle_lead(marker)
        match marker:
            case "channel_open":
                self._open_channel()
            case "channel_close" if self._mode == "reasoning":
                self._to_text()
            case "channel_close":
                self._leak("stray_channel_marker")
            case "call_open":
                self._mode = "call"
                self._call = _CallText()
            case "call_close":
                self._leak("stray_call_marker")
            case "response_open" | "response_close":
                self._mark_response(marker)
            case "quote" | "other":
                self._leak("stray_control_token")
            case _:
                self._mark_turn(marker)

    def _settle_lead(self, marker: Marker) -> None:
        """Blanks before a marker are layout; dashes before a channel are a known slip of models and engines."""
        is_blank = not self._lead.strip()
        if self._lead and marker == "channel_open" and not is_blank:
            self._leak("text_before_channel")
        if is_blank or marker == "channel_open":
            self._lead = ""
        self._release_lead()

    def _open_channel(self) -> None:
        if self._mode == "reasoning":
            self._leak("stray_channel_marker")
            return
        self._mode = "reasoning"
        self._skips_blanks = True
        self._newline = "\n" if self._has_reasoning else ""

    def _to_text(self) -> None:
        """Blanks that open the answer after a thought or a call are layout; later ones are the model's."""
        self._mode = "text"
        self._skips_blanks = not self._has_text

    def _mark_response(self, marker: Marker) -> None:
        """After its calls the model waits for results; what would follow is a result it made up."""
        is_waiting = self._num_calls or self.unparsed_calls
        if marker == "response_close" or not is_waiting:
            self._leak("stray_response_marker")
        if marker == "response_open":
            self._end_turn()

    def _mark_turn(self, marker: Marker) -> None:
        """Before anything was said, these are an echo of the prompt's end."""
        self._leak("stray_turn_marker")
        if marker == "other_turn" or (marker == "turn_close" and self._has_output):
            self._end_turn()

    def _end_turn(self) -> None:
        if self._mode == "reasoning":
            self._leak("unclosed_channel")
        self._mode = "ended"

    def _end_call(self, *, is_whole: bool) -> None:
        self._has_output = True
        self._to_text()
        try:
            call = self._call.read(is_whole=is_whole)
        except ValueInvalid:
            self._leak("unparsed_call")
            if len(self.unparsed_calls) < MAX_UNPARSED_CALLS:
                self.unparsed_calls.append(self._call.text[:MAX_UNPARSED_CHARS])
            return
        if call.is_repaired:
            self._leak("repaired_call")
        index = self._num_calls
        self._num_calls += 1
        self._events.append(ToolCallDelta(index, f"call_{index}", call.name, call.arguments))

    def _leak(self, kind: LeakKind) -> None:
        if kind not in self.leaks:
            self.leaks.append(kind)

    def _drain(self) -> list[Event]:
        events, self._events = self._events, []
        return events


class _CallText:
    """What stands between a call's tokens, as far as MAX_CALL_CHARS."""

    def __init__(self) -> None:
        self.is_in_string = False
        self.is_too_long = False
        self._pieces: list[str] = []
        self._room = MAX_CALL_CHARS

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def add(self, marker: Marker | None, piece: str) -> None:
        if marker == "quote":
            self.is_in_string = not self.is_in_string
        self.is_too_long = self.is_too_long or len(piece) > self._room
        if self._room:
            self._pieces.append(piece[: self._room])
        self._room = max(0, self._room - len(piece))

    def read(self, *, is_whole: bool) -> ParsedCall:
        """Raises: ValueInvalid."""
        if self.is_too_long:
            raise ValueInvalid(f"a call of more than {MAX_CALL_CHARS} characters")
        return read_call(self.text, is_whole=is_whole)
