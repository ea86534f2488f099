"""What was spent of limits that count: in the database, the same for every server of a data folder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from gemstead.access.buckets import Bucket, Saved
from gemstead.core.errors import LimitsUnavailable, QuotaExceeded

T = TypeVar("T")

WAIT_LIMIT_S = 5.0
"""How long another process may write before a request is refused for it."""

POLL_S = 0.001


MAX_SWAPPED = 8
"""Buckets that are changed in one statement; for more it is not worth its length."""


class LimitStore(Protocol):
    """One writer at a time, of all processes. Nothing here waits. Raises: LimitsUnavailable, from every method."""

    def swap(self, old: Sequence[Saved], new: Sequence[Saved]) -> bool:
        """Writes `new` if all of `old` are there as they are given (one of no level and period: not there), in one
        change. False: they are not, or somebody else is in the middle of one.
        """
        ...

    def begin(self) -> bool:
        """Begins a change; False: somebody else is in the middle of one."""
        ...

    def read(self, buckets: Sequence[str]) -> list[Saved]:
        """The rows that there are of them."""
        ...

    def write(self, rows: Iterable[Saved]) -> None: ...

    def commit(self) -> None: ...

    def rollback(self) -> None: ...

    def rows(self) -> list[Saved]:
        """All of them, for a thread of its own."""
        ...

    def tidy(self) -> None:
        """What keeps it small and quick, and may take a moment: for a thread of its own."""
        ...


class Counts:
    """Spends in one change of the database for all buckets of a request; what it gives back comes with the next one.

    So a bucket in memory is what was last seen of it, less what is owed to the database: in a process that is alone
    that is exact, and one statement that changes the rows if they are as they were last seen is all it takes. Where
    others have changed them, they are read first, under the write lock. Nothing is ever spent or refused on the word
    of memory. `store` None: there is nobody else, and nothing is kept.
    """

    def __init__(self, store: LimitStore | None, clock_us: Callable[[], int]) -> None:
        self._store = store
        self._clock_us = clock_us
        self._owed: dict[tuple[str, str], tuple[Bucket, int]] = {}
        """By bucket and period, what a settled request did not need."""
        self._rows: dict[str, Saved] = {}
        """As they were last seen."""

    def look(self, buckets: Iterable[Bucket]) -> None:
        """Sees what is spent now. Raises: LimitsUnavailable."""
        if self._store is None:
            return
        self._see(self._store, {bucket.name: bucket for bucket in buckets})

    async def spend(self, buckets: Iterable[Bucket], take: Callable[[], T], untake: Callable[[T], None]) -> T:
        """What `take` gives, which may add to `buckets` as they are now, and adds nothing if it raises.

        Raises: QuotaExceeded as `take` does; LimitsUnavailable if it cannot be kept: `untake` has then been called.
        """
        store = self._store
        if store is None:
            return take()
        touched = {bucket.name: bucket for bucket in buckets}
        for bucket, _ in self._owed.values():
            touched.setdefault(bucket.name, bucket)
        try:
            swapped = self._swapped(store, touched, take, untake)
        except QuotaExceeded:
            swapped = None  # others may have given back meanwhile
        return swapped[0] if swapped is not None else await self._spent(store, touched, take, untake)

    def _swapped(
        self, store: LimitStore, touched: dict[str, Bucket], take: Callable[[], T], untake: Callable[[T], None]
    ) -> tuple[T] | None:
        """What `take` gives, if all is still as it was last seen; else None, and nothing is taken."""
        if len(touched) > MAX_SWAPPED:
            return None
        old = [row for name in touched if (row := self._rows.get(name)) is not None]
        if len(old) < len(touched):
            return None
        taken = take()
        now_us = self._clock_us()
        new = [bucket.saved(now_us) for bucket in touched.values()]
        try:
            is_done = store.swap(old, new)
        except LimitsUnavailable:
            untake(taken)
            raise
        if not is_done:
            untake(taken)
            return None
        self._note(new)
        return (taken,)

    async def _spent(
        self, store: LimitStore, touched: dict[str, Bucket], take: Callable[[], T], untake: Callable[[T], None]
    ) -> T:
        await self._begin(store)
        taken: list[T] = []
        # From here to the commit nothing waits: no other request of this process comes between.
        try:
            self._see(store, touched)
            taken.append(take())
            now_us = self._clock_us()
            new = [bucket.saved(now_us) for bucket in touched.values()]
            store.write(new)
            store.commit()
        except BaseException:
            store.rollback()
            for one in taken:
                untake(one)
            raise
        self._note(new)
        return taken[0]

    def _note(self, rows: Iterable[Saved]) -> None:
        for row in rows:
            self._rows[row.bucket] = row
        self._owed.clear()

    def keep_only(self, names: Container[str]) -> None:
        """Forgets what was seen of all others."""
        self._rows = {name: row for name, row in self._rows.items() if name in names}

    def owe(self, bucket: Bucket, cost: int, period: str) -> None:
        """Gives back: here at once, in the database soon. Never fails."""
        bucket.give_back(cost, period, self._clock_us())
        if self._store is not None and cost:
            known = self._owed.get((bucket.name, period))
            self._owed[bucket.name, period] = (bucket, cost if known is None else known[1] + cost)

    async def pay(self) -> None:
        """Writes what is owed. Raises: LimitsUnavailable."""
        if self._owed:
            await self.spend((), lambda: None, lambda _none: None)

    async def tidy(self) -> None:
        """Once a second or so. Raises: LimitsUnavailable."""
        await self.pay()
        if self._store is not None:
            await asyncio.to_thread(self._store.tidy)

    def rows(self) -> list[Saved]:
        return [] if self._store is None else self._store.rows()

    async def _begin(self, store: LimitStore) -> None:
        give_up_s = None
        while not store.begin():
            now_s = time.monotonic()
            give_up_s = give_up_s or now_s + WAIT_LIMIT_S
            if now_s > give_up_s:
                raise LimitsUnavailable(
                    f"another process has been writing to the database for {WAIT_LIMIT_S:.0f} s", retry_after_s=1.0
                )
            await asyncio.sleep(POLL_S)

    def _see(self, store: LimitStore, seen: Mapping[str, Bucket]) -> None:
        rows = {row.bucket: row for row in store.read(tuple(seen))}
        for name, bucket in seen.items():
            row = self._rows[name] = rows.get(name) or Saved(name, 0, 0, "")
            bucket.restore(row)
        if self._owed:
            now_us = self._clock_us()
            for (name, period), (_, cost) in self._owed.items():
                if (owner := seen.get(name)) is not None:
                    owner.give_back(cost, period, now_us)
