"""An engine of its own for a measurement: one start, no restarts, asked directly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from gemstead.app.servers import ServerRecord, forget, passing_folder, read_token, tls_context
from gemstead.app.setup import Setup
from gemstead.bench.changes import Changes
from gemstead.bench.target import Target
from gemstead.core.plan import Plan
from gemstead.engines.base import Endpoint, Installation
from gemstead.engines.child import TERM_S
from gemstead.engines.client import ClientTimeouts
from gemstead.engines.engine_log import EngineLog
from gemstead.engines.extra_args import check_extra_args
from gemstead.engines.launch import Launch, LiveEngine, launched
from gemstead.engines.run_dir import make_private, new_endpoint


class BenchEngine(msgspec.Struct, frozen=True):
    """A ready engine. `load_s`: from its start until it said it was healthy."""

    target: Target
    pid: int
    plan: Plan
    load_s: float
    log: EngineLog
    changes: Changes = Changes()


@asynccontextmanager
async def opened_engine(
    setup: Setup,
    plan: Plan,
    installation: Installation,
    changes: Changes | None = None,
    *,
    is_on_port: bool = False,
) -> AsyncIterator[BenchEngine]:
    """Starts it, waits until it is ready, ends it with the block. `is_on_port`: on a loopback port in any case.

    Raises: EngineFailed with its last words; ModelMissing; NameUnknown or SettingInvalid for an extra argument.
    """
    changes = changes or Changes()
    plan = changes.applied(plan)
    folder = passing_folder(setup.loaded.paths.servers)
    try:
        make_private(folder)
        endpoint = new_endpoint(folder, is_on_port=is_on_port)
        launch = _launch(setup, plan, installation, folder, endpoint, changes.extra_args)
        begin_s = time.monotonic()
        async with launched(launch) as engine:
            never = asyncio.create_task(asyncio.Event().wait())
            try:
                await engine.wait_ready(never, setup.progress)
            finally:
                never.cancel()
            load_s = time.monotonic() - begin_s
            yield BenchEngine(target_of(launch.endpoint, plan.model), _pid(engine), plan, load_s, launch.log, changes)
    finally:
        forget(folder)


def target_of(endpoint: Endpoint, name: str) -> Target:
    """An engine's endpoint as something to be measured."""
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    if endpoint.socket_path is not None:
        return Target(name, "http://engine", str(endpoint.socket_path), headers)
    return Target(name, f"http://{endpoint.host}:{endpoint.port}", None, headers)


def _launch(
    setup: Setup, plan: Plan, installation: Installation, folder: Path, endpoint: Endpoint, extra_args: tuple[str, ...]
) -> Launch:
    settings, kind = setup.loaded.settings, setup.kind
    planned = kind.command(plan, installation, endpoint)
    extra = check_extra_args(kind.allowed_args, (*settings.engine.extra_args, *extra_args))
    return Launch(
        kind=kind,
        plan=plan,
        command=msgspec.structs.replace(planned, argv=(*planned.argv, *extra)),
        endpoint=endpoint,
        environ=setup.loaded.environ,
        # A file each: two engines may be measured at once.
        log=EngineLog(setup.loaded.paths.logs / f"bench-{folder.name}.log"),
        start_s=settings.engine.start_timeout_s,
        term_s=TERM_S,
        timeouts=ClientTimeouts(),
    )


def _pid(engine: LiveEngine) -> int:
    """Of the engine itself, not of its leash."""
    return engine.child.engine_pid() or engine.child.pid


def door_target(name: str, record: ServerRecord) -> Target:
    """The door of a server of ours, opened as this user's command line opens it."""
    token = read_token(record)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Target(name, record.url, None, headers, tls_context(record))
