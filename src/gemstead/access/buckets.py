"""Counting over time, in whole numbers: a leaking debt for minutes (GCRA), a sum for days and months. Pure."""

from __future__ import annotations

import time
from typing import Literal, Protocol, TypeAlias

import msgspec

MINUTE_US = 60_000_000

Window: TypeAlias = Literal["minute", "day", "month"]
Kind: TypeAlias = Literal["requests", "tokens"]


class Saved(msgspec.Struct, frozen=True):
    """One bucket as the database keeps it: what counts as spent at `at_us`. `period` names the day or month."""

    bucket: str
    level: int
    at_us: int
    period: str


class Bucket(Protocol):
    """`cost` is a number of requests or tokens. Moments are microseconds since 1970, UTC, in no order that is sure."""

    name: str
    limit: int
    kind: Kind

    def wait_us(self, cost: int, now_us: int) -> int | None:
        """How long until `cost` fits; 0: now; None: never."""
        ...

    def add(self, cost: int, now_us: int) -> str:
        """Spends, or with a negative cost gives back what was not needed. Gives the period it counts in."""
        ...

    def give_back(self, cost: int, period: str, now_us: int) -> None:
        """Corrects what was spent in `period`; one that is over is left as it was."""
        ...

    def remaining(self, now_us: int) -> int: ...

    def reset_us(self, now_us: int) -> int:
        """Until it is as good as new."""
        ...

    def saved(self, now_us: int) -> Saved:
        """What is spent, exactly."""
        ...

    def restore(self, saved: Saved) -> None:
        """From now on what was saved is what is spent."""
        ...


class MinuteBucket:
    """At most `limit` at once, and `limit` a minute in the long run.

    The generic cell rate algorithm, kept as its debt instead of its arrival time: `level` is what was spent and has not
    leaked away, in units of 1/60,000,000, so that a leak of `limit` a minute is `limit` units a microsecond and
    nothing is ever rounded.
    """

    def __init__(self, name: str, limit: int, kind: Kind) -> None:
        self.name = name
        self.limit = limit
        self.kind: Kind = kind
        self._level = 0
        self._at_us = 0

    def wait_us(self, cost: int, now_us: int) -> int | None:
        if cost > self.limit:
            return None
        over = self._now(now_us) + cost * MINUTE_US - self.limit * MINUTE_US
        return 0 if over <= 0 else -(-over // self.limit)

    def add(self, cost: int, now_us: int) -> str:
        self._level = max(0, self._now(now_us) + cost * MINUTE_US)
        self._at_us = max(self._at_us, now_us)
        return ""

    def give_back(self, cost: int, period: str, now_us: int) -> None:  # noqa: ARG002 (a minute has no name)
        self.add(-cost, now_us)

    def remaining(self, now_us: int) -> int:
        return max(0, (self.limit * MINUTE_US - self._now(now_us)) // MINUTE_US)

    def reset_us(self, now_us: int) -> int:
        return -(-self._now(now_us) // self.limit) if self.limit else MINUTE_US

    def saved(self, now_us: int) -> Saved:
        return Saved(self.name, self._now(now_us), max(now_us, self._at_us), "")

    def restore(self, saved: Saved) -> None:
        self._level, self._at_us = saved.level, saved.at_us

    def _now(self, now_us: int) -> int:
        """What has not leaked away. A clock that was set back stops the leak and does nothing else."""
        passed_us = now_us - self._at_us
        if passed_us <= 0:
            return self._level
        left = self._level - passed_us * self.limit
        return max(0, left)


class PeriodBucket:
    """At most `limit` in a day or month of UTC."""

    def __init__(self, name: str, limit: int, kind: Kind, window: Literal["day", "month"]) -> None:
        self.name = name
        self.limit = limit
        self.kind: Kind = kind
        self._window = window
        self._period = ""
        self._ends_us = 0
        self._spent = 0

    def wait_us(self, cost: int, now_us: int) -> int | None:
        if cost > self.limit:
            return None
        self._turn(now_us)
        return 0 if self._spent + cost <= self.limit else max(1, self._ends_us - now_us)

    def add(self, cost: int, now_us: int) -> str:
        self._turn(now_us)
        self._spent = max(0, self._spent + cost)
        return self._period

    def give_back(self, cost: int, period: str, now_us: int) -> None:
        self._turn(now_us)
        if period == self._period:
            self._spent = max(0, self._spent - cost)

    def remaining(self, now_us: int) -> int:
        self._turn(now_us)
        return max(0, self.limit - self._spent)

    def reset_us(self, now_us: int) -> int:
        self._turn(now_us)
        return max(0, self._ends_us - now_us) if self._spent else 0

    def saved(self, now_us: int) -> Saved:
        self._turn(now_us)
        return Saved(self.name, self._spent, now_us, self._period)

    def restore(self, saved: Saved) -> None:
        """What was saved of an earlier period than the one that has begun here is over."""
        if saved.period > self._period:
            self._period, self._ends_us = saved.period, 0
        self._spent = saved.level if saved.period == self._period else 0

    def _turn(self, now_us: int) -> None:
        """Into the period of now. One that began never comes back: a clock set back gives nobody a second day."""
        if now_us < self._ends_us:
            return
        period, ends_us = period_of(self._window, now_us)
        if period > self._period:
            self._period, self._spent = period, 0
        self._ends_us = ends_us


def period_of(window: Literal["day", "month"], now_us: int) -> tuple[str, int]:
    """`2026-11-24` or `2026-11`, and the moment it ends."""
    now = time.gmtime(now_us // 1_000_000)
    if window == "day":
        day_us = 86_400_000_000
        return time.strftime("%Y-%m-%d", now), (now_us // day_us + 1) * day_us
    year, month = (now.tm_year + 1, 1) if now.tm_mon == 12 else (now.tm_year, now.tm_mon + 1)
    return time.strftime("%Y-%m", now), _utc_us(year, month)


def _utc_us(year: int, month: int) -> int:
    from calendar import timegm

    return timegm((year, month, 1, 0, 0, 0)) * 1_000_000


def new_bucket(name: str, limit: int, kind: Kind, window: Window) -> Bucket:
    if window == "minute":
        return MinuteBucket(name, limit, kind)
    return PeriodBucket(name, limit, kind, window)
