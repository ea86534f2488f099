"""Which gemstead servers run on this machine: one folder per process, checked against the process table.

    servers/PID/record.json   what the server says of itself
    servers/PID/failure.json  why it did not start, for whoever waits for it
    servers/PID/token         what opens its door to the same user's command line, readable by nobody else
    servers/PID/*.sock        its engine's private socket
    servers/PID.xyz/*.sock    the socket of an engine that a command started for itself

A record names a process by id and start time, so that a reused id is never mistaken for a server, nor signalled.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gemstead.core.errors import EngineFailed, EngineTimeout, GemsteadError, NameUnknown, Relayed, RequestInvalid

if TYPE_CHECKING:
    import ssl

POLL_S = 0.1
RECORD = "record.json"
FAILURE = "failure.json"
TOKEN = "token"  # noqa: S105 (the name of a file)


class ServerRecord(msgspec.Struct, frozen=True):
    """A server as it describes itself. `created_s` is the process's start time as the system reports it."""

    pid: int
    created_s: float
    host: str
    port: int
    model: str
    quant: str
    engine: str
    context_length: int
    num_slots: int
    started_at: str
    engine_log: str
    predicted_bytes: int
    drain_s: float
    token_path: str = ""
    """Where the token of this user's command line is; empty: the server takes none."""
    tls_cert: str | None = None
    """The certificate it shows; None: plain HTTP."""
    admin: str = ""
    """Where its admin API listens, a URL or `unix:/path`; empty: it has none."""

    @property
    def url(self) -> str:
        """How it is called from this machine."""
        host = f"[{self.near_host}]" if ":" in self.near_host else self.near_host
        return f"{'http' if self.tls_cert is None else 'https'}://{host}:{self.port}"

    @property
    def near_host(self) -> str:
        """Its address as seen from this machine: every address includes loopback."""
        return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104


class ServerStatus(msgspec.Struct, frozen=True):
    """A running server and what it uses now: `rss_bytes` over its whole process tree, mapped weights included."""

    record: ServerRecord
    rss_bytes: int
    num_processes: int
    uptime_s: float


class Failure(msgspec.Struct, frozen=True):
    """Why a server did not start, left for whoever waits for it."""

    code: str
    what: str
    why: str | None = None
    hint: str | None = None


def own_identity() -> tuple[int, float]:
    import psutil

    return os.getpid(), psutil.Process().create_time()


def own_folder(servers: Path) -> Path:
    """This server's folder, private to its user; `forget` it at the end."""
    folder = servers / str(os.getpid())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    return folder


def passing_folder(servers: Path) -> Path:
    """A fresh private folder of this process, for one engine; `forget` it at the end."""
    servers.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}.", dir=servers))


