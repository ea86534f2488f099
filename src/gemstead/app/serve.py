"""The server process: listens at once, answers `/readyz` while the model loads, serves, drains, ends.

SIGTERM lets running answers finish; SIGINT (Ctrl-C, `gemstead stop --now`) cuts them.
"""

from __future__ import annotations

import asyncio
import math
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from starlette.types import ASGIApp

from gemstead.api.asgi import build_api
from gemstead.api.bind import check_bind
from gemstead.api.connections import ConnectionLimits
from gemstead.api.server import listen, run_server
from gemstead.api.tls import load_tls
from gemstead.app.admin import check_admin, opened_admin
from gemstead.app.choose import provide
from gemstead.app.content_upkeep import opened_upkeep
from gemstead.app.door_lock import is_locked, opened_lock
from gemstead.app.gateway import Gateway, opened_gateway
from gemstead.app.governance import opened_governance
from gemstead.app.server_evidence import opened_evidence
from gemstead.app.servers import (
    ServerRecord,
    forget,
    make_token,
    own_folder,
    own_identity,
    write_failure,
    write_record,
)
from gemstead.app.setup import Setup, ensure_engine
from gemstead.core.errors import GemsteadError
from gemstead.store.database import check_whole


def serve(setup: Setup, *, on_ready: Callable[[ServerRecord], None]) -> None:
    """Runs a server in the foreground until it is told to stop. `on_ready` is called once the model answers.

    Raises: PolicyRefused for an address that others reach, without keys or TLS; AlreadyRunning if the port is taken;
    whatever keeps the model from being planned, pulled or started. The failure is also left for a waiting
    `gemstead up`.
    """
    folder = own_folder(setup.loaded.paths.servers)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(setup, folder, on_ready))
    except GemsteadError as exc:
        write_failure(folder, exc)
        raise
    else:
        forget(folder)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it exists (not on Windows): the door's hot path is event loop work."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(setup: Setup, folder: Path, on_ready: Callable[[ServerRecord], None]) -> None:
    server = setup.loaded.settings.server
    check_whole(setup.loaded.paths.data)
    tls = load_tls(server.tls_cert, server.tls_key)
    check_bind(
        server.host,
        has_keys=await asyncio.to_thread(is_locked, setup.loaded),
        has_tls=tls is not None or server.allows_plain_http,
    )
    check_admin(setup.loaded)
    # Better told now than after a download; but nobody is kept waiting on an open port while it lasts.
    listen(server.host, server.port).close()
    installation = await asyncio.to_thread(ensure_engine, setup)
    plan = await asyncio.to_thread(provide, setup, setup.loaded.settings.model.name)
    stop = _Stop(server.drain_s)
    stop.install()
    token_path, token = make_token(folder)
    async with (
        opened_evidence(setup, plan, installation) as evidence,
        opened_gateway(setup, plan, installation, folder, drain_s=lambda: stop.drain_s, evidence=evidence) as gateway,
        opened_lock(setup.loaded, token, gateway.note_sign_in_failure) as door_lock,
        evidence.watching(door_lock.ring.has_keys),
        opened_governance(setup.loaded, gateway, door_lock.ring, evidence.note_policy) as governance,
        opened_upkeep(setup.loaded, gateway.forget_texts),
    ):
        with listen(server.host, server.port) as listener:
            record = _record(setup, gateway, listener.getsockname()[1], token_path)
            front = _Front(build_api(gateway.services(door_lock.lock)), listener, tls, server.max_connections)
            async with opened_admin(setup.loaded, gateway, governance, door_lock.lock, record.url) as where:
                record = msgspec.structs.replace(record, admin=where)
                await _run(gateway, front, stop, folder, record, on_ready)


class _Front(msgspec.Struct, frozen=True):
    """What the server shows to the outside."""

    app: ASGIApp
    listener: socket.socket
    tls: ssl.SSLContext | None
    max_connections: int


async def _run(
    gateway: Gateway,
    front: _Front,
    stop: _Stop,
    folder: Path,
    record: ServerRecord,
    on_ready: Callable[[ServerRecord], None],
) -> None:
    """Serves until told to stop; an engine that never gets ready ends the server with its error."""
    serving = asyncio.create_task(
        run_server(
            front.app,
            front.listener,
            stop=stop.event,
            on_started=lambda _port: write_record(folder, record),
            drain_limit_s=math.ceil(record.drain_s),
            tls=front.tls,
            limits=ConnectionLimits(max_connections=front.max_connections),
        )
    )
    stop.cut = serving.cancel
    starting = asyncio.create_task(gateway.start())
    try:
        await asyncio.wait({starting, serving}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            on_ready(record)
        with suppress(asyncio.CancelledError):
            await serving
    finally:
        starting.cancel()
        serving.cancel()
        await asyncio.wait({starting, serving})


class _Stop:
    """How this server is told to end. `cut` ends the serving at once."""

    def __init__(self, drain_s: float) -> None:
        self.event = asyncio.Event()
        self.drain_s = drain_s
        self.cut: Callable[[], object] = lambda: None

    def install(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.event.set)
        loop.add_signal_handler(signal.SIGINT, self._now)

    def _now(self) -> None:
        self.drain_s = 0.0
        self.event.set()
        self.cut()


def _record(setup: Setup, gateway: Gateway, port: int, token_path: Path) -> ServerRecord:
    settings, plan = setup.loaded.settings, gateway.plan
    pid, created_s = own_identity()
    return ServerRecord(
        pid=pid,
        created_s=created_s,
        host=settings.server.host,
        port=port,
        model=plan.model,
        quant=plan.quant,
        engine=f"{gateway.installation.kind} {gateway.installation.version}",
        context_length=plan.context_length,
        num_slots=plan.num_slots,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        engine_log=str(gateway.engine.log_path),
        predicted_bytes=plan.resident_bytes("host") + plan.resident_bytes("gpu"),
        drain_s=settings.server.drain_s,
        token_path=str(token_path),
        tls_cert=settings.server.tls_cert,
    )
