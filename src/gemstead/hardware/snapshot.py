"""A machine as the planner sees it: probed or named, plain values either way."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from gemstead.core.figures import BytesFigure, Figure
from gemstead.core.speed import SpeedCorrection

Vendor: TypeAlias = Literal["nvidia", "amd", "apple", "intel"]

Origin: TypeAlias = Literal["probed", "profile"]


class Cpu(msgspec.Struct, frozen=True):
    """`usable_cores` are the physical cores this process may really use: affinity and cgroup quota taken off.

    `instruction_sets` in one spelling for every system: sse4_2, avx, avx2, bmi2, f16c, fma, avx512f, avx512bw,
    avx512vl, avx512_vnni, avx512_bf16, avx_vnni, amx_tile, amx_int8, amx_bf16; neon, fp16, dotprod, i8mm, bf16, sve,
    sve2, sme. Unknown counts are None. `matmul` is the matrix throughput of the usable cores together, in operations
    per second on 32-bit floats (a multiplication and an addition are two).
    """

    model: str | None
    architecture: str
    physical_cores: int | None
    logical_cores: int
    usable_cores: int
    instruction_sets: tuple[str, ...] = ()
    last_level_cache_bytes: int | None = None
    matmul: Figure | None = None


class Memory(msgspec.Struct, frozen=True):
    """Main memory. `limit_bytes` is the tightest cgroup limit, None without one; `available` respects it.

    `bandwidth` is in bytes per second, read and write together; None: not measured, not published.
    """

    total_bytes: int
    available: BytesFigure
    limit_bytes: int | None = None
    bandwidth: Figure | None = None


class Gpu(msgspec.Struct, frozen=True):
    """One accelerator. `is_unified_memory`: it has no memory of its own but uses the machine's, up to `total_bytes`.

    `matmul` in operations per second on 16-bit floats with 32-bit sums, dense; where there are matrix units, theirs.
    """

    name: str
    vendor: Vendor
    total_bytes: int
    available: BytesFigure
    driver: str | None = None
    is_unified_memory: bool = False
    bandwidth: Figure | None = None
    matmul: Figure | None = None


class Disk(msgspec.Struct, frozen=True):
    """Free space where models are kept."""

    path: str
    free_bytes: int


class Machine(msgspec.Struct, frozen=True):
    """Everything a plan depends on. `notes` says what could not be found out, one sentence each.

    `power` is what the whole machine draws while it generates, in watts; None: neither measured nor stated.
    `corrections` are what earlier measurements on it taught about predicted speeds.
    """

    name: str
    origin: Origin
    cpu: Cpu
    memory: Memory
    gpus: tuple[Gpu, ...] = ()
    disk: Disk | None = None
    notes: tuple[str, ...] = ()
    source: str | None = None
    power: Figure | None = None
    corrections: tuple[SpeedCorrection, ...] = ()

    @property
    def has_unified_memory(self) -> bool:
        """True: processor and accelerator share one memory."""
        return any(gpu.is_unified_memory for gpu in self.gpus)

    @property
    def own_memory_gpus(self) -> tuple[Gpu, ...]:
        """Accelerators with their own memory."""
        return tuple(gpu for gpu in self.gpus if not gpu.is_unified_memory)
