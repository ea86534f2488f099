"""Space where models are kept, and how fast that disk really is: a small file written through and read back."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from gemstead.catalog.space import MOVE_HINT, free_bytes
from gemstead.core.errors import GemsteadError
from gemstead.core.units import GIB, MIB, format_bytes, format_duration
from gemstead.doctor.check import Check
from gemstead.doctor.finding import Evidence, Finding
from gemstead.doctor.subject import Subject

CHUNK_BYTES = 4 * MIB
MAX_FILE_BYTES = 16 * MIB
TIME_LIMIT_S = 0.25
"""For each direction: no chunk is begun after it."""
LEAST_FREE_BYTES = 1 * GIB
SLOW_BYTES_PER_S = 100 * MIB
"""Slower than any SSD: loading 3 GB takes half a minute."""
USUAL_MODEL_BYTES = 3 * GIB
"""When no plan says more: the smallest Gemma 4 and its projector."""


class DiskSpeed(msgspec.Struct, frozen=True):
    """Bytes per second. `is_read_cached` True: the system could not be told to forget the file, so it is memory's."""

    written_bytes_per_s: float
    read_bytes_per_s: float
    is_read_cached: bool


def look(subject: Subject) -> Iterator[Finding]:
    folder = _existing(subject.store.root)
    free = free_bytes(folder)
    evidence: dict[str, Evidence] = {"path": str(folder), "free_bytes": free}
    needed = _download_bytes(subject)
    if free < LEAST_FREE_BYTES:
        yield Finding("error", f"{format_bytes(free)} are free at {folder}", "nothing can be kept", MOVE_HINT, evidence)
        return
    if free < needed:
        why = f"the model of the settings needs {format_bytes(needed)}"
        yield Finding("warning", f"{format_bytes(free)} are free at {folder}", why, MOVE_HINT, evidence)
    else:
        yield Finding("ok", f"{format_bytes(free)} free at {folder}", evidence=evidence)
    if not os.access(folder, os.W_OK):
        yield Finding("error", f"{folder} cannot be written to", fix=f"give it to this user: chown $USER {folder}")
        return
    yield judge_speed(measure_speed(folder), needed)


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _download_bytes(subject: Subject) -> int:
    """What is still to be fetched for the model of the settings."""
    try:
        plan = subject.plan(None)
    except GemsteadError:
        return USUAL_MODEL_BYTES  # the check of the memory says why there is no plan
    return plan.download_bytes or 0


def judge_speed(speed: DiskSpeed, model_bytes: int) -> Finding:
    """Whether loading a model of that size from it is bearable."""
    shown = f"reads {speed.read_bytes_per_s / 1e6:.0f} MB/s, writes {speed.written_bytes_per_s / 1e6:.0f} MB/s"
    evidence = {
        "read_bytes_per_s": round(speed.read_bytes_per_s),
        "written_bytes_per_s": round(speed.written_bytes_per_s),
        "is_read_cached": speed.is_read_cached,
    }
    if speed.read_bytes_per_s >= SLOW_BYTES_PER_S:
        return Finding("ok", f"the disk {shown}", evidence=evidence)
    size_bytes = max(model_bytes, USUAL_MODEL_BYTES)
    load_s = size_bytes / speed.read_bytes_per_s
    why = f"loading {format_bytes(size_bytes)} takes about {format_duration(load_s)}"
    return Finding("warning", f"the disk {shown}", why, MOVE_HINT.partition(", or ")[2], evidence)


def measure_speed(folder: Path) -> DiskSpeed:
    """A nameless file in `folder`, at most 16 MiB, gone afterwards. A second at most, unless one write takes longer."""
    chunk = os.urandom(CHUNK_BYTES)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        begin_s = time.perf_counter()
        size_bytes = 0
        while size_bytes < MAX_FILE_BYTES and (not size_bytes or time.perf_counter() - begin_s < TIME_LIMIT_S):
            size_bytes += file.write(chunk)
        os.fsync(file.fileno())
        written_s = time.perf_counter() - begin_s
        is_forgotten = _forget_pages(file)
        file.seek(0)
        begin_s = time.perf_counter()
        read_bytes = 0
        while (not read_bytes or time.perf_counter() - begin_s < TIME_LIMIT_S) and (piece := file.read(CHUNK_BYTES)):
            read_bytes += len(piece)
        read_s = time.perf_counter() - begin_s
    return DiskSpeed(size_bytes / written_s, read_bytes / read_s, not is_forgotten)


def _forget_pages(file: IO[bytes]) -> bool:
    """Tells the system to drop what it remembers of the file, where it can be told (Linux)."""
    if not hasattr(os, "posix_fadvise"):
        return False
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


CHECK = Check(
    name="disk",
    group="machine",
    looks_at="free space where models are kept, and the speed of that disk (16 MiB written and read back)",
    complains_when="the model would not fit, less than 1 GiB is free, or reading is slower than 100 MiB/s",
    look=look,
)
