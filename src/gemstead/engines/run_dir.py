"""The private folder of one running engine, and where in it, or beside it, the engine listens."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

from gemstead.core.errors import SettingInvalid
from gemstead.engines.base import Endpoint

MAX_SOCKET_PATH_BYTES = 100
"""sun_path holds 104 bytes on macOS and 108 on Linux, the final zero included."""
KEY_TAIL = ".key"
"""llama-server logs the last four characters of its key: these tell nothing."""


def make_private(folder: Path) -> None:
    """`folder` exists, belongs to this user and nobody else can enter it.

    Raises: SettingInvalid if it belongs to somebody else.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not hasattr(os, "getuid"):
        return
    found = folder.stat()
    if found.st_uid != os.getuid():
        raise SettingInvalid(f"{folder} belongs to another user", hint="choose another GEMSTEAD_DATA_DIR")
    if found.st_mode & 0o077:
        folder.chmod(0o700)


def new_endpoint(folder: Path, *, is_on_port: bool = False) -> Endpoint:
    """A fresh unix socket in `folder`, or a free loopback port where the path is too long; always with a fresh key.

    `is_on_port`: the port in any case, for a client that knows no unix sockets. It is free now; another program may
    take it before the engine does, and then the engine says so and ends.
    """
    api_key = secrets.token_urlsafe(32) + KEY_TAIL
    path = folder / f"{secrets.token_hex(4)}.sock"
    # llama-server splits its host argument at commas.
    is_fit = len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES and "," not in str(path)
    if hasattr(socket, "AF_UNIX") and is_fit and not is_on_port:
        return Endpoint(api_key=api_key, socket_path=path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Endpoint(api_key=api_key, port=probe.getsockname()[1])
