"""What Linux control groups (versions 1 and 2, nested) leave of the machine: memory and processor time.

Every group from ours up to the root may limit; the tightest wins. In a container the root seen is the container's own.
Source: Linux kernel documentation, admin-guide/cgroup-v2 and cgroup-v1/memory, scheduler/sched-bwc.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

CGROUP_ROOT = Path("/sys/fs/cgroup")

_UNLIMITED_BYTES = 1 << 60
"""Version 1 writes "no limit" as the largest page-aligned number; nothing real comes near it."""


class MemoryLimit(msgspec.Struct, frozen=True):
    """`free_bytes` is what the group may still take, its droppable file pages counted as free."""

    limit_bytes: int
    free_bytes: int


class _Layout(msgspec.Struct, frozen=True):
    """File names of one version."""

    limit: str
    usage: str
    file_pages: tuple[str, ...]


_V2 = _Layout("memory.max", "memory.current", ("inactive_file", "active_file"))
_V1 = _Layout("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))


def memory_limit(membership: str, root: Path = CGROUP_ROOT) -> MemoryLimit | None:
    """The limit that leaves least, or None. `membership` is the text of /proc/self/cgroup."""
    limits = [
        limit
        for folder, is_v2 in _groups(membership, "memory", root)
        if (limit := _read_memory_limit(folder, _V2 if is_v2 else _V1)) is not None
    ]
    return min(limits, key=lambda limit: limit.free_bytes, default=None)


def cpu_quota(membership: str, root: Path = CGROUP_ROOT) -> float | None:
    """Processors' worth of time the tightest group allows, such as 1.5; None without a limit."""
    quotas = [
        quota
        for folder, is_v2 in _groups(membership, "cpu", root)
        if (quota := _read_quota_v2(folder) if is_v2 else _read_quota_v1(folder)) is not None
    ]
    return min(quotas, default=None)


def oom_kills(membership: str, root: Path = CGROUP_ROOT) -> int | None:
    """How many processes of our own group the kernel has killed because memory ran out; None where it does not tell."""
    for folder, is_v2 in _groups(membership, "memory", root):
        counters = _read_counters(folder / ("memory.events" if is_v2 else "memory.oom_control"))
        if "oom_kill" in counters:
            return counters["oom_kill"]
    return None


def _groups(membership: str, controller: str, root: Path) -> Iterator[tuple[Path, bool]]:
    """Folders of our group and its ancestors that exist, with whether they are version 2."""
    for line in membership.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            for mount in (root, root / "unified"):
                yield from ((folder, True) for folder in _upwards(mount, path))
        elif controller in controllers.split(","):
            for mount in dict.fromkeys((root / controllers, root / controller)):
                yield from ((folder, False) for folder in _upwards(mount, path))


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    names = [name for name in path.split("/") if name not in {"", ".", ".."}]
    for depth in range(len(names), -1, -1):
        folder = mount.joinpath(*names[:depth])
        if folder.is_dir():
            yield folder


def _read_memory_limit(folder: Path, layout: _Layout) -> MemoryLimit | None:
    limit = _read_number(folder / layout.limit)
    if limit is None or limit >= _UNLIMITED_BYTES:
        return None
    used = _read_number(folder / layout.usage) or 0
    counters = _read_counters(folder / "memory.stat")
    droppable = sum(counters.get(name, 0) for name in layout.file_pages)
    return MemoryLimit(limit_bytes=limit, free_bytes=max(0, limit - max(0, used - droppable)))


def _read_quota_v2(folder: Path) -> float | None:
    quota, _, period = _read_text(folder / "cpu.max").partition(" ")
    if not (quota.isdecimal() and period.isdecimal() and int(period)):
        return None
    return int(quota) / int(period)


def _read_quota_v1(folder: Path) -> float | None:
    quota, period = _read_number(folder / "cpu.cfs_quota_us"), _read_number(folder / "cpu.cfs_period_us")
    return quota / period if quota and period else None


def _read_counters(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _read_text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _read_number(path: Path) -> int | None:
    """A non-negative number; None for "max", -1 or no file."""
    text = _read_text(path)
    return int(text) if text.isdecimal() else None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
