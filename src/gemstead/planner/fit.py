"""Does it fit: the memory a machine offers, and the best way to lay a model out in it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gemstead.core.figures import BytesFigure
from gemstead.core.plan import MemoryPart, Place
from gemstead.hardware.snapshot import Machine
from gemstead.planner.candidate import Candidate, Goal
from gemstead.planner.memory import CPU_ONLY, PlacedWeights, Placement, memory_parts


class Budget(msgspec.Struct, frozen=True):
    """Free memory and what of it a plan may use; GPU figures are None without a GPU of its own memory.

    `unified_bytes` bounds what the GPU may use of the host's memory where both share it; None elsewhere.
    """

    host_available: BytesFigure
    host_bytes: int
    gpu_available: BytesFigure | None = None
    gpu_bytes: int | None = None
    unified_bytes: int | None = None


class Fit(msgspec.Struct, frozen=True):
    """One layout: `missing_bytes` is 0 if it fits, else what the host lacks."""

    placement: Placement
    parts: tuple[MemoryPart, ...]
    missing_bytes: int

    @property
    def is_fitting(self) -> bool:
        return self.missing_bytes == 0


def find_budget(machine: Machine, goal: Goal) -> Budget:
    """What of the machine's free memory may be used with the goal's head-room left."""
    share = 1 - goal.headroom
    host = machine.memory.available
    budget = Budget(host_available=host, host_bytes=int(host.num_bytes * share))
    if not goal.can_use_gpu:
        return budget
    if machine.own_memory_gpus:
        free = sum(gpu.available.num_bytes for gpu in machine.own_memory_gpus)
        first = machine.own_memory_gpus[0].available
        available = BytesFigure(free, first.basis, first.error, first.source)
        return msgspec.structs.replace(budget, gpu_available=available, gpu_bytes=int(free * share))
    if machine.has_unified_memory:
        limit = max(gpu.available.num_bytes for gpu in machine.gpus if gpu.is_unified_memory)
        return msgspec.structs.replace(budget, unified_bytes=min(budget.host_bytes, limit))
    return budget


def find_fit(candidate: Candidate, placed: PlacedWeights, goal: Goal, context_length: int, budget: Budget) -> Fit:
    """The layout with the most layers on the GPU that fits, or the one that lacks least.

    Raises: RequestInvalid if the KV cache's type does not suit the model.
    """

    def lay_out(placement: Placement) -> tuple[MemoryPart, ...]:
        return memory_parts(candidate, placed, goal, context_length, placement)

    everything = candidate.shape.num_layers + 1
    if budget.unified_bytes is not None:
        shared = Placement(everything, is_unified_memory=True)
        parts = lay_out(shared)
        if _resident(parts, "host") <= budget.unified_bytes:
            return Fit(shared, parts, 0)
    best = CPU_ONLY
    if budget.gpu_bytes is not None:
        best = Placement(_most_gpu_layers(lay_out, everything, budget.gpu_bytes))
    parts = lay_out(best)
    return Fit(best, parts, max(0, _resident(parts, "host") - budget.host_bytes))


def _most_gpu_layers(lay_out: Callable[[Placement], tuple[MemoryPart, ...]], everything: int, gpu_bytes: int) -> int:
    """The largest number of layers that fits the GPU, by halving: each layer more needs more there."""
    fitting, too_many = 0, everything + 1
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        if _resident(lay_out(Placement(middle)), "gpu") <= gpu_bytes:
            fitting = middle
        else:
            too_many = middle
    return fitting


def _resident(parts: tuple[MemoryPart, ...], place: Place) -> int:
    return sum(part.size.num_bytes for part in parts if part.place == place and not part.is_reclaimable)
