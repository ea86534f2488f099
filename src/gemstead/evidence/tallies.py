"""What would fill the disk if each were a record of its own: counted for some seconds, and written as one of a kind."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from gemstead.evidence.records import Record

Group = TypeVar("Group", bound=Hashable)

EVERY_S = 10.0
"""How long something may be only counted."""

MAX_GROUPS = 256
"""Counted apart between two writes; what comes on top is counted together."""


class Tallies(Generic[Group]):
    """`make` makes the record of one group: (group, how often, the first time, now), in Unix seconds. `rest` stands for
    all groups beyond `MAX_GROUPS`.
    """

    def __init__(self, make: Callable[[Group, int, float, float], Record], rest: Group) -> None:
        self._make = make
        self._rest = rest
        self._counts: dict[Group, tuple[int, float]] = {}

    def add(self, group: Group, at_s: float) -> None:
        if group not in self._counts and len(self._counts) >= MAX_GROUPS:
            group = self._rest
        num, first_s = self._counts.get(group, (0, at_s))
        self._counts[group] = num + 1, first_s

    def take(self, at_s: float) -> list[Record]:
        """A record of each group since the last time."""
        counts, self._counts = self._counts, {}
        return [self._make(group, num, first_s, at_s) for group, (num, first_s) in counts.items()]
