"""Links to hosts that are not on the allow-list. Off until a policy names the hosts.

Detects: addresses with http, https, ftp or no scheme but `//`, in Markdown, in angle brackets or bare.
Input: what a model says, and the arguments of its calls.
Verdict: every address whose host is neither on the list nor below one that is.
Never filled: what the address leads to.
Known misses: hosts without a scheme (`example.com/x`), other schemes, an allowed host that passes on.
Source: RFC 3986.
"""

from __future__ import annotations

import re

from gemstead.guardrails.base import Found, Guard, Passage, Replace, Screen
from gemstead.guardrails.detect.addresses import host_of, is_allowed
from gemstead.guardrails.detect.pieces import decided_by_pieces
from gemstead.guardrails.span_screen import SpanScreen

_MAX_URL_CHARS = 2048
_URL = re.compile(
    rf"(?:(?<![A-Za-z0-9])(?:https?|ftp):|(?<=[(<\"' ]))//[^\s<>\"'`)\]}}|\\]{{1,{_MAX_URL_CHARS}}}", re.IGNORECASE
)
_HARD = frozenset("\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029<>\"'`)]}|\\")


class _Links:
    """Implements `base.Finder`, without a state."""

    def __init__(self, domains: tuple[str, ...]) -> None:
        self._domains = domains

    def next(self, text: str, start: int, end: int) -> Found | None:
        place = start
        while (match := _URL.search(text, place)) is not None and match.start() < end:
            host = host_of(match[0])
            if not is_allowed(host, self._domains):
                return Found(match.start(), match.end(), "link", f"[link not shown: {host or 'no host'}]")
            place = match.end()
        return None

    def decided(self, text: str, start: int) -> int:
        return decided_by_pieces(text, start, max_piece=_MAX_URL_CHARS + 16, max_joined=1, hard=_HARD)


def _opens(passage: Passage, replace: Replace) -> Screen:
    return SpanScreen("links", _Links(passage.domains), replace)


GUARD = Guard(
    name="links",
    detects="links to hosts that are not on the allow-list",
    kinds=("link",),
    stages=frozenset({"output", "tool_call"}),
    opens=_opens,
    default="off",
    order=61,
    is_blocking=False,
    measured_on="markup",
)
