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

    `peak_rss_bytes` is the highest RSS of the process so far. None: the system does not say. `swap_bytes`: pushed out.
    `gpu_bytes` is what it holds on graphics cards; weights that are there stay mapped in RSS and PSS as well.
    """

    rss_bytes: int
    peak_rss_bytes: int | None = None
    pss_bytes: int | None = None
    swap_bytes: int | None = None
    gpu_bytes: int | None = None


def read_memory(pid: int, proc: Path = PROC) -> MemoryReading | None:
    """Now. None once the process is gone. The rollup walks all pages of a large process: not for every token."""
    status, rollup = _fields(proc / str(pid) / "status"), _fields(proc / str(pid) / "smaps_rollup")
    if "VmRSS" in status:
        return MemoryReading(status["VmRSS"], status.get("VmHWM"), rollup.get("Pss"), rollup.get("SwapPss"))
    return _read_elsewhere(pid) if not proc.is_dir() else None


def peak_of(readings: Iterable[MemoryReading]) -> MemoryReading | None:
    """The highest of each figure, over several moments."""
    seen = list(readings)
    if not seen:
        return None
    return MemoryReading(
        rss_bytes=max(one.rss_bytes for one in seen),
        peak_rss_bytes=_highest(one.peak_rss_bytes for one in seen),
        pss_bytes=_highest(one.pss_bytes for one in seen),
        swap_bytes=_highest(one.swap_bytes for one in seen),
        gpu_bytes=_highest(one.gpu_bytes for one in seen),
    )


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
