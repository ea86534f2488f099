"""Work in a thread: its steps come out in order, and who stops listening stops it."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import aclosing

import pytest

from gemstead.app.work import MAX_WAITING_EVENTS, running_work
from gemstead.core.errors import Interrupted, SourceNotFound
from gemstead.core.progress import Progress, ProgressEvent


def counting(number: int) -> Callable[[Progress], None]:
    def work(progress: Progress) -> None:
        for done in range(number):
            progress(ProgressEvent("count", done))

    return work


async def test_every_step_comes_out_and_then_it_ends() -> None:
    assert [event.done async for event in running_work(counting(5))] == [0, 1, 2, 3, 4]


async def test_a_listener_that_is_slow_gets_the_latest_steps() -> None:
    steps = []
    async for event in running_work(counting(10 * MAX_WAITING_EVENTS)):
        steps.append(event.done)
        await asyncio.sleep(0)
    assert steps == sorted(steps)
    assert steps[-1] == 10 * MAX_WAITING_EVENTS - 1


async def test_what_the_work_raises_is_raised() -> None:
    def work(progress: Progress) -> None:
        progress(ProgressEvent("look"))
        raise SourceNotFound("not there")

    with pytest.raises(SourceNotFound, match="not there"):
        _ = [event async for event in running_work(work)]


async def test_who_stops_listening_stops_the_work_at_its_next_step() -> None:
    may_go_on, ended = threading.Event(), threading.Event()
    raised: list[BaseException] = []

    def work(progress: Progress) -> None:
        progress(ProgressEvent("first"))
        may_go_on.wait(15)
        try:
            progress(ProgressEvent("second"))
        except Interrupted as exc:
            raised.append(exc)
            raise
        finally:
            ended.set()

    async with aclosing(running_work(work)) as steps:
        async for _step in steps:
            break
    may_go_on.set()
    assert await asyncio.to_thread(ended.wait, 15)
    assert len(raised) == 1
