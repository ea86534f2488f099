"""Control tokens of any model taken out of its text, whatever the cut between the pieces."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec


class TokenSet(msgspec.Struct, frozen=True):
    """Texts to look for. `starts` finds where one may begin, `prefixes` are all that may still become one."""

    pattern: re.Pattern[str]
    starts: re.Pattern[str]
    prefixes: frozenset[str]
    longest: int


@lru_cache(maxsize=16)
def token_set(control_tokens: frozenset[str]) -> TokenSet | None:
    """Those of `control_tokens` that nobody writes as a word of the answer; None if there are none.

    A text cannot tell a token from its spelling, and some tokens are spelled like the placeholders and tags that people
    write every day: `<filename>`, `<s>`, `[INST]`. A bar, or an `_of_`, is no accident.
    """
    marks = sorted((token for token in control_tokens if "|" in token or "_of_" in token), key=len, reverse=True)
    if not marks:
        return None
    return TokenSet(
        pattern=re.compile("|".join(map(re.escape, marks))),
        starts=re.compile("|".join(re.escape(start) for start in sorted({mark[0] for mark in marks}))),
        prefixes=frozenset(mark[:length] for mark in marks for length in range(1, len(mark))),
        longest=len(marks[0]),
    )


class TokenFilter:
    """Text without the tokens of a set. It holds back what may still become one. `has_cut`: one was found."""

    def __init__(self, tokens: TokenSet | None) -> None:
        self.has_cut = False
        self._tokens = tokens
        self._held = ""

    def feed(self, text: str) -> str:
        tokens = self._tokens
        if tokens is None or not (self._held or tokens.starts.search(text)):
            return text
        text = self._held + text
        end = _held_from(text, tokens)
        self._held = text[end:]
        return self._without(text[:end], tokens)

    def close(self) -> str:
        """Nothing follows: what was held back is what it looks like."""
        rest, self._held = self._held, ""
        return rest

    def _without(self, text: str, tokens: TokenSet) -> str:
        text, num_cut = tokens.pattern.subn("", text)
        self.has_cut = self.has_cut or num_cut > 0
        return text


def _held_from(text: str, tokens: TokenSet) -> int:
    """Where the longest end of `text` begins that may still become a token."""
    for start in range(max(0, len(text) - tokens.longest + 1), len(text)):
        if text[start:] in tokens.prefixes:
            return start
    return len(text)
