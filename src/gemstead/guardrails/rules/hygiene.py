"""Hidden characters: what a reader does not see and a model does.

Detects: tag characters (a whole message can be written in them), variation selectors in rows, bidirectional
    overrides, and invisible operators. Joiners, soft hyphens and single variation selectors are part of ordinary text
    and stay.
Input: the text as it is written, not folded.
Verdict: every one counts; masking leaves it out.
Never filled: -
Known misses: text in white on white, in pictures, in tiny letters: a layout's business, not a character's.
Source: Unicode Technical Standard 39; Unicode 16, chapter 23 (read 2026-11).
"""

from __future__ import annotations

import re

from gemstead.guardrails.base import Finding, Found, Guard, Passage, Replace, Screen

_HIDDEN = re.compile(
    r"(?P<tag_characters>[\U000e0000-\U000e007f]+)|(?P<bidi_override>[\u202a-\u202e\u2066-\u2069])"
    r"|(?P<invisible_operator>[\u2061-\u2064\u206a-\u206f])|(?P<hidden_selectors>[\U000e0100-\U000e01ef]+|[\ufe00-\ufe0e]{2,})"
)
_MAY_GO_ON = re.compile(r"[\U000e0000-\U000e007f\U000e0100-\U000e01ef\ufe00-\ufe0e]")
_FLAG = "\U0001f3f4"
"""A black flag: the tag characters behind it spell a region, and three of those are in use."""
_REGIONS = frozenset({"gbeng", "gbsct", "gbwls"})
_MAX_HELD_CHARS = 4096


class _Screen:
    """Implements `base.Screen`."""

    def __init__(self, replace: Replace) -> None:
        self.findings: list[Finding] = []
        self._replace = replace
        self._held = ""
        self._offset = 0

    def feed(self, text: str) -> str:
        if text.isascii() and not self._held:
            self._offset += len(text)
            return text
        self._held += text
        cut = len(self._held)
        earliest = max(0, cut - _MAX_HELD_CHARS)
        while cut > earliest and _MAY_GO_ON.match(self._held, cut - 1):
            cut -= 1
        # A flag waits for the tags behind it.
        cut -= self._held.endswith(_FLAG, 0, cut)
        return self._give(cut)

    def close(self) -> str:
        return self._give(len(self._held))

    def _give(self, cut: int) -> str:
        ready, self._held = self._held[:cut], self._held[cut:]
        given = _HIDDEN.sub(self._note, ready)
        self._offset += len(ready)
        return given

    def _note(self, match: re.Match[str]) -> str:
        kind = match.lastgroup or ""
        if kind == "tag_characters" and _is_flag(match):
            return match[0]
        start, end = match.span()
        begin = self._offset + start
        last = self.findings[-1] if self.findings else None
        if last is not None and (last.kind, last.end) == (kind, begin):
            begin = self.findings.pop().start
        self.findings.append(Finding("hygiene", kind, begin, self._offset + end))
        return self._replace(Found(start, end, kind, replacement=""), match[0])


def _is_flag(match: re.Match[str]) -> bool:
    spelled = "".join(chr(ord(char) - 0xE0000) for char in match[0])
    return match.string.endswith(_FLAG, 0, match.start()) and spelled.rstrip("\x7f") in _REGIONS


def _opens(passage: Passage, replace: Replace) -> Screen:  # noqa: ARG001 (one signature)
    return _Screen(replace)


GUARD = Guard(
    name="hygiene",
    detects="characters that a reader does not see and a model does",
    kinds=("tag_characters", "bidi_override", "invisible_operator", "hidden_selectors"),
    stages=frozenset({"input", "output", "tool_call", "tool_result"}),
    opens=_opens,
    default="mask",
    order=10,
    is_blocking=False,
    measured_on="ordinary",
)
