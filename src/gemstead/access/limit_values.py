"""Limits as data: what a rule of the policy, or a key, may set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

import msgspec

from gemstead.core.errors import RequestInvalid

MAX_LIMIT = 10**11
"""The largest number a limit takes: what is counted stays within the 64 bits of a database column."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """None: not limited. Tokens are those of prompt and answer together; days and months are UTC's.

    `concurrent_requests` are those in work, `waiting_requests` those in line before. `max_context_tokens` bounds the
    prompt of one request, `max_output_tokens` its answer, thinking included. `weight` is the share of a busy engine,
    relative to other callers.
    """

    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    requests_per_month: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None
    concurrent_requests: int | None = None
    waiting_requests: int | None = None
    max_context_tokens: int | None = None
    max_output_tokens: int | None = None
    weight: int | None = None

    def named(self) -> dict[str, int]:
        """Those that are set."""
        return {name: value for name in LIMIT_NAMES if (value := getattr(self, name)) is not None}


LIMIT_NAMES: tuple[str, ...] = Limits.__struct_fields__

NO_LIMITS = Limits()


def smallest(given: Iterable[Limits]) -> Limits:
    """What is left when all hold at once: of each limit the smallest."""
    found: dict[str, int] = {}
    for limits in given:
        for name, value in limits.named().items():
            found[name] = min(value, found.get(name, value))
    return Limits(**found)


def limits_of(quota: Mapping[str, int]) -> Limits:
    """Limits by their names. Raises: RequestInvalid for a name that is none, or a number out of range."""
    for name, value in quota.items():
        if name not in LIMIT_NAMES:
            near = get_close_matches(name, LIMIT_NAMES, n=1)
            known = f"did you mean {near[0]}?" if near else f"known: {', '.join(LIMIT_NAMES)}"
            raise RequestInvalid(f"unknown limit {name[:60]!r}", param="quota", hint=known)
        if not 0 <= value <= MAX_LIMIT or (name == "weight" and value == 0):
            raise RequestInvalid(f"{name} cannot be {value}", param="quota", hint=f"give 1 to {MAX_LIMIT}")
    return Limits(**quota)
