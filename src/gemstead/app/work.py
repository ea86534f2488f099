"""Work that blocks, in a thread: its progress comes out as events, and who stops listening stops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from gemstead.core.errors import Interrupted
from gemstead.core.progress import Progress, ProgressEvent

MAX_WAITING_EVENTS = 64
"""Events a slow listener has not taken yet; then the oldest is dropped, since a later one says more."""


async def running_work(work: Callable[[Progress], object]) -> AsyncGenerator[ProgressEvent]:
    """Runs `work` in a thread and gives what it reports; ends when it ends.

    Closing the generator makes the work's next report raise Interrupted; it is not waited for, because a silent network
    may keep it from reporting for minutes.
    Raises: what `work` raises.
    """
    events: asyncio.Queue[ProgressEvent | None] = asyncio.Queue(MAX_WAITING_EVENTS)
    loop = asyncio.get_running_loop()
    is_stopped = False

    def offer(event: ProgressEvent | None) -> None:
        if events.full():
            events.get_nowait()
        events.put_nowait(event)

    def report(event: ProgressEvent) -> None:
        if is_stopped:
            raise Interrupted("nobody waits for it any more")
        loop.call_soon_threadsafe(offer, event)

    def end(done: asyncio.Future[object]) -> None:
        """Also marks an error as seen, for the case that nobody listens any more."""
        if not done.cancelled():
            done.exception()
        offer(None)

    running = asyncio.ensure_future(asyncio.to_thread(work, report))
    running.add_done_callback(end)
    try:
        while (event := await events.get()) is not None:
            yield event
        await running
    finally:
        is_stopped = True
