"""Where the admin API listens: a port of its own, or a socket that only this user can open."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gemstead.api.server import BACKLOG, listen
from gemstead.core.errors import AlreadyRunning, SettingInvalid

OFF = "off"
UNIX = "unix:"
MAX_SOCKET_PATH_BYTES = 107
"""What Linux takes; macOS takes 103."""


def host_of_listen(where: str) -> str | None:
    """The address that others might reach; None for a socket of this machine's file system."""
    return None if where.startswith(UNIX) else _host_and_port(where)[0]


@contextmanager
def admin_listener(where: str) -> Iterator[socket.socket]:
    """`127.0.0.1:8485`, `[::1]:8485`, port 0 for a free one; or `unix:/path`, which is removed at the end.

    Raises: AlreadyRunning if somebody listens there; SettingInvalid if it cannot be listened on.
    """
    if where.startswith(UNIX):
        path = Path(where.removeprefix(UNIX)).expanduser()
        listener = _listen_unix(path)
        try:
            with listener:
                yield listener
        finally:
            with suppress(FileNotFoundError):
                path.unlink()
        return
    with listen(*_host_and_port(where)) as listener:
        yield listener


def _host_and_port(where: str) -> tuple[str, int]:
    host, _, port = where.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise SettingInvalid(f"admin.listen: {where!r} has no port", hint='admin.listen = "127.0.0.1:8485"')
    return host.removeprefix("[").removesuffix("]"), int(port)


def _listen_unix(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise SettingInvalid(
            f"the path of the admin socket is longer than {MAX_SOCKET_PATH_BYTES} bytes: {path}",
            hint='admin.listen = "unix:/run/user/1000/gemstead.sock"',
        )
    _make_way(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Never open to others, not even for the moment between `bind` and `chmod`.
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        raise SettingInvalid(f"cannot listen on {path}: {exc.strerror}", hint="choose another admin.listen") from exc
    finally:
        os.umask(before)
    return listener


def _make_way(path: Path) -> None:
    """Removes what a killed server left. Raises: AlreadyRunning, SettingInvalid."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as exc:
        raise SettingInvalid(f"{path} cannot be looked at: {exc.strerror}") from exc
    if not stat.S_ISSOCK(mode):
        raise SettingInvalid(f"{path} is there already and is no socket", hint="choose another admin.listen")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        code = probe.connect_ex(str(path))
    if code != errno.ECONNREFUSED:
        raise AlreadyRunning(f"somebody listens on {path}", hint="gemstead ps")
    with suppress(FileNotFoundError):
        path.unlink()
