"""Canaries: texts that the operator put into the system prompt and that no answer may have in it.

Detects: any of the passage's canaries, whatever its case, also with invisible characters or look-alike letters in it.
Input: what a model says: answers, thoughts, arguments of its calls.
Verdict: one that is there counts: nobody writes it by accident.
Never filled: a system prompt that is told in other words, translated or encoded.
Known misses: as above; a canary that is spelled with blanks between its letters.
Source: -
"""

from __future__ import annotations

from gemstead.guardrails.base import Found, Guard, Passage, Replace, Screen
from gemstead.guardrails.fold import fold, lower_alike
from gemstead.guardrails.span_screen import SpanScreen

MIN_CANARY_CHARS = 8
MAX_CANARY_CHARS = 200


class _Canaries:
    """Implements `base.Finder`. What it remembers of a text only saves time."""

    def __init__(self, canaries: tuple[str, ...]) -> None:
        folded = (fold(canary).text.lower() for canary in canaries)
        self._canaries = tuple(text for text in folded if MIN_CANARY_CHARS <= len(text) <= MAX_CANARY_CHARS)
        self._longest = max(map(len, self._canaries), default=0)
        self._text = self._lower = ""

    def next(self, text: str, start: int, end: int) -> Found | None:
        if not self._canaries:
            return None
        if self._text is not text:
            self._text, self._lower = text, lower_alike(text)
        lower = self._lower
        places = [(place, canary) for canary in self._canaries if 0 <= (place := lower.find(canary, start)) < end]
        if not places:
            return None
        place, canary = min(places)
        return Found(place, place + len(canary), "canary")

    def decided(self, text: str, start: int) -> int:
        """All but the longest end of the text that is the beginning of a canary."""
        tail = lower_alike(text[max(start, len(text) - self._longest) :]) if self._longest else ""
        for place in range(len(tail)):
            if any(canary.startswith(tail[place:]) for canary in self._canaries):
                return len(text) - len(tail) + place
        return max(start, len(text))


def _opens(passage: Passage, replace: Replace) -> Screen:
    return SpanScreen("canary", _Canaries(passage.secrets), replace)


GUARD = Guard(
    name="canary",
    detects="the operator's canaries in what a model says",
    kinds=("canary",),
    stages=frozenset({"output", "tool_call"}),
    opens=_opens,
    default="refuse",
    order=20,
    is_blocking=False,
    measured_on="ordinary",
)
