"""The HTTP server around the API: listens, serves, drains. Signals are the caller's business."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import socket
import ssl
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from gemstead.api.connections import BoundedProtocol, ConnectionLimits, Slots
from gemstead.core.errors import AlreadyRunning, SettingInvalid

DRAIN_LIMIT_S = 30
"""How long answers under way may take to finish once the server is asked to stop."""

BACKLOG = 512

HANDSHAKE_LIMIT_S = 10.0
"""How long a client may take to agree on TLS."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. `check_bind` says whether the address is allowed at all.

    Raises: AlreadyRunning if the port is taken; SettingInvalid if the address is not this machine's or the port is not
    the user's to take.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise AlreadyRunning(
                f"port {port} of {host} is in use", hint="see `gemstead ps`, or choose another with --port"
            ) from exc
        raise SettingInvalid(
            f"cannot listen on {host}:{port}", why=exc.strerror or str(exc), hint="choose another --host or --port"
        ) from exc


async def run_server(
    app: ASGIApp,
    listener: socket.socket,
    *,
    stop: asyncio.Event,
    on_started: Callable[[int], None],
    drain_limit_s: int = DRAIN_LIMIT_S,
    tls: ssl.SSLContext | None = None,
    limits: ConnectionLimits | None = None,
) -> None:
    """Serves on `listener` until `stop` is set, then takes nothing new and lets answers under way finish.

    `on_started` gets the port, 0 of a listener that has none. `tls` None: plain HTTP. Being cancelled is the impatient
    way: answers under way are cut at once.
    """
    limits = limits or ConnectionLimits()
    protocol: Any = partial(BoundedProtocol, limits=limits, slots=Slots(limits))
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=drain_limit_s,
    )
    server = _Server(config, on_started, tls)
    # What is there when serving begins stays: the garbage collector need not go through it again and again.
    gc.collect()
    gc.freeze()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        config.timeout_graceful_shutdown = 0
        raise
    finally:
        stopping.cancel()
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """Leaves the process's signal handlers alone (`stop` is how this server is told) and says when it listens."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[int], None], tls: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self._tls = tls
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens by itself, where uvicorn's own way would leave a TLS handshake the 60 s of asyncio's default."""
        assert sockets
        await super().startup([])
        loop = asyncio.get_running_loop()
        config, tls = self.config, self._tls
        listener = sockets[0]

        def protocol() -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state=self.lifespan.state, _loop=loop
            )

        if listener.family == getattr(socket, "AF_UNIX", None):
            self.servers.append(await loop.create_unix_server(protocol, sock=listener, backlog=BACKLOG))
            self._on_started(0)
            return
        server = await loop.create_server(
            protocol,
            sock=listener,
            ssl=tls,
            backlog=BACKLOG,
            ssl_handshake_timeout=None if tls is None else HANDSHAKE_LIMIT_S,
        )
        self.servers.append(server)
        self._on_started(listener.getsockname()[1])

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
