"""How many requests run and wait at once, without anybody being asked for: for doors that have no policy."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from gemstead.access.fair_queue import FairQueue, Ticket
from gemstead.pipeline.grant import Grant


class Admission:
    """At most `max_running` requests inside and `max_waiting` in a first-come line before them."""

    def __init__(self, max_running: int, max_waiting: int, wait_limit_s: float) -> None:
        self._queue = FairQueue(max_running, max_waiting, wait_limit_s)

    @property
    def num_waiting(self) -> int:
        return self._queue.num_waiting

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[Grant]:
        """Holds one place while the block runs; gives it back whatever happens.

        Raises: EngineBusy if the line is full, or none came free within `wait_limit_s`.
        """
        async with self._queue.place(Ticket()):
            yield Grant()
