"""How many requests run and wait at once: beyond that the answer is a clear "busy", at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from gemstead.core.errors import EngineBusy
from gemstead.core.units import format_duration


class Admission:
    """At most `max_running` requests inside and `max_waiting` in a first-come line before them.

    An engine queues without bound and without a word; here the line is short, and who does not fit in is told so.
    """

    def __init__(self, max_running: int, max_waiting: int, wait_limit_s: float) -> None:
        self.max_running = max_running
        self.max_waiting = max_waiting
        self.wait_limit_s = wait_limit_s
        self.num_waiting = 0
        self._free = asyncio.Semaphore(max_running)

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[None]:
        """Holds one place while the block runs; gives it back whatever happens.

        Raises: EngineBusy if the line is full, or none came free within `wait_limit_s`.
        """
        if self._free.locked():
            await self._wait_in_line()
        else:
            await self._free.acquire()
        try:
            yield
        finally:
            self._free.release()

    async def _wait_in_line(self) -> None:
        if self.num_waiting >= self.max_waiting:
            raise EngineBusy(
                f"busy: {self.max_running} requests are running and {self.num_waiting} are waiting",
                hint="try again, or serve with more slots (--parallel)",
                retry_after_s=1.0,
            )
        self.num_waiting += 1
        try:
            async with asyncio.timeout(self.wait_limit_s):
                await self._free.acquire()
        except TimeoutError as exc:
            raise EngineBusy(
                f"busy: none of {self.max_running} slots came free in {format_duration(self.wait_limit_s)}",
                hint="try again, or serve with more slots (--parallel)",
                retry_after_s=5.0,
            ) from exc
        finally:
            self.num_waiting -= 1
