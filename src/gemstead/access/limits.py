"""Limits that count: reserved before a request runs, settled after it, the same for every server of a data folder.

What is spent is in the database before a request goes on, in one change for all of its limits: so two servers together
never pass one, and after a kill what was reserved at that moment counts as spent, never less than was answered.
Requests without limits cost nothing of this.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import msgspec

from gemstead.access.buckets import Bucket, Kind, Saved, Window, new_bucket
from gemstead.access.counts import Counts, LimitStore
from gemstead.access.limit_values import NO_LIMITS, Limits
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
    """How many of a group's or model's requests are in work in this process: they share its engine."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.num_used = 0


class Claim(msgspec.Struct, frozen=True):
    """All that one caller's requests to one model count against."""

    requests: tuple[tuple[str, Bucket], ...] = ()
    tokens: tuple[tuple[str, Bucket], ...] = ()
    slots: tuple[Slots, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    """Those of `requests` and `tokens`."""

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
        self._counts = Counts(store, clock_us)
        self._buckets: dict[str, Bucket] = {}
        self._slots: dict[str, Slots] = {}
        self._claims: dict[tuple[object, ...], tuple[Decision, Limits, Claim]] = {}

    def claim(self, decision: Decision, own: Limits, caller: Caller, model: str) -> Claim:
        """What a request of `caller` to `model` counts against. `own` are the limits its key itself names."""
        if not decision.quotas and own is NO_LIMITS:
            return NOTHING
        # By identity: decisions are remembered by the policy, and to hash all that is in one takes longer than to make
        # it. The entry holds both, so no other can have come to the same place.
        known = (id(decision), id(own), caller.key_id, caller.groups, model)
        found = self._claims.get(known)
        if found is None:
            if len(self._claims) >= MAX_CLAIMS or len(self._buckets) >= MAX_BUCKETS:
                self._prune()
            found = self._claims[known] = (decision, own, self._new_claim(decision, own, caller, model))
        return found[2]

    def state(self, claim: Claim) -> QuotaState:
        return QuotaState(self._room(claim.requests), self._room(claim.tokens))

    def remaining_tokens(self, claim: Claim) -> int | None:
        """As it was last seen. None: as many as you like."""
        if not claim.tokens:
            return None
        now_us = self._clock_us()
        return min([bucket.remaining(now_us) for _, bucket in claim.tokens])

    def look(self, claim: Claim) -> None:
        """Sees what other servers have spent meanwhile. Raises: LimitsUnavailable."""
        self._counts.look(claim.buckets)

    def check(self, claim: Claim, num_tokens: int) -> None:
        """Raises: QuotaExceeded if one request of so many tokens has no room now. Takes nothing."""
        for slots in claim.slots:
            if slots.num_used >= slots.limit:
                raise self._full(claim, slots)
        now_us = self._clock_us()
        worst_us = -1.0
        worst: tuple[str, Bucket, int, int | None] | None = None
        for cost, named in ((1, claim.requests), (num_tokens, claim.tokens)):
            for name, bucket in named:
                wait_us = bucket.wait_us(cost, now_us)
                if wait_us != 0 and (longest := float("inf") if wait_us is None else float(wait_us)) > worst_us:
                    worst_us, worst = longest, (name, bucket, cost, wait_us)
        if worst is not None:
            raise self._refusal(claim, *worst)

    async def reserve(self, claim: Claim, num_tokens: int) -> Reservation:
        """Takes one request and `num_tokens` of everything in `claim`, or nothing at all.

        Raises: QuotaExceeded; LimitsUnavailable if it cannot be made to survive.
        """

        def take() -> Reservation:
            self.check(claim, num_tokens)
            return self._taken(claim, num_tokens)

        return await self._counts.spend(claim.buckets, take, self._untake) if claim.buckets else take()

    def settle(self, reservation: Reservation, num_tokens: int) -> None:
        """The request is over, and took so many tokens. Once for each reservation; never waits."""
        for slots in reservation.claim.slots:
            slots.num_used -= 1
        for bucket, period in reservation.tokens:
            self._counts.owe(bucket, reservation.num_tokens - num_tokens, period)

    def cancel(self, reservation: Reservation) -> None:
        """The request never ran: it counts for nothing."""
        for bucket, period in reservation.requests:
            self._counts.owe(bucket, 1, period)
        self.settle(reservation, 0)

    async def tidy(self) -> None:
        """Writes what is given back, so that other servers know it too. Raises: LimitsUnavailable."""
        await self._counts.tidy()

    async def close(self) -> None:
        """Writes the last of it. Raises: LimitsUnavailable."""
        await self._counts.pay()

    def rows(self) -> list[Saved]:
        """All that is spent and not forgotten; blocks. Empty where nothing is kept. Raises: LimitsUnavailable."""
        return self._counts.rows()

    def limit_of(self, bucket: str) -> int | None:
        """The limit that a bucket counts against; None: nobody asked for it since this process began."""
        found = self._buckets.get(bucket)
        return None if found is None else found.limit

    def _taken(self, claim: Claim, num_tokens: int) -> Reservation:
        now_us = self._clock_us()
        for slots in claim.slots:
            slots.num_used += 1
        return Reservation(
            claim,
            num_tokens,
            tuple([(bucket, bucket.add(1, now_us)) for _, bucket in claim.requests]),
            tuple([(bucket, bucket.add(num_tokens, now_us)) for _, bucket in claim.tokens]),
        )

    def _untake(self, reservation: Reservation) -> None:
        """Of what came to memory, and not to the database."""
        now_us = self._clock_us()
        for slots in reservation.claim.slots:
            slots.num_used -= 1
        for bucket, period in reservation.requests:
            bucket.give_back(1, period, now_us)
        for bucket, period in reservation.tokens:
            bucket.give_back(reservation.num_tokens, period, now_us)

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
        buckets = tuple({bucket.name: bucket for _, bucket in (*requests, *tokens)}.values())
        return Claim(tuple(requests), tuple(tokens), tuple(slots), buckets)

    def _bucket(self, name: str, limit: int, kind: Kind, window: Window) -> Bucket:
        found = self._buckets.get(name)
        if found is None:
            found = self._buckets[name] = new_bucket(name, limit, kind, window)
            self._counts.look((found,))
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
        self._counts.keep_only(self._buckets)
        self._slots = {name: one for name, one in self._slots.items() if one.num_used}

    def _room(self, named: Iterable[tuple[str, Bucket]]) -> Room | None:
        now_us = self._clock_us()
        rooms = [Room(one.limit, one.remaining(now_us), one.reset_us(now_us) / 1e6) for _, one in named]
        return min(rooms, key=lambda room: (room.remaining, -room.reset_s), default=None)

    def _full(self, claim: Claim, slots: Slots) -> QuotaExceeded:
        return QuotaExceeded(
            f"{slots.num_used} requests are in work, and {slots.limit} may be",
            hint="wait for their answers",
            retry_after_s=1.0,
            limit="concurrent_requests",
            state=self.state(claim),
        )

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
