"""How long the model stays in memory."""

import asyncio
import math
import time

import pytest

from gemstead.app.residency import KeepAlive


class FakeEngine:
    """Unloads when it is let."""

    def __init__(self) -> None:
        self.num_unloads = 0
        self.has_unloaded = asyncio.Event()
        self.may_unload = asyncio.Event()
        self.may_unload.set()

    async def unload(self) -> None:
        await self.may_unload.wait()
        self.num_unloads += 1
        self.has_unloaded.set()


async def test_a_model_nobody_uses_goes_after_a_while() -> None:
    engine = FakeEngine()
    keep = KeepAlive(engine.unload, 0.01)
    async with keep.hold(None):
        assert not keep.has_unloaded
    async with asyncio.timeout(15):
        await engine.has_unloaded.wait()
    await keep.settled()
    assert keep.has_unloaded


async def test_a_model_in_use_stays_whatever_an_earlier_user_said() -> None:
    engine = FakeEngine()
    keep = KeepAlive(engine.unload, math.inf)
    async with keep.hold(None):
        async with keep.hold(0):
            pass
        await keep.settled()
        assert engine.num_unloads == 0
    assert keep.expires_at_s() is None


async def test_zero_unloads_at_once_and_the_next_user_waits_until_it_is_gone() -> None:
    engine = FakeEngine()
    engine.may_unload.clear()
    keep = KeepAlive(engine.unload, math.inf)
    async with keep.hold(0):
        pass
    entered = asyncio.Event()

    async def use() -> None:
        async with keep.hold(None):
            assert engine.num_unloads == 1
            entered.set()

    user = asyncio.create_task(use())
    await asyncio.sleep(0)
    assert not entered.is_set()
    engine.may_unload.set()
    await user


async def test_a_user_that_gives_up_waiting_leaves_the_unloading_alone() -> None:
    engine = FakeEngine()
    engine.may_unload.clear()
    keep = KeepAlive(engine.unload, math.inf)
    async with keep.hold(0):
        pass
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), keep.hold(None):
            pytest.fail("it is still being unloaded")
    engine.may_unload.set()
    await keep.settled()
    assert engine.num_unloads == 1


async def test_the_last_user_says_when_it_goes() -> None:
    keep = KeepAlive(FakeEngine().unload, math.inf)
    async with keep.hold(60):
        pass
    expires_at_s = keep.expires_at_s()
    assert expires_at_s is not None
    assert 50 < expires_at_s - time.time() < 61
    async with keep.hold(math.inf):
        pass
    assert keep.expires_at_s() is None
    await keep.close()


async def test_nothing_is_unloaded_once_it_is_closed() -> None:
    engine = FakeEngine()
    keep = KeepAlive(engine.unload, 0)
    async with keep.hold(None):
        await keep.close()
    await keep.settled()
    assert engine.num_unloads == 0
