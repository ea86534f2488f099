"""Who computes: the processors of a machine that share a model's layers, with their ceilings and efficiencies."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from gemstead.core.figures import Figure
from gemstead.hardware.snapshot import Machine
from gemstead.planner.calibration import Efficiency, cpu_kind, find_efficiency, gpu_kind

RATED_SHARE = 0.75
"""What programs reach of a memory's rating: 0.7 to 0.8 of it on ordinary machines. Processors' efficiencies count from
there, GPUs' from the rating itself."""

_FORMULAS = 2
"""Raised when speed.py or traffic.py come to reckon differently: results of before then correct nothing."""


class Unit(msgspec.Struct, frozen=True):
    """One processor and the share of the layers it computes, 0 to 1.

    `bandwidth` in bytes per second. `matmul` in operations per second; None: not known, so prefill is not predicted.
    """

    share: float
    bandwidth: Figure
    matmul: Figure | None
    efficiency: Efficiency


def find_units(machine: Machine, engine: str, num_layers: int, gpu_layers: int) -> tuple[Unit, ...]:
    """The processors of one layout, the GPU first; none if the bandwidth of one that takes part is not known.

    `gpu_layers` counts as llama.cpp's `-ngl` does: num_layers + 1 is everything. Layers on several GPUs take turns, so
    they count as one GPU like the first.
    """
    gpu_share = min(1.0, gpu_layers / (num_layers + 1))
    units: list[Unit] = []
    if gpu_share > 0:
        gpu = machine.gpus[0]
        bandwidth = gpu.bandwidth or (machine.memory.bandwidth if gpu.is_unified_memory else None)
        if bandwidth is None:
            return ()
        units.append(Unit(gpu_share, bandwidth, gpu.matmul, find_efficiency(engine, gpu_kind(gpu))))
    if gpu_share < 1:
        if machine.memory.bandwidth is None:
            return ()
        efficiency = find_efficiency(engine, cpu_kind(machine))
        bandwidth = reachable_bandwidth(machine.memory.bandwidth)
        units.append(Unit(1 - gpu_share, bandwidth, machine.cpu.matmul, efficiency))
    return tuple(units)


def reachable_bandwidth(bandwidth: Figure) -> Figure:
    """What a copy on the processor reaches: as measured, or the known share of a rating."""
    if bandwidth.basis == "measured":
        return bandwidth
    return msgspec.structs.replace(bandwidth, value=bandwidth.value * RATED_SHARE)


def calibration_of(units: Sequence[Unit]) -> str:
    """A name for the ceilings and efficiencies of `units`, whatever share of the layers each computes."""
    parts = [
        (
            unit.bandwidth.value,
            unit.matmul.value if unit.matmul is not None else None,
            msgspec.structs.replace(unit.efficiency, decode_error=0.0, prefill_error=0.0, how="", source=""),
        )
        for unit in units
    ]
    return sha256(msgspec.json.encode((_FORMULAS, parts))).hexdigest()[:12]