def forget(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def write_record(folder: Path, record: ServerRecord) -> None:
    _publish(folder / RECORD, msgspec.json.encode(record))


def make_token(folder: Path) -> tuple[Path, str]:
    """A new token for this server's life, in its private folder; gives its path, and itself."""
    path, token = folder / TOKEN, f"local_{secrets.token_urlsafe(32)}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token)
    return path, token


def read_token(record: ServerRecord) -> str:
    """What opens the server's door to this user; empty if it is not to be had: then a key is asked for."""
    try:
        return Path(record.token_path).read_text() if record.token_path else ""
    except OSError:
        return ""


def tls_context(record: ServerRecord) -> ssl.SSLContext | None:
    """Trusts the one certificate the server is known to show, whatever name it is called by and whoever signed it.

    Raises: OSError if the file is not readable any more.
    """
    import ssl

    if record.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(record.tls_cert)
    return context


def write_failure(folder: Path, exc: GemsteadError) -> None:
    _publish(folder / FAILURE, msgspec.json.encode(Failure(exc.code, exc.what, exc.why, exc.hint)))


def _publish(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def running_servers(servers: Path) -> list[ServerRecord]:
    """The servers that are alive, oldest first; what dead processes left is removed on the way."""
    for folder in stale_folders(servers):
        forget(folder)
    records = (_read(folder) for folder in servers.glob("[0-9]*"))
    return sorted((one for one in records if one and _is_alive(one)), key=lambda record: record.created_s)


def stale_folders(servers: Path) -> tuple[Path, ...]:
    """What dead processes left."""
    import psutil

    stale = []
    for folder in servers.glob("[0-9]*"):
        record = _read(folder)
        owner = folder.name.partition(".")[0]
        has_owner = not owner.isdecimal() or psutil.pid_exists(int(owner))
        if not _is_alive(record) if record else not has_owner:
            stale.append(folder)
    return tuple(sorted(stale))


def _read(folder: Path) -> ServerRecord | None:
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=ServerRecord)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _is_alive(record: ServerRecord) -> bool:
    import psutil

    try:
        process = psutil.Process(record.pid)
        is_same = abs(process.create_time() - record.created_s) < 1
        return is_same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def status_of(record: ServerRecord) -> ServerStatus:
    """What the server's process tree uses now; a process that ends meanwhile counts as nothing."""
    import psutil

    rss_bytes = num_processes = 0
    try:
        root = psutil.Process(record.pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        tree = []
    for process in tree:
        try:
            rss_bytes += process.memory_info().rss
            num_processes += 1
        except psutil.NoSuchProcess:
            continue
    uptime_s = max(0.0, time.time() - record.created_s)
    return ServerStatus(record=record, rss_bytes=rss_bytes, num_processes=num_processes, uptime_s=uptime_s)


def find_server(records: Sequence[ServerRecord], name: str) -> ServerRecord:
    """The server with that process id, port or model.

    Raises: NameUnknown if there is none; RequestInvalid if several serve that model.
    """
    found = [record for record in records if name in (str(record.pid), str(record.port), record.model)]
    if len(found) > 1:
        ports = ", ".join(str(record.port) for record in found)
        raise RequestInvalid(
            f"{len(found)} servers run {name}, on ports {ports}", hint=f"gemstead stop {found[0].port}"
        )
    if not found:
        raise NameUnknown("server", name, [record.model for record in records], hint="(gemstead ps lists them)")
    return found[0]


def stop_server(record: ServerRecord, *, is_now: bool = False) -> float:
    """Asks the server to drain and end, waits for it, ends it if it does not; returns the seconds it took.

    `is_now` skips the draining: running answers are cut.
    """
    begin = time.monotonic()
    _signal(record, signal.SIGINT if is_now else signal.SIGTERM)
    patience_s = 10.0 if is_now else record.drain_s + 15.0
    while _is_alive(record):
        if time.monotonic() - begin > patience_s:
            _signal(record, signal.SIGKILL)
            patience_s += 10.0
        time.sleep(POLL_S)
    return time.monotonic() - begin


def _signal(record: ServerRecord, number: signal.Signals) -> None:
    if _is_alive(record):
        os.kill(record.pid, number)


def start_detached(
    arguments: Sequence[str],
    *,
    servers: Path,
    log_path: Path,
    environ: Mapping[str, str],
    timeout_s: float,
    on_wait: Callable[[ServerRecord | None], bool],
) -> ServerRecord:
    """Starts `gemstead ARGUMENTS` in a session of its own, so that it survives this terminal; waits until it is ready.

    `on_wait` is asked every 100 ms with the record, as soon as there is one, and answers whether the server is ready.

    Raises: EngineFailed with the server's own reason if it ends first; EngineTimeout.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gemstead", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(environ),
            start_new_session=True,
        )
    deadline = time.monotonic() + timeout_s
    while process.poll() is None:
        record = _read(servers / str(process.pid))
        if on_wait(record) and record is not None:
            return record
        if time.monotonic() > deadline:
            process.terminate()
            raise EngineTimeout(f"the server was not ready after {timeout_s:.0f} s", hint=f"see {log_path}")
        time.sleep(POLL_S)
    raise _why_it_ended(servers / str(process.pid), log_path)


def _why_it_ended(folder: Path, log_path: Path) -> GemsteadError:
    try:
        failure = msgspec.json.decode((folder / FAILURE).read_bytes(), type=Failure)
    except (FileNotFoundError, msgspec.DecodeError):
        return EngineFailed("the server ended while it started", hint=f"see {log_path}")
    forget(folder)
    return Relayed(failure.code, failure.what, why=failure.why, hint=failure.hint)
