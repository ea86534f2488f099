"""Who is next: at most so many at once, and between callers by weight and tokens, not by who asks most often."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec

from gemstead.core.errors import EngineBusy, QuotaExceeded
from gemstead.core.units import format_duration


class Ticket(msgspec.Struct, frozen=True):
    """Who asks for a place. `cost` is the guessed number of tokens; `settle` says later what it was.

    `flow` is the caller's key, empty for the nameless. `max_running` and `max_waiting` are the flow's own limits.
    """

    flow: str = ""
    cost: int = 1
    weight: int = 1
    max_running: int | None = None
    max_waiting: int | None = None


class _Flow:
    """One caller. `tag` is the virtual time at which its next request starts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tag = 0.0
        self.num_running = 0
        self.max_running: int | None = None
        self.waiting: deque[tuple[Ticket, asyncio.Future[None]]] = deque()
        self.entry = 0
        """The number of its valid entry in the heap; 0: it has none."""

    def is_idle(self) -> bool:
        return not self.num_running and not self.waiting

    def can_run(self) -> bool:
        return self.max_running is None or self.num_running < self.max_running


class FairQueue:
    """Start-time fair queueing: each request moves its caller's clock on by tokens over weight; the caller whose clock
    stands lowest is next, and one that comes new starts at the time of the one that was served last. So a caller gets
    its share however many others ask for, and nothing for having been away.

    Clocks move when a request starts, never when it joins the line: one that leaves the line leaves no hole.
    Source: Goyal, Vin, Cheng: Start-time Fair Queueing, SIGCOMM 1996.
    """

    def __init__(self, max_running: int, max_waiting: int, wait_limit_s: float) -> None:
        self.max_running = max_running
        self.max_waiting = max_waiting
        self.wait_limit_s = wait_limit_s
        self.num_running = 0
        self.num_waiting = 0
        self._now = 0.0
        self._flows: dict[str, _Flow] = {}
        self._heap: list[tuple[float, int, _Flow]] = []
        self._num_entries = 0

    @asynccontextmanager
    async def place(self, ticket: Ticket) -> AsyncGenerator[None]:
        """Holds one place while the block runs; gives it back whatever happens. Raises: as `enter`."""
        await self.enter(ticket)
        try:
            yield
        finally:
            self.leave(ticket)

    async def enter(self, ticket: Ticket) -> None:
        """Takes one place, which has to be given back by `leave`.

        Raises: QuotaExceeded if too many of this caller wait; EngineBusy if all together do, or none came free within
        `wait_limit_s`.
        """
        flow = self._flows.get(ticket.flow)
        if flow is None:
            flow = self._flows[ticket.flow] = _Flow(ticket.flow)
        flow.max_running = ticket.max_running
        try:
            if self.num_running < self.max_running and not flow.waiting and flow.can_run():
                flow.tag = max(flow.tag, self._now)
                self._start(flow, ticket)
            else:
                await self._wait(flow, ticket)
        except BaseException:
            self._forget(flow)
            raise

    def leave(self, ticket: Ticket) -> None:
        """Gives a place back; who is next begins."""
        flow = self._flows[ticket.flow]
        flow.num_running -= 1
        self.num_running -= 1
        self._queue(flow)
        self._start_next()
        self._forget(flow)

    def settle(self, ticket: Ticket, cost: int) -> None:
        """Corrects the caller's clock by what a request really took. Call it before its place is given back."""
        flow = self._flows.get(ticket.flow)
        if flow is None or cost == ticket.cost:
            return
        flow.tag += (cost - ticket.cost) / ticket.weight
        flow.entry = 0
        self._queue(flow)

    async def _wait(self, flow: _Flow, ticket: Ticket) -> None:
        self._make_room(flow, ticket)
        if not flow.waiting:
            flow.tag = max(flow.tag, self._now)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (ticket, turn)
        flow.waiting.append(waiter)
        self.num_waiting += 1
        self._queue(flow)
        try:
            async with asyncio.timeout(self.wait_limit_s):
                await turn
        except TimeoutError as exc:
            self._leave(flow, waiter)
            raise EngineBusy(
                f"busy: none of {self.max_running} slots came free in {format_duration(self.wait_limit_s)}",
                hint="try again, or serve with more slots (--parallel)",
                retry_after_s=5.0,
            ) from exc
        except BaseException:
            self._leave(flow, waiter)
            raise

    def _leave(self, flow: _Flow, waiter: tuple[Ticket, asyncio.Future[None]]) -> None:
        """Out of the line, or out of the place that was given in the same moment."""
        if waiter in flow.waiting:
            flow.waiting.remove(waiter)
            self.num_waiting -= 1
        elif waiter[1].done() and not waiter[1].cancelled() and waiter[1].exception() is None:
            flow.num_running -= 1
            self.num_running -= 1
            self._queue(flow)
            self._start_next()

    def _make_room(self, flow: _Flow, ticket: Ticket) -> None:
        """Raises: QuotaExceeded, EngineBusy. In a full line the caller with most requests gives one of them up."""
        if ticket.max_waiting is not None and len(flow.waiting) >= ticket.max_waiting:
            raise _too_many_waiting(len(flow.waiting))
        if self.num_waiting < self.max_waiting:
            return
        longest = max(self._flows.values(), key=lambda other: len(other.waiting))
        if len(longest.waiting) > len(flow.waiting) + 1:
            _ticket, turn = longest.waiting.pop()
            self.num_waiting -= 1
            turn.set_exception(_too_many_waiting(len(longest.waiting) + 1))
            return
        if flow.name and flow.waiting:
            raise _too_many_waiting(len(flow.waiting))
        raise EngineBusy(
            f"busy: {self.num_running} requests are running and {self.num_waiting} are waiting",
            hint="try again, or serve with more slots (--parallel)",
            retry_after_s=1.0,
        )

    def _start(self, flow: _Flow, ticket: Ticket) -> None:
        self._now = max(self._now, flow.tag)
        flow.tag += ticket.cost / ticket.weight
        flow.num_running += 1
        self.num_running += 1

    def _queue(self, flow: _Flow) -> None:
        """Its one entry in the heap, if it waits and may run."""
        if flow.waiting and flow.can_run() and not flow.entry:
            self._num_entries += 1
            flow.entry = self._num_entries
            heapq.heappush(self._heap, (flow.tag, flow.entry, flow))

    def _start_next(self) -> None:
        while self.num_running < self.max_running and self._heap:
            _tag, entry, flow = heapq.heappop(self._heap)
            if entry != flow.entry:
                continue
            flow.entry = 0
            if not flow.waiting or not flow.can_run():
                continue
            ticket, turn = flow.waiting.popleft()
            self.num_waiting -= 1
            if not turn.done():
                self._start(flow, ticket)
                turn.set_result(None)
            self._queue(flow)

    def _forget(self, flow: _Flow) -> None:
        """An idle caller's clock matters as long as it is ahead of everybody's: it had more than its share."""
        if not (self.num_running or self.num_waiting):
            self._flows.clear()
        elif flow.is_idle() and flow.tag <= self._now:
            self._flows.pop(flow.name, None)
        if len(self._flows) > MAX_FLOWS:
            self._flows = {name: other for name, other in self._flows.items() if not other.is_idle()}


MAX_FLOWS = 10_000
"""Callers remembered; beyond that the idle ones are forgotten."""


def _too_many_waiting(number: int) -> QuotaExceeded:
    return QuotaExceeded(
        f"{number} requests of this key are waiting already",
        hint="send fewer at once, or wait for their answers",
        retry_after_s=1.0,
        limit="waiting_requests",
    )
