"""Text that no model means to write: unused tokens, and one passage over and over."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

GarbageKind: TypeAlias = Literal["unused_run", "repetition_loop"]

UNUSED_IN_A_ROW = 3
MAX_PERIOD_CHARS = 400
LOOP_CHARS = 4096
MAX_SHORT_PERIOD_CHARS = 4
SHORT_PERIOD_REPEATS = 200
STEP_CHARS = 256
"""How often the end of the text is looked at: at each multiple of so many characters, whatever the chunks are."""


class GarbageWatch:
    """Sees one reply's text as it comes and says when it has become garbage.

    Detects:
      unused_run       3 tokens `<unusedNN>` in a row, or one before anything else (blanks do not count)
      repetition_loop  the text ends in one passage of at most 400 characters, repeated exactly over the last 4096;
                       or in one of at most 4 characters, a letter among them, repeated 200 times
    Cost: constant per character, under 1 us for a token's text; it keeps less than 5,000 characters.
    Known misses: passages that change a little each time (a counter, other words), longer ones, a loop that the model
    leaves by itself, two `<unusedNN>` amid text, a reply shorter than 256 characters.
    Known false alarms: 200 times the same letter because somebody asked for it, or in the base64 of zeros; 4096
    characters of one line, such as a table of equal rows; an answer that begins with the name of an unused token.
    """

    def __init__(self) -> None:
        self._unused = _UnusedRun()
        self._fresh = ""
        self._tail = ""
        self._kind: GarbageKind | None = None

    def feed(self, text: str) -> GarbageKind | None:
        """What the text so far is, once it is garbage; stays so."""
        at = 0
        while self._kind is None and at < len(text):
            end = at + STEP_CHARS - len(self._fresh)
            self._kind = self._take(text[at:end])
            at = end
        return self._kind

    def _take(self, piece: str) -> GarbageKind | None:
        """`piece` reaches to the end of its step at most."""
        if self._unused.is_found_in(piece):
            return "unused_run"
        self._fresh += piece
        if len(self._fresh) < STEP_CHARS:
            return None
        self._tail = (self._tail + self._fresh)[-LOOP_CHARS:]
        self._fresh = ""
        is_loop = _ends_in_short_loop(self._tail) or _ends_in_long_loop(self._tail)
        return "repetition_loop" if is_loop else None


def _ends_in_short_loop(tail: str) -> bool:
    """Rules, spaces, dots and zeros fill a line or a table: only letters count."""
    for period in range(1, MAX_SHORT_PERIOD_CHARS + 1):
        if tail[-1:] == tail[-1 - period : -period]:
            passage = tail[-period:]
            if tail.endswith(passage * SHORT_PERIOD_REPEATS) and any(map(str.isalpha, passage)):
                return True
    return False


def _ends_in_long_loop(tail: str) -> bool:
    """Whether all of `tail` has one period.

    The last MAX_PERIOD_CHARS hold a whole passage, so where they stand the time before is one period away: a nearer
    place would make that distance a period itself.
    """
    if len(tail) < LOOP_CHARS:
        return False
    suffix = tail[-MAX_PERIOD_CHARS:]
    before = tail.rfind(suffix, len(tail) - 2 * MAX_PERIOD_CHARS, len(tail) - 1)
    period = len(tail) - MAX_PERIOD_CHARS - before
    return before >= 0 and tail[period:] == tail[:-period]


class _UnusedRun:
    """Counts `<unusedNN>` in a row, however they are cut."""

    _TOKEN = re.compile(r"<unused[0-9]{1,4}>")
    _BEGUN = re.compile(r"<(?:u(?:n(?:u(?:s(?:e(?:d[0-9]{0,4})?)?)?)?)?)?")
    _BLANKS = re.compile(r"\s*")

    def __init__(self) -> None:
        self._num_in_a_row = 0
        self._has_text = False
        self._held = ""

    def is_found_in(self, text: str) -> bool:
        if self._has_text and not self._held and not self._num_in_a_row and "<" not in text:
            return False
        text = self._held + text
        self._held = ""
        at = 0
        while (at := self._skip_blanks(text, at)) < len(text):
            if token := self._TOKEN.match(text, at):
                self._num_in_a_row += 1
                if self._num_in_a_row >= UNUSED_IN_A_ROW or not self._has_text:
                    return True
                at = token.end()
            elif self._BEGUN.fullmatch(text, at):
                self._held = text[at:]
                return False
            else:
                at = self._skip_text(text, at)
        return False

    def _skip_blanks(self, text: str, at: int) -> int:
        blanks = self._BLANKS.match(text, at)
        return blanks.end() if blanks else at

    def _skip_text(self, text: str, at: int) -> int:
        self._has_text = True
        self._num_in_a_row = 0
        following = text.find("<", at + 1)
        return len(text) if following < 0 else following
