"""A finder at work on a text that comes in pieces: what the whole text would give, as early as it is certain."""

from __future__ import annotations

from gemstead.guardrails.base import LEFT_CONTEXT_CHARS, Finder, Finding, Found, Replace
from gemstead.guardrails.fold import fold


class SpanScreen:
    """Implements `base.Screen`. It holds back no more than its finder leaves undecided, and copies that per piece.

    Whatever the cuts, `findings` and the joined output are those of the whole text: the finder is asked about decided
    places only, once each and in order, with the same context before them.
    """

    def __init__(self, guard: str, finder: Finder, replace: Replace) -> None:
        self.findings: list[Finding] = []
        self._guard = guard
        self._finder = finder
        self._replace = replace
        self._held = ""
        self._left = ""
        self._offset = 0
        """Characters of the passage before what is held."""

    def feed(self, text: str) -> str:
        self._held += text
        return self._advance(is_last=False)

    def close(self) -> str:
        return self._advance(is_last=True)

    def _advance(self, *, is_last: bool) -> str:
        folded = fold(self._held)
        text, start = self._left + folded.text, len(self._left)
        end = len(text) if is_last else self._finder.decided(text, start)
        out: list[str] = []
        given, place = 0, start
        while place < end and (found := self._finder.next(text, place, end)) is not None:
            begin, after = folded.begin(found.start - start), folded.end(found.end - start)
            out += (self._held[given:begin], self._note(found, begin, after))
            given, place = after, found.end
        done = max(end, place)
        rest = len(self._held) if is_last else max(given, folded.begin(done - start))
        out.append(self._held[given:rest])
        self._left = text[max(0, done - LEFT_CONTEXT_CHARS) : done]
        self._held = self._held[rest:]
        self._offset += rest
        return "".join(out)

    def _note(self, found: Found, begin: int, after: int) -> str:
        self.findings.append(Finding(self._guard, found.kind, self._offset + begin, self._offset + after))
        return self._replace(found, self._held[begin:after])
