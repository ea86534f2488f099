"""What a model writes has no control tokens in it, no call that nobody read, no garbage and no loop."""

from __future__ import annotations

from typing import Literal, TypeAlias

from gemstead.core.errors import ReplyBroken
from gemstead.core.facts import ModelFacts
from gemstead.core.types import ChatRequest, Event, FinishReason, ReasoningDelta, TextDelta, ToolCallDelta, Warning
from gemstead.gemma.garbage import GarbageKind, GarbageWatch
from gemstead.gemma.markers import MARKER
from gemstead.gemma.reply import ReplyParser
from gemstead.pipeline.catches import Repairs
from gemstead.pipeline.token_filter import TokenFilter, token_set

Stream: TypeAlias = Literal["text", "reasoning", "arguments"]

LOOP_SHOWN_CHARS = 500
"""Of the piece of text in which a loop was seen; a piece may be all that came in one read."""

_CALL_LEAKS = frozenset({"unclosed_call", "repaired_call", "unparsed_call"})
"""What the parser says of calls; they are told by themselves."""

_GARBAGE: dict[GarbageKind, tuple[str, str]] = {
    "unused_run": ("the engine writes unused tokens: its computation is broken", "gemstead engine show"),
    "repetition_loop": ("the model repeats itself without end", "ask again, or lower max_tokens"),
}


class TextCheck:
    """One reply's text and reasoning, each in its order.

    A Gemma 4 model's own markers have a meaning that an engine's parser may miss: thoughts and calls are read out of
    the text, other markers are left out. Of other models the control tokens are left out. A raw prompt's continuation
    is its caller's business: there only garbage and loops are looked for.
    """

    def __init__(self, request: ChatRequest, facts: ModelFacts, repairs: Repairs) -> None:
        is_raw = request.prompt is not None
        self._is_gemma = facts.template is not None and not is_raw
        self._tokens = None if is_raw or self._is_gemma else token_set(facts.control_tokens)
        self._repairs = repairs
        self._text = self._new_reader(TextDelta)
        self._thought: _GemmaReader | _PlainReader | None = None
        self._watches: dict[Stream, GarbageWatch] = {}
        self._looping: tuple[Stream | None, str] = (None, "")

    def feed(self, text: str) -> list[Event]:
        """Raises: ReplyBroken for garbage, a loop, or a call that cannot be read."""
        self.watch("text", text)
        return self._read_text(text)

    def feed_reasoning(self, text: str) -> list[Event]:
        """Raises: as `feed`."""
        self.watch("reasoning", text)
        return self._read_thought(text)

    def watch(self, stream: Stream, text: str) -> None:
        """Raises: ReplyBroken if what came in this stream has become garbage or a loop."""
        watch = self._watches.get(stream)
        if watch is None:
            watch = self._watches[stream] = GarbageWatch()
        if (found := watch.feed(text)) is not None:
            self._looping = (stream, text[:LOOP_SHOWN_CHARS])
            what, hint = _GARBAGE[found]
            raise ReplyBroken(found, what, hint=hint)

    def close(self, reason: FinishReason) -> list[Event]:
        """The reply is over; what was held back. A call that was cut with the reply is only warned about.

        After a loop, the beginning of the piece that showed it is given too: it may be all there was.
        """
        stream, text = self._looping
        begun = self._read_text(text) if stream == "text" else self._read_thought(text) if stream == "reasoning" else []
        return [*begun, *self._end_thought(reason), *self._text.close(reason)]

    def find_leak(self, text: str) -> str | None:
        """A control token of this model in a text that must have none."""
        pattern = MARKER if self._is_gemma else self._tokens.pattern if self._tokens else None
        found = pattern.search(text) if pattern else None
        return found[0] if found else None

    def _read_text(self, text: str) -> list[Event]:
        if self._thought is None:
            return self._text.feed(text)
        return [*self._end_thought("stop"), *self._text.feed(text)]

    def _read_thought(self, text: str) -> list[Event]:
        if self._thought is None:
            self._thought = self._new_reader(ReasoningDelta)
        return self._thought.feed(text)

    def _new_reader(self, own: type[TextDelta] | type[ReasoningDelta]) -> _GemmaReader | _PlainReader:
        if self._is_gemma:
            return _GemmaReader(own, self._repairs)
        return _PlainReader(own, TokenFilter(self._tokens), self._repairs)

    def _end_thought(self, reason: FinishReason) -> list[Event]:
        thought, self._thought = self._thought, None
        return thought.close(reason) if thought is not None else []


class _GemmaReader:
    """The parser's events, and what it says of them. `own` is the kind of text that the engine said it is."""

    def __init__(self, own: type[TextDelta] | type[ReasoningDelta], repairs: Repairs) -> None:
        self._own = own
        self._repairs = repairs
        self._parser = ReplyParser(is_in_reasoning=own is ReasoningDelta)
        self._num_leaks = 0

    def feed(self, text: str) -> list[Event]:
        events = self._parser.feed(text)
        if len(self._parser.leaks) == self._num_leaks and all(type(event) is self._own for event in events):
            return events
        if "unparsed_call" in self._parser.leaks:
            raise self._unparsed()
        return self._said(events, frozenset())

    def close(self, reason: FinishReason) -> list[Event]:
        events = self._parser.close()
        # The engine has swallowed the marker at the end of its thought, or the reply was cut inside it.
        is_expected = self._own is ReasoningDelta or reason == "length"
        if "unparsed_call" in self._parser.leaks:
            if reason != "length":
                raise self._unparsed()
            message = "a tool call was cut in the middle and is left out: ask for more max_tokens"
            events.append(Warning(code="call_cut", message=message, param="max_tokens"))
        return self._said(events, frozenset({"unclosed_channel"}) if is_expected else frozenset())

    def _said(self, events: list[Event], expected: frozenset[str]) -> list[Event]:
        """`events` behind the warnings about them."""
        self._num_leaks = len(self._parser.leaks)
        kinds = {type(event) for event in events}
        said: list[Event] = []
        if ToolCallDelta in kinds:
            message = "a tool call that the engine had left in the text was read"
            said += self._repairs.note("unparsed_call", message)
        is_moved = kinds - {self._own, ToolCallDelta, Warning}
        if is_moved or set(self._parser.leaks) - _CALL_LEAKS - expected:
            message = "control tokens were left out of the text, and what they mark went where it belongs"
            said += self._repairs.note("leaked_token", message)
        return said + events

    def _unparsed(self) -> ReplyBroken:
        raw = self._parser.unparsed_calls[0][:200] if self._parser.unparsed_calls else "it is too long"
        hint = "ask again, or serve a larger model"
        return ReplyBroken("unparsed_call", "a tool call cannot be read", why=raw, hint=hint)


class _PlainReader:
    """The text of any other model."""

    def __init__(
        self, own: type[TextDelta] | type[ReasoningDelta], token_filter: TokenFilter, repairs: Repairs
    ) -> None:
        self._own = own
        self._filter = token_filter
        self._repairs = repairs

    def feed(self, text: str) -> list[Event]:
        text = self._filter.feed(text)
        events: list[Event] = [self._own(text)] if text else []
        if self._filter.has_cut:
            return [*self._repairs.note("leaked_token", "control tokens were left out of the text"), *events]
        return events

    def close(self, reason: FinishReason) -> list[Event]:  # noqa: ARG002 (one signature)
        rest = self._filter.close()
        return [self._own(rest)] if rest else []
