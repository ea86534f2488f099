"""Supervises one engine: starts it, waits until it is ready, restarts it after a crash, ends it.

One task owns the state; everybody else asks. `ensure_ready()` is the only way to start.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from gemstead.core.errors import EngineBusy, EngineFailed, GemsteadError
from gemstead.core.plan import Plan
from gemstead.core.progress import Progress, no_progress
from gemstead.engines.base import Command, Endpoint, EngineKind, Installation
from gemstead.engines.child import TERM_S
from gemstead.engines.client import ClientTimeouts, EngineClient
from gemstead.engines.engine_log import EngineLog
from gemstead.engines.extra_args import check_extra_args
from gemstead.engines.failures import crash_limit_error
from gemstead.engines.launch import Launch, LiveEngine, launched
from gemstead.engines.restarts import RestartPolicy, restart_delay_s
from gemstead.engines.run_dir import make_private, new_endpoint

logger = logging.getLogger(__name__)

State: TypeAlias = Literal["stopped", "starting", "ready", "stopping", "failed"]


class EngineChange(msgspec.Struct, frozen=True):
    """What became of an engine. `why` is one sentence about a crash, without anything the engine printed."""

    kind: Literal["started", "crashed", "stopped"]
    pid: int | None = None
    why: str | None = None


def _tell_nobody(_change: EngineChange) -> None:
    return None


class ProcessOptions(msgspec.Struct, frozen=True):
    """`environ` is what the engine inherits; `extra_args` are flags its kind allows.

    `start_s`: until ready, on top of reading the weights; `term_s`: between SIGTERM and SIGKILL. `on_change` is told
    when the engine became ready, ended by itself (also before it was ready), or was ended.
    """

    environ: Mapping[str, str]
    extra_args: tuple[str, ...] = ()
    start_s: float = 120.0
    term_s: float = TERM_S
    restart: RestartPolicy = RestartPolicy()
    client: ClientTimeouts = ClientTimeouts()
    on_change: Callable[[EngineChange], None] = _tell_nobody


class ProcessUsage(msgspec.Struct, frozen=True):
    """What `gemstead ps` shows. `resident_bytes` counts mapped weights that are in memory."""

    state: State
    pid: int | None
    resident_bytes: int
    num_active: int
    num_crashes: int
    uptime_s: float | None


def _log_name(kind: EngineKind, plan: Plan) -> str:
    """Two engines of one model, one that answers and one that embeds, must not write one log."""
    return f"{kind.name}-{plan.model}" if plan.purpose == "chat" else f"{kind.name}-{plan.model}-{plan.purpose}"


class EngineProcess:
    """One plan on one engine. Used on one event loop; `stop()` it before the loop ends."""

    def __init__(
        self,
        kind: EngineKind,
        installation: Installation,
        plan: Plan,
        *,
        run_dir: Path,
        log_dir: Path,
        options: ProcessOptions,
        progress: Progress = no_progress,
    ) -> None:
        """`run_dir` will be private to this user.

        Raises: NameUnknown or SettingInvalid for an extra argument that is not allowed.
        """
        self.plan = plan
        self._kind = kind
        self._installation = installation
        self._run_dir = run_dir.absolute()
        self._options = options
        self._extra_args = check_extra_args(kind.allowed_args, options.extra_args)
        self._progress = progress
        self._log = EngineLog(log_dir / (re.sub(r"[^\w.@-]+", "_", _log_name(kind, plan)) + ".log"))
        self._state: State = "stopped"
        self._ready: asyncio.Future[EngineClient] | None = None
        self._owner: asyncio.Task[None] | None = None
        self._stop_asked = asyncio.Event()
        self._drain_s = 0.0
        self._engine: LiveEngine | None = None
        self._ready_since_s: float | None = None
        self._has_been_ready = False
        self._crashes_s: list[float] = []

    @property
    def state(self) -> State:
        return self._state

    @property
    def log_path(self) -> Path:
        """What the engine of the last start printed; the one before it is in the same name with `.1`."""
        return self._log.path

    def command(self, endpoint: Endpoint) -> Command:
        """The exact command line, extra arguments included."""
        planned = self._kind.command(self.plan, self._installation, endpoint)
        return msgspec.structs.replace(planned, argv=(*planned.argv, *self._extra_args))

    def usage(self) -> ProcessUsage:
        engine = self._engine
        return ProcessUsage(
            state=self._state,
            pid=engine.child.engine_pid() if engine else None,
            resident_bytes=engine.child.resident_bytes() if engine else 0,
            num_active=engine.client.num_active if engine else 0,
            num_crashes=len(self._crashes_s),
            uptime_s=None if self._ready_since_s is None else time.monotonic() - self._ready_since_s,
        )

    async def ensure_ready(self) -> EngineClient:
        """A client of the running engine; starts it, or waits for the start or restart under way.

        Callers share one start; one that is cancelled leaves it to the others. An engine that has failed stays failed
        until `stop()`.

        Raises: EngineFailed with the engine's last words; EngineBusy while it is stopping.
        """
        if self._stop_asked.is_set():
            raise EngineBusy(f"{self.plan.model} is stopping", retry_after_s=5.0)
        if self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._owner = asyncio.create_task(self._own(), name=f"engine {self.plan.model}")
        return await asyncio.shield(self._ready)

    async def stop(self, drain_s: float = 0.0) -> None:
        """Lets running answers end for at most `drain_s`, then ends the engine and waits until it is gone."""
        if self._owner is None:
            return
        if self._owner.done():
            self._reset()
            return
        self._drain_s = drain_s
        self._stop_asked.set()
        await asyncio.shield(self._owner)

    async def _own(self) -> None:
        """Lives and restarts of the engine; nothing else changes the state of a started one."""
        try:
            while (error := await self._live()) is not None and (delay_s := self._after(error)) is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(delay_s):
                        await self._stop_asked.wait()
        finally:
            if self._state != "failed" or self._stop_asked.is_set():
                self._reset()

    async def _live(self) -> GemsteadError | None:
        """One life of the engine: what ended it, None if it was told to stop."""
        if self._stop_asked.is_set():
            return None
        self._state = "starting"
        stopping = asyncio.create_task(self._stop_asked.wait())
        try:
            async with launched(self._launch()) as engine:
                self._engine = engine
                if not await engine.wait_ready(stopping, self._progress):
                    return None
                self._become_ready(engine)
                await asyncio.wait({engine.exited, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if engine.exited.done():
                    self._become_unready()
                    return engine.exit_error()
                await self._drain(engine.client)
            self._options.on_change(EngineChange("stopped"))
            return None
        except GemsteadError as exc:
            return exc
        except OSError as exc:
            return EngineFailed(f"cannot start {self._kind.title} with {self.plan.model}: {exc}")
        finally:
            stopping.cancel()
            self._engine = None
            self._ready_since_s = None

    def _launch(self) -> Launch:
        make_private(self._run_dir)
        endpoint = new_endpoint(self._run_dir)
        return Launch(
            kind=self._kind,
            plan=self.plan,
            command=self.command(endpoint),
            endpoint=endpoint,
            environ=self._options.environ,
            log=self._log,
            start_s=self._options.start_s,
            term_s=self._options.term_s,
            timeouts=self._options.client,
        )

    def _become_ready(self, engine: LiveEngine) -> None:
        assert self._ready is not None
        self._options.on_change(EngineChange("started", engine.child.engine_pid()))
        self._state = "ready"
        self._has_been_ready = True
        self._ready_since_s = time.monotonic()
        self._ready.set_result(engine.client)

    def _become_unready(self) -> None:
        """It crashed: who asks from now on waits for the next life."""
        self._state = "starting"
        self._ready = asyncio.get_running_loop().create_future()

    async def _drain(self, client: EngineClient) -> None:
        self._state = "stopping"
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain_s):
                await client.wait_idle()

    def _after(self, error: GemsteadError) -> float | None:
        """Seconds until the next life; None if there is none, and then the state is failed.

        An engine that never came up would not come up the next time: only one that has been ready is started again.
        """
        now_s = time.monotonic()
        self._crashes_s.append(now_s)
        logger.warning("engine of %s: %s", self.plan.model, error.what)
        self._options.on_change(EngineChange("crashed", why=error.what))
        if not self._has_been_ready:
            self._state = "failed"
            self._reject(error)
            return None
        policy = self._options.restart
        delay_s = restart_delay_s(policy, self._crashes_s, now_s)
        if delay_s is None:
            self._state = "failed"
            self._reject(crash_limit_error(error, policy))
        return delay_s

    def _reset(self) -> None:
        """Back to stopped, as if never started."""
        self._reject(EngineFailed(f"{self.plan.model} was stopped", retry_after_s=1.0))
        self._ready = None
        self._owner = None
        self._state = "stopped"
        self._stop_asked.clear()
        self._has_been_ready = False
        self._crashes_s.clear()

    def _reject(self, error: GemsteadError) -> None:
        """Tells everybody who waits for ready, and marks the error as seen for the case that nobody does."""
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()
