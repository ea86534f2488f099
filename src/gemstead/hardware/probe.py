"""Looks at this machine: processor, memory and its limits, GPUs, disk. What fails becomes a note."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gemstead.core.figures import BytesFigure
from gemstead.hardware import cgroups, linux
from gemstead.hardware.amd import probe_amd
from gemstead.hardware.apple import probe_apple_cpu, probe_apple_gpu
from gemstead.hardware.nvidia import probe_nvidia
from gemstead.hardware.programs import ProbeFailed
from gemstead.hardware.snapshot import Cpu, Disk, Gpu, Machine, Memory

T = TypeVar("T")

THIS_MACHINE = "this machine"


def probe(disk_path: Path) -> Machine:
    """This machine now, its ceilings not measured. `disk_path` is where models are kept, existing or not.

    Never raises for what cannot be found out: see `Machine.notes`.
    """
    notes: list[str] = []
    membership = read_membership()
    cpu = _noted(notes, lambda: _probe_cpu(membership)) or _plain_cpu()
    memory = _probe_memory(membership)
    return Machine(
        name=THIS_MACHINE,
        origin="probed",
        cpu=cpu,
        memory=memory,
        gpus=_probe_gpus(memory, notes),
        disk=_noted(notes, lambda: _probe_disk(disk_path)),
        notes=tuple(notes),
    )


def usable_cores(cores_in_reach: int, quota: float | None) -> int:
    """Whole cores that a quota of processor time leaves of `cores_in_reach`, at least one.

    Rounded down: a thread more than the quota allows is stopped for part of every period, and all wait for it.
    """
    return cores_in_reach if quota is None else max(1, min(cores_in_reach, int(quota)))


def _noted(notes: list[str], probe_part: Callable[[], T]) -> T | None:
    try:
        return probe_part()
    except ProbeFailed as exc:
        notes.append(str(exc))
        return None


def read_membership() -> str:
    """The control groups of this process, as `hardware.cgroups` takes them; empty without any."""
    try:
        return Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # not Linux: no control groups


def _probe_cpu(membership: str) -> Cpu:
    if sys.platform == "darwin":
        return probe_apple_cpu(platform.machine(), os.cpu_count() or 1)
    if sys.platform == "linux":
        return _probe_linux_cpu(membership)
    raise ProbeFailed(f"the processor is not probed on {sys.platform}")


def _probe_linux_cpu(membership: str) -> Cpu:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError as exc:
        raise ProbeFailed(f"/proc/cpuinfo cannot be read: {exc.strerror}") from exc
    found = linux.parse_cpuinfo(text)
    logical = os.cpu_count() or found.num_processors or 1
    allowed = _affinity() or set(range(logical))
    in_reach = linux.count_cores(allowed, found.cores) or len(allowed)
    return Cpu(
        model=found.model,
        architecture=platform.machine(),
        physical_cores=linux.count_cores(range(logical), found.cores),
        logical_cores=logical,
        usable_cores=usable_cores(in_reach, cgroups.cpu_quota(membership)),
        instruction_sets=found.instruction_sets,
        last_level_cache_bytes=linux.last_level_cache_bytes(),
    )


def _affinity() -> set[int]:
    return os.sched_getaffinity(0) if sys.platform == "linux" else set()


def _plain_cpu() -> Cpu:
    cores = os.cpu_count() or 1
    return Cpu(
        model=platform.processor() or None,
        architecture=platform.machine(),
        physical_cores=None,
        logical_cores=cores,
        usable_cores=cores,
    )


def _probe_memory(membership: str) -> Memory:
    import psutil

    system = psutil.virtual_memory()
    limit = cgroups.memory_limit(membership)
    limit_bytes = limit.limit_bytes if limit and limit.limit_bytes < system.total else None
    free_bytes = min(system.available, limit.free_bytes) if limit else system.available
    return Memory(
        total_bytes=system.total,
        available=BytesFigure(free_bytes, "measured", 0.05, "free now, droppable file pages included"),
        limit_bytes=limit_bytes,
    )


def _probe_gpus(memory: Memory, notes: list[str]) -> tuple[Gpu, ...]:
    total, available = memory.limit_bytes or memory.total_bytes, memory.available.num_bytes
    probes: list[Callable[[], tuple[Gpu, ...]]] = [lambda: probe_nvidia(total, available)]
    if sys.platform == "linux":
        probes.append(probe_amd)
    if sys.platform == "darwin":
        probes.append(lambda: probe_apple_gpu(total, available))
    return tuple(gpu for one in probes for gpu in _noted(notes, one) or ())


def _probe_disk(path: Path) -> Disk:
    """The file system that `path` is on, or will be on once its missing folders are made."""
    existing = next((folder for folder in (path, *path.parents) if folder.exists()), None)
    if existing is None:
        raise ProbeFailed(f"no existing folder leads to {path}")
    try:
        return Disk(path=str(path), free_bytes=shutil.disk_usage(existing).free)
    except OSError as exc:
        raise ProbeFailed(f"free disk space at {existing} is unknown: {exc.strerror}") from exc
