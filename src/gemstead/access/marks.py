"""What a restart knows of what was spent: marks in the database, always at or above it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from gemstead.access.buckets import Bucket, Saved


class LimitStore(Protocol):
    """Where marks are kept. Both block."""

    def load(self) -> list[Saved]: ...

    def save(self, rows: list[Saved]) -> None:
        """All or none. Raises: LimitsUnavailable."""
        ...


class Marks:
    """Raises marks before what is spent passes them. One write at a time, for all who wait for one."""

    def __init__(self, store: LimitStore | None, clock_us: Callable[[], int]) -> None:
        self._store = store
        self._clock_us = clock_us
        self._restored = {row.bucket: row for row in store.load()} if store is not None else {}
        self._known: dict[str, Bucket] = {}
        """Those that have a mark."""
        self._needy: dict[str, Bucket] = {}
        self._task: asyncio.Task[None] | None = None

    def restore(self, bucket: Bucket) -> None:
        """A new bucket goes on where an earlier process left it."""
        if (row := self._restored.pop(bucket.name, None)) is not None:
            bucket.restore(row)
            self._known[bucket.name] = bucket

    def keep_only(self, names: Mapping[str, Bucket]) -> None:
        self._known = {name: bucket for name, bucket in self._known.items() if name in names}

    async def make_safe(self, buckets: Iterable[Bucket]) -> None:
        """Waits until a restart would know all that is spent. Raises: LimitsUnavailable."""
        if self._store is None:
            return
        for bucket in buckets:
            # Each write marks a step above what is spent then, and a limit is a few steps: this ends.
            while bucket.needs_save(self._clock_us()):
                self._needy[bucket.name] = self._known[bucket.name] = bucket
                await self._written()

    async def tidy(self) -> None:
        """Brings down the marks that are far above what is spent. Raises: LimitsUnavailable."""
        if self._store is None:
            return
        now_us = self._clock_us()
        far = {name: bucket for name, bucket in self._known.items() if bucket.is_far_ahead(now_us)}
        if far:
            self._needy.update(far)
            await self._written()

    async def close(self) -> None:
        """Writes what is spent, exactly: for a clean stop. Raises: LimitsUnavailable."""
        if self._store is None:
            return
        if self._task is not None:
            await asyncio.wait({self._task})  # its error was for those who waited for it
        now_us = self._clock_us()
        rows = [bucket.saved(now_us) for bucket in self._known.values()]
        if rows:
            await asyncio.to_thread(self._store.save, rows)

    async def _written(self) -> None:
        # One that is over must not be waited for: that would not even let others run.
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())
            self._task.add_done_callback(_take_error)
        await asyncio.shield(self._task)

    async def _write(self) -> None:
        assert self._store is not None
        await asyncio.sleep(0)  # what others ask for in the same moment comes along
        needy, self._needy = self._needy, {}
        now_us = self._clock_us()
        rows = []
        for bucket in needy.values():
            row = bucket.ahead(now_us)
            rows.append(row)
            if bucket.is_far_ahead(now_us):
                bucket.note_saved(row)  # a mark that comes down counts at once, one that goes up when it is written
        await asyncio.to_thread(self._store.save, rows)
        for row in rows:
            needy[row.bucket].note_saved(row)


def _take_error(task: asyncio.Task[None]) -> None:
    """Those who waited were told; there may be none left."""
    if not task.cancelled():
        task.exception()
