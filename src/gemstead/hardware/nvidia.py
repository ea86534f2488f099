"""NVIDIA GPUs, asked through `nvidia-smi`, which comes with every driver."""

from __future__ import annotations

from gemstead.core.figures import BytesFigure
from gemstead.core.units import MIB
from gemstead.hardware.programs import ProbeFailed, has_program, read_program
from gemstead.hardware.snapshot import Gpu

_FIELDS = ("name", "driver_version", "memory.total", "memory.free")

QUERY = ("nvidia-smi", f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits")


def probe_nvidia(host_total_bytes: int, host_available_bytes: int) -> tuple[Gpu, ...]:
    """The GPUs with their free memory now; none without a driver.

    Raises: ProbeFailed if there is a driver and it does not answer.
    """
    if not has_program(QUERY[0]):
        return ()
    return parse_nvidia_smi(read_program(QUERY), host_total_bytes, host_available_bytes)


def parse_nvidia_smi(text: str, host_total_bytes: int, host_available_bytes: int) -> tuple[Gpu, ...]:
    """The answer to `QUERY`, sizes in MiB. Where the memory is "[N/A]" the chip shares the machine's (Jetson, GB10).

    Raises: ProbeFailed if a line does not have the fields asked for.
    """
    return tuple(_gpu(line, host_total_bytes, host_available_bytes) for line in text.splitlines() if line.strip())


def _gpu(line: str, host_total_bytes: int, host_available_bytes: int) -> Gpu:
    fields = [field.strip() for field in line.split(",")]
    if len(fields) != len(_FIELDS):
        raise ProbeFailed(f"nvidia-smi printed {line[:80]!r}, which is not what was asked")
    name, driver, total, free = fields
    is_unified = not (total.isdecimal() and free.isdecimal())
    return Gpu(
        name=name,
        vendor="nvidia",
        total_bytes=host_total_bytes if is_unified else int(total) * MIB,
        available=BytesFigure(host_available_bytes if is_unified else int(free) * MIB, "measured", source=QUERY[0]),
        driver=driver,
        is_unified_memory=is_unified,
    )


HELD_QUERY = ("nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits")


def held_gpu_bytes(pid: int) -> int | None:
    """Memory that a process holds on all NVIDIA GPUs, its CUDA context included; None if that cannot be told."""
    if not has_program(HELD_QUERY[0]):
        return None
    try:
        return parse_held(read_program(HELD_QUERY), pid)
    except ProbeFailed:
        return None


def parse_held(text: str, pid: int) -> int | None:
    """The answer to `HELD_QUERY`, sizes in MiB; None if the process is not in it, or its size is not told."""
    rows = [line.split(",") for line in text.splitlines()]
    sizes = [row[1].strip() for row in rows if len(row) == 2 and row[0].strip() == str(pid)]
    if not sizes or not all(size.isdecimal() for size in sizes):
        return None
    return sum(map(int, sizes)) * MIB
