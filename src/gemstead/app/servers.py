"""Which gemstead servers run on this machine: one record per server, checked against the process table.

A record names a process by id and start time, so that a reused id is never mistaken for a server, nor signalled.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from gemstead.core.errors import EngineFailed, EngineTimeout, GemsteadError, NameUnknown, Relayed, RequestInvalid

POLL_S = 0.1


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
    log_path: str
    predicted_bytes: int
    drain_s: float

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


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


def write_record(folder: Path, record: ServerRecord) -> Path:
    """Publishes the record; returns its path, to be removed when the server ends."""
    return _publish(folder / f"{record.pid}.json", msgspec.json.encode(record))


def write_failure(folder: Path, exc: GemsteadError) -> Path:
    failure = Failure(code=exc.code, what=exc.what, why=exc.why, hint=exc.hint)
    return _publish(folder / f"{os.getpid()}.failed.json", msgspec.json.encode(failure))


def _publish(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
    return path


def running_servers(folder: Path) -> list[ServerRecord]:
    """The servers that are alive, oldest first; records of dead ones are removed on the way."""
    alive = []
    for path in sorted(folder.glob("*.json")):
        if path.name.endswith(".failed.json"):
            continue
        record = _read(path)
        if record is not None and _is_alive(record):
            alive.append(record)
        else:
            path.unlink(missing_ok=True)
    return sorted(alive, key=lambda record: record.created_s)


def _read(path: Path) -> ServerRecord | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=ServerRecord)
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
    folder: Path,
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
    with log_path.open("ab") as log:
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
        record = _read(folder / f"{process.pid}.json")
        if on_wait(record) and record is not None:
            return record
        if time.monotonic() > deadline:
            process.terminate()
            raise EngineTimeout(f"the server was not ready after {timeout_s:.0f} s", hint=f"see {log_path}")
        time.sleep(POLL_S)
    raise _why_it_ended(folder, process.pid, log_path)


def _why_it_ended(folder: Path, pid: int, log_path: Path) -> GemsteadError:
    path = folder / f"{pid}.failed.json"
    try:
        failure = msgspec.json.decode(path.read_bytes(), type=Failure)
    except (FileNotFoundError, msgspec.DecodeError):
        return EngineFailed("the server ended while it started", hint=f"see {log_path}")
    path.unlink(missing_ok=True)
    return Relayed(failure.code, failure.what, why=failure.why, hint=failure.hint)
