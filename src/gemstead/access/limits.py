"""Limits that count: reserved before a request runs, settled after it, and known again after a restart.

What is spent never runs ahead of the database: each bucket has a mark there, a little above what is spent, and is
raised before a request that would pass it goes on. So most requests write nothing, a clean stop writes the exact
numbers, and after a kill the mark counts as spent: at most a tenth of a minute's limit, a thousandth of a day's or
month's, and what was reserved at that moment, too much; never too little.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import msgspec

from gemstead.access.buckets import Bucket, Kind, Window, new_bucket
from gemstead.access.limit_values import NO_LIMITS, Limits
from gemstead.access.marks import LimitStore, Marks
from gemstead.access.policy import Decision, Quota
from gemstead.core.caller import Caller
from gemstead.core.errors import QuotaExceeded
from gemstead.core.quota import QuotaState, Room
from gemstead.core.units import format_duration

COUNTED: tuple[tuple[str, Kind, Window], ...] = (
    ("requests_per_minute", "requests", "minute"),
    ("requests_per_day", "requests", "day"),
    ("requests_per_month", "requests", "month"),
    ("tokens_per_minute", "tokens", "minute"),
    ("tokens_per_day", "tokens", "day"),
    ("tokens_per_month", "tokens", "month"),
)

MAX_BUCKETS = 100_000
MAX_CLAIMS = 10_000


class Slots:
    """How many of a group's or model's requests are in work."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.num_used = 0


class Claim(msgspec.Struct, frozen=True):
    """All that one caller's requests to one model count against."""

    requests: tuple[tuple[str, Bucket], ...] = ()
    tokens: tuple[tuple[str, Bucket], ...] = ()
    slots: tuple[Slots, ...] = ()

    def is_empty(self) -> bool:
        return not (self.requests or self.tokens or self.slots)


class Reservation(msgspec.Struct, frozen=True):
    """What was taken for one request: each bucket with the period it was taken in."""

    claim: Claim
    num_tokens: int
    requests: tuple[tuple[Bucket, str], ...]
    tokens: tuple[tuple[Bucket, str], ...]


