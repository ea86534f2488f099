"""How long the model stays in memory: until nobody has used it for a while, to be loaded again on demand."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec

from gemstead.core.types import Event, Timings, Usage
from gemstead.engines.process import EngineProcess


class KeepAlive:
    """Counts who uses the model, and unloads it `keep_s` after the last one. Used on one event loop; `close()` it.

    Each use says how long the model stays after it, or leaves that to `default_s`; the last one counts. Infinite: for
    good.
    """

    def __init__(self, unload: Callable[[], Awaitable[None]], default_s: float) -> None:
        self.has_unloaded = False
        """Whether it was ever unloaded for want of use: from then on it is loaded on demand."""
        self._unload = unload
        self._default_s = self._keep_s = default_s
        self._num_users = 0
        self._timer: asyncio.TimerHandle | None = None
        self._unloading: asyncio.Task[None] | None = None
        self._is_closed = False

    @asynccontextmanager
    async def hold(self, keep_s: float | None) -> AsyncGenerator[None]:
        """The model is not unloaded while the block runs; the block may load it."""
        self._num_users += 1
        self._disarm()
        try:
            await self.settled()
            yield
        finally:
            self._num_users -= 1
            self._keep_s = self._default_s if keep_s is None else keep_s
            if not self._num_users:
                self._arm()

    async def settled(self) -> None:
        """Returns when no unloading is under way."""
        if self._unloading is not None:
            await asyncio.shield(self._unloading)

    async def unload(self, unload: Callable[[], Awaitable[None]]) -> None:
        """Unloads it now, by `unload`, whoever uses it; who asks for it meanwhile waits, and has it loaded anew."""
        await self.settled()
        self.has_unloaded = True
        self._unloading = asyncio.create_task(self._run(unload), name="unload the model")
        await self.settled()

    def expires_at_s(self) -> float | None:
        """Unix time at which the model is unloaded if nobody uses it from now on; None: never."""
        if self._timer is not None:
            return time.time() + self._timer.when() - asyncio.get_running_loop().time()
        return None if math.isinf(self._keep_s) else time.time() + self._keep_s

    async def close(self) -> None:
        """Nothing is unloaded from now on; waits for what is under way."""
        self._is_closed = True
        self._disarm()
        await self.settled()

    def _arm(self) -> None:
        if self._is_closed or math.isinf(self._keep_s):
            return
        if self._keep_s == 0:
            self._start_unloading()
        else:
            self._timer = asyncio.get_running_loop().call_later(self._keep_s, self._start_unloading)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start_unloading(self) -> None:
        self._timer = None
        if self._unloading is None:
            self.has_unloaded = True
            self._unloading = asyncio.create_task(self._run(self._unload), name="unload the model")

    async def _run(self, unload: Callable[[], Awaitable[None]]) -> None:
        try:
            await unload()
        finally:
            self._unloading = None


class LoadWait:
    """What one request waited for the model to be loaded: made before it asks for the engine."""

    def __init__(self, engine: EngineProcess) -> None:
        self._engine = engine
        self._is_loaded = engine.state == "ready"
        self._started_s = time.monotonic()

    def tell(self, event: Event) -> Event:
        """`event`; Usage with the wait in its timings, if there was one."""
        if self._is_loaded or not isinstance(event, Usage):
            return event
        uptime_s = self._engine.usage().uptime_s
        if uptime_s is None:
            return event
        load_s = max(0.0, time.monotonic() - self._started_s - uptime_s)
        timings = msgspec.structs.replace(event.timings or Timings(), load_s=load_s)
        return msgspec.structs.replace(event, timings=timings)
