"""A server to be measured, and the session that asks it."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import aiohttp


class Target(msgspec.Struct, frozen=True):
    """Where to send requests: an engine itself, a door, or any OpenAI-compatible server.

    `socket_path` replaces host and port of `url`. `headers` may hold a key: they are never stored or printed.
    """

    name: str
    url: str
    socket_path: str | None = None
    headers: dict[str, str] = {}
    tls: ssl.SSLContext | None = None
    """How an https `url` is trusted; None: as usual."""


def open_session(target: Target) -> aiohttp.ClientSession:
    """A session without limits of its own. Close it, best by `async with`."""
    import aiohttp

    # A connection each: llama-server closes idle ones, and would do so under the next request.
    connector: aiohttp.BaseConnector = (
        aiohttp.UnixConnector(target.socket_path, limit=0, force_close=True)
        if target.socket_path
        else aiohttp.TCPConnector(limit=0, force_close=True, ssl=target.tls or True)
    )
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0)
    return aiohttp.ClientSession(connector=connector, headers=target.headers, timeout=timeout, trust_env=False)
