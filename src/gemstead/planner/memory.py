"""Every part of the memory that llama.cpp takes for one model, and whether it is the host's or the GPU's.

Not among the parts is what the engine fills later, earlier prompts and context checkpoints: `planner/caches.py` bounds
them by what is left over.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from gemstead.core.figures import BytesFigure
from gemstead.core.plan import MemoryPart, PartName, Place
from gemstead.core.shapes import ModelShape
from gemstead.planner.buffers import (
    COMPUTE_ERROR,
    GPU_COMPUTE_ERROR,
    GPU_CONTEXT_BYTES,
    GPU_CONTEXT_ERROR,
    GPU_DRIVER_BYTES,
    GPU_DRIVER_ERROR,
    INPUT_BUFFER_ERROR,
    RUNTIME_ERROR,
    compute_buffer_bytes,
    input_buffer_bytes,
    runtime_bytes,
)
from gemstead.planner.candidate import Candidate, Goal, Weights
from gemstead.planner.kv_cache import KvCells, kv_cells
from gemstead.planner.weights import WeightBuffers, WeightLayout, lay_out_weights

_MMPROJ_ERROR = 0.3
"""The projector's own compute buffer depends on the image; nothing published says how large it grows."""


class Placement(msgspec.Struct, frozen=True):
    """How many layers the GPU takes (llama.cpp's `-ngl`), and whether its memory is the machine's own."""

    gpu_layers: int = 0
    is_unified_memory: bool = False

    @property
    def has_gpu(self) -> bool:
        return self.gpu_layers > 0

    @property
    def gpu_place(self) -> Place:
        """Where what the GPU works with is: one pool on machines with unified memory."""
        return "gpu" if self.has_gpu and not self.is_unified_memory else "host"


CPU_ONLY = Placement()


class PlacedWeights(msgspec.Struct, frozen=True):
    """A candidate's weights, laid out once for each way they may be kept: `whole` where a GPU that shares the memory
    reads them as they are, `woven` where the CPU takes part."""

    weights: Weights
    whole: WeightLayout
    woven: WeightLayout


def place_weights(candidate: Candidate, weights: Weights, instruction_sets: Collection[str]) -> PlacedWeights:
    """Ready for `memory_parts`, which a search for the best layout calls many times."""
    num_layers = candidate.shape.num_layers
    return PlacedWeights(
        weights,
        whole=lay_out_weights(weights.tensors, num_layers, ()),
        woven=lay_out_weights(weights.tensors, num_layers, instruction_sets),
    )


def memory_parts(
    candidate: Candidate, placed: PlacedWeights, goal: Goal, context_length: int, placement: Placement = CPU_ONLY
) -> tuple[MemoryPart, ...]:
    """The table of memory for slots of `context_length` tokens, in bytes with basis and error bar.

    Raises: RequestInvalid if the KV cache's type does not suit the model.
    """
    shape = candidate.shape
    cells = kv_cells(
        shape, context_length, goal.num_slots, ubatch_tokens=goal.ubatch_tokens, is_unified=goal.is_kv_unified
    )
    parts = _weight_parts(candidate, placed, placement)
    parts += _kv_parts(candidate, goal, cells, placement)
    if placement.gpu_place == "gpu":
        parts += _gpu_process_parts(shape, cells, goal, placement)
    else:
        compute = compute_buffer_bytes(shape, cells, goal.num_slots, goal.ubatch_tokens)
        parts.append(_part("compute_buffer", "host", compute, COMPUTE_ERROR))
    if candidate.mmproj_bytes is not None:
        size = BytesFigure(candidate.mmproj_bytes, "published", _MMPROJ_ERROR)
        parts.append(MemoryPart("mmproj", placement.gpu_place, size))
    parts.append(_runtime_part(shape, goal, placement))
    return tuple(part for part in parts if part.size.num_bytes)


def _weight_parts(candidate: Candidate, placed: PlacedWeights, placement: Placement) -> list[MemoryPart]:
    if not placed.weights.tensors:
        # Only the size of the file is known. Rearranged copies change where weights are, not how much must stay.
        return [MemoryPart("weights", placement.gpu_place, BytesFigure(candidate.file_bytes or 0, "published", 0.02))]
    if placement.has_gpu and placement.is_unified_memory and placement.gpu_layers > candidate.shape.num_layers:
        # The GPU reads the same memory: one copy of everything, nothing rearranged for the CPU.
        buffers = placed.whole.split()
    else:
        buffers = placed.woven.split(placement.gpu_layers)
    return _sized_parts(buffers, placed.weights, placement)


def _sized_parts(buffers: WeightBuffers, weights: Weights, placement: Placement) -> list[MemoryPart]:
    def scaled(num_bytes: int) -> BytesFigure:
        source = "the file's header" if weights.is_read else "the quantization's type rules"
        return BytesFigure(round(num_bytes * weights.scale), "computed", weights.error, source)

    return [
        MemoryPart("weights", "host", scaled(buffers.mapped_bytes - buffers.cold_bytes)),
        MemoryPart("weights", "host", scaled(buffers.cold_bytes), is_reclaimable=True),
        MemoryPart("repacked_weights", "host", scaled(buffers.repacked_bytes)),
        MemoryPart("weights", placement.gpu_place, scaled(buffers.gpu_bytes)),
    ]


def _kv_parts(candidate: Candidate, goal: Goal, cells: KvCells, placement: Placement) -> list[MemoryPart]:
    """The cache of a layer is where the layer is; the GPU takes the last ones."""
    layers = candidate.shape.layers
    first_gpu_layer = len(layers) + 1 - placement.gpu_layers
    sizes = [cells.layer_bytes(layer, goal.kv_cache_dtype) for layer in layers]
    return [
        _part("kv_cache", "host", sum(sizes[: max(0, first_gpu_layer)]), 0.0),
        _part("kv_cache", placement.gpu_place, sum(sizes[max(0, first_gpu_layer) :]), 0.0),
    ]


def _gpu_process_parts(shape: ModelShape, cells: KvCells, goal: Goal, placement: Placement) -> list[MemoryPart]:
    """The graph on both sides, and what a process takes on a card beside it."""
    compute = compute_buffer_bytes(shape, cells, goal.num_slots, goal.ubatch_tokens)
    if placement.gpu_layers > shape.num_layers:
        on_host = _part(
            "compute_buffer", "host", input_buffer_bytes(shape, cells, goal.ubatch_tokens), INPUT_BUFFER_ERROR
        )
    else:
        # The layers that stay behind compute there, in a buffer of their own size.
        on_host = _part("compute_buffer", "host", compute, 0.5)
    on_card = BytesFigure(GPU_CONTEXT_BYTES, "assumed", GPU_CONTEXT_ERROR, "as measured on an H100")
    return [
        _part("compute_buffer", "gpu", compute, GPU_COMPUTE_ERROR),
        on_host,
        MemoryPart("runtime", "gpu", on_card),
    ]


def _runtime_part(shape: ModelShape, goal: Goal, placement: Placement) -> MemoryPart:
    """The process on the host, a GPU's driver included."""
    own = runtime_bytes(shape, goal.num_slots)
    if placement.gpu_place != "gpu":
        return _part("runtime", "host", own, RUNTIME_ERROR)
    return _part("runtime", "host", own + GPU_DRIVER_BYTES, GPU_DRIVER_ERROR)


def _part(name: PartName, place: Place, num_bytes: int, error: float) -> MemoryPart:
    return MemoryPart(name, place, BytesFigure(num_bytes, "computed", error))
