"""Whose a call is: on a path that several dialects share, and in whose words an error on a path of nobody's is said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gemstead.api.call import Call
from gemstead.api.dialect import Dialect


def is_addressed_to(dialect: Dialect, call: Call) -> bool:
    """Whether the call carries the header that only clients of this dialect send."""
    return dialect.client_header is not None and call.header(dialect.client_header) is not None


def choose(dialects: Sequence[Dialect], call: Call) -> int:
    """Which of the dialects that serve a path the call is for: the one it names, else the one that asks for no name."""
    if len(dialects) == 1:
        return 0
    for index, dialect in enumerate(dialects):
        if is_addressed_to(dialect, call):
            return index
    return next((index for index, dialect in enumerate(dialects) if dialect.client_header is None), 0)


def owner_of(dialects: Iterable[Dialect], call: Call) -> Dialect:
    """The dialect the call names, else the one with the longest prefix of its path: one dialect's is the root."""
    claims = [
        ((is_addressed, len(dialect.path_prefix)), dialect)
        for dialect in dialects
        if (is_addressed := is_addressed_to(dialect, call)) or call.path.startswith(dialect.path_prefix)
    ]
    return max(claims, key=lambda claim: claim[0])[1]
