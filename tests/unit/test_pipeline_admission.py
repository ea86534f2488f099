import asyncio

import pytest

from gemstead.core.errors import EngineBusy
from gemstead.pipeline.admission import Admission


async def test_as_many_run_at_once_as_there_are_places() -> None:
    admission = Admission(max_running=2, max_waiting=0, wait_limit_s=1)
    async with admission.place(), admission.place():
        with pytest.raises(EngineBusy, match="2 requests are running and 0 are waiting") as caught:
            async with admission.place():
                pass
    assert caught.value.retryable
    assert caught.value.retry_after_s


async def test_who_waits_gets_the_next_free_place_in_order_of_arrival() -> None:
    admission = Admission(max_running=1, max_waiting=2, wait_limit_s=5)
    order: list[str] = []

    async def enter(name: str) -> None:
        async with admission.place():
            order.append(name)

    async with admission.place():
        first, second = asyncio.create_task(enter("first")), asyncio.create_task(enter("second"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert admission.num_waiting == 2
    await asyncio.gather(first, second)
    assert order == ["first", "second"]
    assert admission.num_waiting == 0


async def test_waiting_ends_at_its_limit_with_the_reason() -> None:
    admission = Admission(max_running=1, max_waiting=1, wait_limit_s=0.01)
    async with admission.place():
        with pytest.raises(EngineBusy, match="none of 1 slots came free in 10 ms"):
            async with admission.place():
                pass
    assert admission.num_waiting == 0


async def test_a_place_comes_back_after_an_error_and_after_a_cancelled_wait() -> None:
    admission = Admission(max_running=1, max_waiting=1, wait_limit_s=5)
    with pytest.raises(ZeroDivisionError):
        async with admission.place():
            raise ZeroDivisionError

    async def enter() -> None:
        async with admission.place():
            pass

    async with admission.place():
        waiter = asyncio.create_task(enter())
        await asyncio.sleep(0)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
    assert admission.num_waiting == 0
    async with asyncio.timeout(1), admission.place():
        pass
