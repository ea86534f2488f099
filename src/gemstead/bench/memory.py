"""What a process holds in memory, as the system counts it.

Source: proc(5), `/proc/PID/status` (VmHWM) and `/proc/PID/smaps_rollup` (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from gemstead.core.units import KIB

PROC = Path("/proc")


class MemoryReading(msgspec.Struct, frozen=True):
    """`rss_bytes` counts every page in memory, mapped weights included; `pss_bytes` shares common pages out.

    PSS by kind: `anon_bytes` its own, `shmem_bytes` shared memory (a GPU driver's pinned buffers), `file_bytes` pages
    of mapped files, which the system may drop and read again. `kept_bytes` of its own are earlier prompts that it keeps
    in case they go on, as it says itself. `peak_rss_bytes` is the highest RSS of the process so far, `swap_bytes` what
    was pushed out, `gpu_bytes` what it holds on graphics cards. None: nobody says.
    """

    rss_bytes: int
    peak_rss_bytes: int | None = None
    pss_bytes: int | None = None
    swap_bytes: int | None = None
    gpu_bytes: int | None = None
    anon_bytes: int | None = None
    file_bytes: int | None = None
    shmem_bytes: int | None = None
    kept_bytes: int | None = None


_ROLLUP = {
    "pss_bytes": "Pss",
    "swap_bytes": "SwapPss",
    "anon_bytes": "Pss_Anon",
    "file_bytes": "Pss_File",
    "shmem_bytes": "Pss_Shmem",
}
"""The last three since Linux 5.9."""


def read_memory(pid: int, proc: Path = PROC) -> MemoryReading | None:
    """Now. None once the process is gone. The rollup walks all pages of a large process: not for every token."""
    status, rollup = _fields(proc / str(pid) / "status"), _fields(proc / str(pid) / "smaps_rollup")
    if "VmRSS" in status:
        by_kind = {field: rollup.get(name) for field, name in _ROLLUP.items()}
        return MemoryReading(status["VmRSS"], status.get("VmHWM"), **by_kind)
    return _read_elsewhere(pid) if not proc.is_dir() else None


def peak_of(readings: Iterable[MemoryReading]) -> MemoryReading | None:
    """The highest of each figure, over several moments."""
    seen = list(readings)
    if not seen:
        return None
    highest = {name: _highest(getattr(one, name) for one in seen) for name in MemoryReading.__struct_fields__}
    return msgspec.convert(highest, MemoryReading)


def _highest(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _fields(path: Path) -> dict[str, int]:
    """The lines that say `Name:   123 kB`, in bytes."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return {}
    parts = (line.split() for line in text.splitlines())
    return {part[0].rstrip(":"): int(part[1]) * KIB for part in parts if len(part) == 3 and part[2] == "kB"}


def _read_elsewhere(pid: int) -> MemoryReading | None:
    import psutil

    try:
        return MemoryReading(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None
