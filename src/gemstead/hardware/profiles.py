"""Named machines, read from `profiles.toml` beside this file: for plans made away from the machine."""

from __future__ import annotations

import datetime
import tomllib
from functools import cache
from importlib import resources

import msgspec

from gemstead.core.errors import NameUnknown
from gemstead.core.figures import Basis, BytesFigure, Figure
from gemstead.core.units import MIB, parse_bytes
from gemstead.hardware.snapshot import Cpu, Gpu, Machine, Memory, Vendor

_GPU_RESERVED_BYTES = 512 * MIB
"""What the desktop and the driver keep of a graphics card's own memory: assumed."""

_RATED_ERROR = 0.2
"""How far programs stay below a memory's rated bandwidth, roughly."""

_PEAK_ERROR, _POWER_ERROR = 0.3, 0.3
"""Clocks under load are lower than rated, and power changes with the load."""


class _GpuProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    vendor: Vendor
    memory: str
    bandwidth_gb_per_s: float
    matmul_tflops: float
    is_unified_memory: bool = False


class _Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cpu: str
    architecture: str
    cores: int
    instruction_sets: tuple[str, ...]
    memory: str
    system: str
    bandwidth_gb_per_s: float
    basis: Basis
    source: str
    read: datetime.date
    matmul_gflops: float
    power_w: float
    gpu: _GpuProfile | None = None


def profile_names() -> list[str]:
    """Every named machine, smallest kinds first."""
    return list(_load())


def load_profile(name: str) -> Machine:
    """The machine called `name`; its free memory is an assumption, its bandwidth mostly a maker's figure.

    Raises: NameUnknown, with the nearest name.
    """
    profiles = _load()
    if name not in profiles:
        raise NameUnknown("machine", name, list(profiles), param="on")
    profile = profiles[name]
    total = parse_bytes(profile.memory)
    free = total - parse_bytes(profile.system)
    source = f"{profile.source}, read {profile.read.isoformat()}"
    return Machine(
        name=name,
        origin="profile",
        cpu=Cpu(
            model=profile.cpu,
            architecture=profile.architecture,
            physical_cores=profile.cores,
            logical_cores=profile.cores,
            usable_cores=profile.cores,
            instruction_sets=tuple(sorted(profile.instruction_sets)),
            matmul=Figure(profile.matmul_gflops * 1e9, "assumed", _PEAK_ERROR, "cores x clock x lanes"),
        ),
        memory=Memory(
            total_bytes=total,
            available=BytesFigure(free, "assumed", 0.1, f"{profile.memory} less {profile.system} for the system"),
            bandwidth=Figure(profile.bandwidth_gb_per_s * 1e9, profile.basis, _RATED_ERROR, source),
        ),
        gpus=(_gpu(profile.gpu, free, source),) if profile.gpu else (),
        source=source,
        power=Figure(profile.power_w, "assumed", _POWER_ERROR, "the whole machine while it generates"),
    )


def with_rated_gpus(machine: Machine) -> Machine:
    """`machine` with the published bandwidth and matrix throughput of the GPUs that a profile knows by name.

    Drivers tell neither; a GPU that no profile has stays without.
    """
    rated = {profile.gpu.name: profile.gpu for profile in _load().values() if profile.gpu}
    gpus = tuple(_rated(gpu, rated.get(gpu.name)) for gpu in machine.gpus)
    return msgspec.structs.replace(machine, gpus=gpus)


def _rated(gpu: Gpu, profile: _GpuProfile | None) -> Gpu:
    if profile is None or gpu.bandwidth is not None:
        return gpu
    source = "the maker's rating"
    return msgspec.structs.replace(
        gpu,
        bandwidth=Figure(profile.bandwidth_gb_per_s * 1e9, "published", _RATED_ERROR, source),
        matmul=Figure(profile.matmul_tflops * 1e12, "published", _PEAK_ERROR, source),
    )


def _gpu(profile: _GpuProfile, host_free_bytes: int, source: str) -> Gpu:
    total = parse_bytes(profile.memory)
    free = min(total, host_free_bytes) if profile.is_unified_memory else total - _GPU_RESERVED_BYTES
    return Gpu(
        name=profile.name,
        vendor=profile.vendor,
        total_bytes=total,
        available=BytesFigure(free, "assumed", 0.05),
        is_unified_memory=profile.is_unified_memory,
        bandwidth=Figure(profile.bandwidth_gb_per_s * 1e9, "published", _RATED_ERROR, source),
        matmul=Figure(profile.matmul_tflops * 1e12, "published", _PEAK_ERROR, source),
    )


@cache
def _load() -> dict[str, _Profile]:
    text = resources.files("gemstead.hardware").joinpath("profiles.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, _Profile])
