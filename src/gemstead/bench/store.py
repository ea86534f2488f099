"""The file of results: lines of JSON that are only ever appended, so that a crash costs at most the line it cut.

A line is one write to a file opened for appending, under a lock, and on the disk before the write returns. What a crash
left half-written is closed off by the next writer and skipped by every reader.
"""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gemstead.bench.results import SCHEMA, LoadRun, Record, Run, gather_runs
from gemstead.core.errors import DiskFull, NameUnknown, RequestInvalid

FILE = "bench/results.jsonl"
"""Below the data directory."""

_NO_SPACE = {28, 122}  # ENOSPC, EDQUOT


class Results(msgspec.Struct, frozen=True):
    """Everything readable. `num_skipped` lines were cut by a crash or written by a later gemstead."""

    records: list[Record]
    num_skipped: int

    @property
    def runs(self) -> list[Run]:
        return gather_runs(self.records)

    @property
    def loads(self) -> list[LoadRun]:
        return [record for record in self.records if isinstance(record, LoadRun)]


class _Version(msgspec.Struct):
    schema: int


class ResultStore:
    """The results of one data directory; any number of processes may write."""

    def __init__(self, data: Path) -> None:
        self.path = data / FILE

    def append(self, record: Record) -> None:
        """On the disk when it returns. Raises: as `append_line`."""
        append_line(self.path, msgspec.json.encode(record))

    def read(self) -> Results:
        """Raises: as `read_lines`."""
        lines = read_lines(self.path)
        records = [record for record in map(_decode, lines) if record is not None]
        return Results(records, len(lines) - len(records))

    def find_run(self, name: str) -> Run:
        """The run whose id begins with `name`; "last" is the newest.

        Raises: NameUnknown if there is none; RequestInvalid if several begin so.
        """
        runs = self.read().runs
        found = runs[-1:] if name == "last" else [run for run in runs if run.start.run.startswith(name)]
        if not found:
            raise NameUnknown("run", name, [run.start.run for run in runs], hint="(gemstead bench list)")
        if len(found) > 1:
            raise RequestInvalid(f"{len(found)} runs begin with {name!r}", hint="give more of the id")
        return found[0]


def new_run_id() -> str:
    """Sorts by time: `20261124-081500-3fa2`."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def append_line(path: Path, line: bytes) -> None:
    """One more line at the end of a file, its folder made if need be; on the disk when it returns.

    Raises: DiskFull; RequestInvalid if the folder cannot be written to.
    """
    from filelock import FileLock

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            _append(path, line + b"\n")
    except OSError as exc:
        if exc.errno in _NO_SPACE:
            raise DiskFull(f"no space for the results in {path}", missing_bytes=len(line)) from exc
        raise RequestInvalid(f"{path} cannot be written: {exc.strerror}") from exc


def read_lines(path: Path) -> list[bytes]:
    """The lines that are not empty; none where there is no file. Raises: RequestInvalid if it cannot be read."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise RequestInvalid(f"{path} cannot be read: {exc.strerror}") from exc
    return [line for line in content.split(b"\n") if line.strip()]


def _append(path: Path, line: bytes) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            line = b"\n" + line  # a crash cut the last line: close it off
        os.write(handle, line)
        os.fsync(handle)
    finally:
        os.close(handle)


def _decode(line: bytes) -> Record | None:
    try:
        if msgspec.json.decode(line, type=_Version).schema > SCHEMA:
            return None
        record: Record = msgspec.json.decode(line, type=Record)
    except msgspec.DecodeError:
        return None
    return record
