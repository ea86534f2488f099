"""Gemma 4's control tokens found in text that arrives in pieces.

A token is sought by its spelling, because text is all that an engine gives. `<unk>`, `<mask>` and `<unusedNN>` are
left alone: the first two are ordinary words of programs and papers, the last is the business of `gemma/garbage.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from gemstead.gemma import tokens

Marker: TypeAlias = Literal[
    "turn_open",
    "model_turn",
    "other_turn",
    "turn_close",
    "channel_open",
    "channel_close",
    "call_open",
    "call_close",
    "response_open",
    "response_close",
    "quote",
    "other",
]

_OTHER_ROLES = ("user", "system", "developer", "tool")

MARKERS: dict[str, Marker] = {
    tokens.TURN_OPEN: "turn_open",
    **dict.fromkeys((f"{tokens.TURN_OPEN}model", f"{tokens.TURN_OPEN}model\n"), "model_turn"),
    **{f"{tokens.TURN_OPEN}{role}{end}": "other_turn" for role in _OTHER_ROLES for end in ("", "\n")},
    tokens.TURN_CLOSE: "turn_close",
    tokens.CHANNEL_OPEN: "channel_open",
    tokens.THOUGHT_OPEN.rstrip(): "channel_open",
    tokens.CHANNEL_CLOSE: "channel_close",
    tokens.TOOL_CALL_OPEN: "call_open",
    tokens.TOOL_CALL_CLOSE: "call_close",
    tokens.TOOL_RESPONSE_OPEN: "response_open",
    tokens.TOOL_RESPONSE_CLOSE: "response_close",
    tokens.QUOTE: "quote",
    **dict.fromkeys(
        (
            *(tokens.PAD, tokens.EOS, tokens.BOS, tokens.THINK, tokens.TOOL_OPEN, tokens.TOOL_CLOSE),
            *(tokens.IMAGE, tokens.IMAGE_OPEN, tokens.IMAGE_CLOSE),
            *(tokens.AUDIO, tokens.AUDIO_OPEN, tokens.AUDIO_CLOSE, tokens.VIDEO),
        ),
        "other",
    ),
}

_LONGEST = max(map(len, MARKERS))
_PREFIXES = frozenset(marker[:length] for marker in MARKERS for length in range(1, len(marker)))
MARKER = re.compile("|".join(re.escape(marker) for marker in sorted(MARKERS, key=len, reverse=True)))
"""One marker, the longest that stands there."""


class MarkerScanner:
    """Cuts text into plain pieces and markers, the same whatever the cut between the chunks.

    It holds back what may still become a marker, or a longer one: fewer characters than the longest has.
    """

    def __init__(self) -> None:
        self.held = ""

    def feed(self, text: str) -> Iterable[tuple[Marker | None, str]]:
        """(None, plain text) or (marker, its spelling), in order."""
        if not self.held and "<" not in text:
            return ((None, text),) if text else ()
        text = self.held + text
        end = _held_from(text)
        self.held = text[end:]
        return _pieces(text[:end])

    def close(self) -> Iterable[tuple[Marker | None, str]]:
        """Nothing follows: what was held back is what it looks like."""
        rest, self.held = self.held, ""
        return _pieces(rest)


def _held_from(text: str) -> int:
    """The index of the last `<` if a marker may still grow from there, else the end: no marker has a second `<`."""
    start = text.rfind("<", max(0, len(text) - _LONGEST + 1))
    return start if start >= 0 and text[start:] in _PREFIXES else len(text)


def _pieces(text: str) -> Iterator[tuple[Marker | None, str]]:
    start = 0
    for found in MARKER.finditer(text):
        if found.start() > start:
            yield None, text[start : found.start()]
        yield MARKERS[found[0]], found[0]
        start = found.end()
    if start < len(text):
        yield None, text[start:]
