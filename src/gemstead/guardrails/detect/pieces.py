"""Which part of a growing text is decided, for finders whose findings lie within pieces, or within numbers with blanks.

A piece is what has no blank and no hard mark in it. Prose is decided word by word; a number waits until what follows it
can no longer belong to it.
"""

from __future__ import annotations

HARD = frozenset('\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029,;"<>{}[]|\\`=!?&*~^#$')
"""Marks that no finding has in it, other than a blank."""

MAX_WORD_CHARS = 9
"""Of letters in a number with blanks: `NWBK`, `RSSMRA`; all in capitals."""


def decided_by_pieces(text: str, start: int, *, max_piece: int, max_joined: int, hard: frozenset[str] = HARD) -> int:
    """The place before which nothing to come can change anything; at least `start`.

    No finding has more than `max_piece` characters without a blank, nor `max_joined` with blanks; both with what it
    looks at behind it.
    """
    piece = _begin_of_piece(text, len(text), max(start, len(text) - max_piece), hard)
    earliest = max(start, len(text) - max_joined)
    run = piece
    while run > earliest and text[run - 1] == " ":
        before = _begin_of_piece(text, run - 1, earliest, hard)
        if before == run - 1 or not _may_join(text[before : run - 1]):
            break
        run = before
    return run


def _begin_of_piece(text: str, end: int, earliest: int, hard: frozenset[str]) -> int:
    while end > earliest and text[end - 1] != " " and text[end - 1] not in hard:
        end -= 1
    return end


def _may_join(piece: str) -> bool:
    """Whether a number with blanks may have `piece`, or its end, in it."""
    if any(char.isdigit() for char in piece):
        return True
    end = len(piece)
    while end and piece[end - 1].isalpha():
        end -= 1
    word = piece[end:]
    return len(word) <= MAX_WORD_CHARS and word.upper() == word