class LimitKeeper:
    """All buckets of a running server. For one event loop; `clock_us` is the wall clock, since days are."""

    def __init__(self, store: LimitStore | None, clock_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._clock_us = clock_us
        self._marks = Marks(store, clock_us)
        self._buckets: dict[str, Bucket] = {}
        self._slots: dict[str, Slots] = {}
        self._claims: dict[tuple[object, ...], Claim] = {}

    def claim(self, decision: Decision, own: Limits, caller: Caller, model: str) -> Claim:
        """What a request of `caller` to `model` counts against. `own` are the limits its key itself names."""
        if not decision.quotas and own is NO_LIMITS:
            return NOTHING
        known = (decision.sha256, decision.rule_ids, decision.quotas, own, caller.key_id, caller.groups, model)
        found = self._claims.get(known)
        if found is None:
            if len(self._claims) >= MAX_CLAIMS or len(self._buckets) >= MAX_BUCKETS:
                self._prune()
            found = self._claims[known] = self._new_claim(decision, own, caller, model)
        return found

    def state(self, claim: Claim) -> QuotaState:
        return QuotaState(self._room(claim.requests), self._room(claim.tokens))

    def remaining_tokens(self, claim: Claim) -> int | None:
        """None: as many as you like."""
        now_us = self._clock_us()
        return min((bucket.remaining(now_us) for _, bucket in claim.tokens), default=None)

    def check(self, claim: Claim, num_tokens: int) -> None:
        """Raises: QuotaExceeded if one request of so many tokens has no room now. Takes nothing."""
        for slots in claim.slots:
            if slots.num_used >= slots.limit:
                raise QuotaExceeded(
                    f"{slots.num_used} requests are in work, and {slots.limit} may be",
                    hint="wait for their answers",
                    retry_after_s=1.0,
                    limit="concurrent_requests",
                    state=self.state(claim),
                )
        now_us = self._clock_us()
        asked = [(name, bucket, 1) for name, bucket in claim.requests]
        asked += [(name, bucket, num_tokens) for name, bucket in claim.tokens]
        waits = [(bucket.wait_us(cost, now_us), name, bucket, cost) for name, bucket, cost in asked]
        short = [wait for wait in waits if wait[0] != 0]
        if short:
            wait_us, name, bucket, cost = max(short, key=lambda wait: float("inf") if wait[0] is None else wait[0])
            raise self._refusal(claim, name, bucket, cost, wait_us)

    async def reserve(self, claim: Claim, num_tokens: int) -> Reservation:
        """Takes one request and `num_tokens` of everything in `claim`, or nothing at all.

        Raises: QuotaExceeded; LimitsUnavailable if it cannot be made to survive.
        """
        self.check(claim, num_tokens)
        now_us = self._clock_us()
        reservation = Reservation(
            claim,
            num_tokens,
            tuple((bucket, bucket.add(1, now_us)) for _, bucket in claim.requests),
            tuple((bucket, bucket.add(num_tokens, now_us)) for _, bucket in claim.tokens),
        )
        for slots in claim.slots:
            slots.num_used += 1
        try:
            await self._marks.make_safe([bucket for _, bucket in (*claim.requests, *claim.tokens)])
        except BaseException:
            self.cancel(reservation)
            raise
        return reservation

    def settle(self, reservation: Reservation, num_tokens: int) -> None:
        """The request is over, and took so many tokens. Once for each reservation; never waits."""
        now_us = self._clock_us()
        for slots in reservation.claim.slots:
            slots.num_used -= 1
        for bucket, period in reservation.tokens:
            bucket.give_back(reservation.num_tokens - num_tokens, period, now_us)

    def cancel(self, reservation: Reservation) -> None:
        """The request never ran: it counts for nothing."""
        now_us = self._clock_us()
        for bucket, period in reservation.requests:
            bucket.give_back(1, period, now_us)
        self.settle(reservation, 0)

    async def tidy(self) -> None:
        """Brings marks that are far above what is spent down to it. Raises: LimitsUnavailable."""
        await self._marks.tidy()

    async def close(self) -> None:
        """Writes the exact numbers. Raises: LimitsUnavailable."""
        await self._marks.close()

    def _new_claim(self, decision: Decision, own: Limits, caller: Caller, model: str) -> Claim:
        quotas = list(decision.quotas)
        if own != NO_LIMITS:
            quotas.append(Quota("key", "key", own))
        requests: list[tuple[str, Bucket]] = []
        tokens: list[tuple[str, Bucket]] = []
        slots: list[Slots] = []
        for quota in quotas:
            for subject in _subjects(quota, caller, model):
                for name, kind, window in COUNTED:
                    if (limit := getattr(quota.limits, name)) is not None:
                        bucket = self._bucket(f"{quota.rule_id}/{subject}/{name}", limit, kind, window)
                        (requests if kind == "requests" else tokens).append((name, bucket))
                if quota.per != "key" and (limit := quota.limits.concurrent_requests) is not None:
                    slots.append(self._slot(f"{quota.rule_id}/{subject}", limit))
        return Claim(tuple(requests), tuple(tokens), tuple(slots))

    def _bucket(self, name: str, limit: int, kind: Kind, window: Window) -> Bucket:
        found = self._buckets.get(name)
        if found is None:
            found = self._buckets[name] = new_bucket(name, limit, kind, window)
            self._marks.restore(found)
        found.limit = limit
        return found

    def _slot(self, name: str, limit: int) -> Slots:
        found = self._slots.setdefault(name, Slots(limit))
        found.limit = limit
        return found

    def _prune(self) -> None:
        """Forgets what is as good as new, so that names that callers make up do not fill the memory."""
        now_us = self._clock_us()
        self._claims.clear()
        self._buckets = {name: one for name, one in self._buckets.items() if one.reset_us(now_us) > 0}
        self._marks.keep_only(self._buckets)
        self._slots = {name: one for name, one in self._slots.items() if one.num_used}

    def _room(self, named: Iterable[tuple[str, Bucket]]) -> Room | None:
        now_us = self._clock_us()
        rooms = [Room(one.limit, one.remaining(now_us), one.reset_us(now_us) / 1e6) for _, one in named]
        return min(rooms, key=lambda room: (room.remaining, -room.reset_s), default=None)

    def _refusal(self, claim: Claim, name: str, bucket: Bucket, cost: int, wait_us: int | None) -> QuotaExceeded:
        words = f"{bucket.limit} {name.replace('_', ' ')}"
        state = self.state(claim)
        if wait_us is None:
            return QuotaExceeded(
                f"this request may take {cost} {bucket.kind}, and {words} are allowed in all",
                hint="ask for less: a shorter prompt, or a smaller max_tokens",
                limit=name,
                state=state,
            )
        left = bucket.remaining(self._clock_us())
        return QuotaExceeded(
            f"the limit of {words} is reached: {left} are left, and this request may take {cost}",
            hint=f"try again in {format_duration(wait_us / 1e6)}, or ask for less",
            retry_after_s=wait_us / 1e6,
            limit=name,
            state=state,
        )


def _subjects(quota: Quota, caller: Caller, model: str) -> Iterator[str]:
    """Who shares the limits: one bucket for each."""
    if quota.per == "key":
        yield f"key/{caller.key_id or ''}"
    elif quota.per == "model":
        yield f"model/{model}"
    elif quota.per == "group":
        yield from (f"group/{group}" for group in quota.groups)
    else:
        yield "rule"


NOTHING = Claim()
