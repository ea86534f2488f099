"""One life of an engine: from its command line to ready, and to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from gemstead.core.errors import EngineFailed, ModelMissing
from gemstead.core.plan import Plan
from gemstead.core.progress import Progress, ProgressEvent
from gemstead.engines.base import Command, Endpoint, EngineKind
from gemstead.engines.child import Child, start_child
from gemstead.engines.client import ClientTimeouts, EngineClient
from gemstead.engines.engine_log import EngineLog
from gemstead.engines.failures import exit_error, start_timeout_error

POLL_S = 0.05
"""How often a loading engine is asked whether it is ready."""
SLOW_DISK_BYTES_PER_S = 50_000_000
"""The slowest reading of weights that still counts as alive: a memory card, a network share."""


class Launch(msgspec.Struct, frozen=True):
    """What one start needs. `start_s` is the time to get ready, on top of reading the weights from a slow disk."""

    kind: EngineKind
    plan: Plan
    command: Command
    endpoint: Endpoint
    environ: Mapping[str, str]
    log: EngineLog
    start_s: float
    term_s: float
    timeouts: ClientTimeouts


class LiveEngine:
    """A started engine; `exited` ends with its status."""

    def __init__(self, launch: Launch, child: Child, client: EngineClient, total_bytes: int) -> None:
        self.child = child
        self.client = client
        self.exited = asyncio.create_task(child.wait(), name="engine exit")
        self._launch = launch
        self._total_bytes = total_bytes

    async def wait_ready(self, stopping: asyncio.Task[Any], progress: Progress) -> bool:
        """True once it answers, False if `stopping` came first.

        Raises: EngineFailed if it ends or does not get ready in time.
        """
        limit_s = self._launch.start_s + self._total_bytes / SLOW_DISK_BYTES_PER_S
        started_s = time.monotonic()
        while not await self.client.is_ready():
            tasks: set[asyncio.Task[Any]] = {self.exited, stopping}
            await asyncio.wait(tasks, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                return False
            if self.exited.done():
                raise self.exit_error()
            if time.monotonic() - started_s > limit_s:
                raise start_timeout_error(self._launch.kind, self._launch.plan.model, limit_s, self._launch.log.tail)
            progress(self._progress_event())
        progress(self._progress_event(is_done=True))
        return True

    def exit_error(self) -> EngineFailed:
        """What its end means; only once it has ended."""
        launch = self._launch
        return exit_error(launch.kind, launch.plan.model, self.exited.result(), launch.log.tail, launch.log.path)

    def _progress_event(self, *, is_done: bool = False) -> ProgressEvent:
        """Weights in memory so far, as the system counts them: engines do not tell, and this holds for all of them."""
        total_bytes = self._total_bytes
        loaded_bytes = total_bytes if is_done else min(self.child.resident_bytes(), total_bytes)
        task = f"start {self._launch.plan.model}"
        note = "ready" if is_done else "loading weights"
        return ProgressEvent(task, loaded_bytes, total_bytes or None, note=note, is_done=is_done)


@asynccontextmanager
async def launched(launch: Launch) -> AsyncIterator[LiveEngine]:
    """A started engine, not yet ready; on leaving it is ended, and its socket removed.

    Raises: EngineFailed if it cannot be started at all; ModelMissing if its files are not there.
    """
    plan, endpoint = launch.plan, launch.endpoint
    total_bytes = weights_bytes(plan)
    launch.log.begin()
    try:
        child = await start_child(launch.command, launch.environ, launch.log, launch.term_s)
        client = EngineClient(launch.kind, endpoint, plan.model, plan.context_length, timeouts=launch.timeouts)
        engine = LiveEngine(launch, child, client, total_bytes)
        try:
            yield engine
        finally:
            await child.end(launch.term_s)
            await engine.exited
            await client.close()
    finally:
        launch.log.close()
        if endpoint.socket_path is not None:
            endpoint.socket_path.unlink(missing_ok=True)


def weights_bytes(plan: Plan) -> int:
    """Size of the files the engine reads.

    Raises: ModelMissing if one of them is not there.
    """
    total_bytes = 0
    for path in (Path(name) for name in (plan.model_path, plan.mmproj_path) if name):
        if not path.is_file():
            raise ModelMissing(f"{path} is not there", hint="gemstead models verify")
        total_bytes += path.stat().st_size
    return total_bytes
