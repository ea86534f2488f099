"""Where the weights of a model go when llama.cpp loads it: the mapped file, the rearranged copy, the GPU.

Source: llama.cpp, src/llama-model.cpp (`load_tensors`: the input layer stays on the CPU, layers go to the GPU from the
last one down, the output layer first) and src/llama-model-loader.cpp (`get_mapping_range`), release of November 2026.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

import msgspec

from gemstead.catalog.ggml_types import GgmlType, tensor_bytes
from gemstead.core.shapes import ModelShape
from gemstead.planner.repack import is_repacked


class FileTensor(Protocol):
    """One tensor of a file, read from its header or predicted; `dims` with the row length first."""

    @property
    def name(self) -> str: ...
    @property
    def dims(self) -> tuple[int, ...]: ...
    @property
    def ggml_type(self) -> GgmlType: ...


_LOOKUP_TENSORS = frozenset({"token_embd.weight", "per_layer_token_embd.weight"})
"""Rows of these are looked up by token id, on the host, whatever is offloaded."""

_OUTPUT_TENSORS = frozenset({"output.weight", "output_norm.weight"})


class WeightBuffers(msgspec.Struct, frozen=True):
    """Bytes of weights by where they live.

    `mapped_bytes` is the part of the file the CPU's buffer spans, `cold_bytes` of it are pages nobody reads after
    loading (their tensors are rearranged, or on the GPU). `repacked_bytes` is the rearranged copy.
    """

    mapped_bytes: int
    cold_bytes: int
    repacked_bytes: int
    gpu_bytes: int


class _Placed(msgspec.Struct, frozen=True):
    """One tensor in the file, and who computes with it."""

    tensor: FileTensor
    start: int
    num_bytes: int
    is_on_gpu: bool
    is_repacked: bool

    @property
    def is_mapped(self) -> bool:
        return not (self.is_on_gpu or self.is_repacked)


def split_weights(
    tensors: Sequence[FileTensor], num_layers: int, instruction_sets: Collection[str], gpu_layers: int = 0
) -> WeightBuffers:
    """The buffers for a file with these `tensors`, in its order.

    `gpu_layers` counts as llama.cpp's `-ngl` does: 1 is the output layer, num_layers + 1 is everything.
    """
    placed = list(_place(tensors, num_layers, instruction_sets, gpu_layers))
    mapped = [item for item in placed if item.is_mapped]
    span = _span(mapped)
    repacked = sum(item.num_bytes for item in placed if item.is_repacked and not item.is_on_gpu)
    on_gpu = sum(item.num_bytes for item in placed if item.is_on_gpu)
    head = tied_head(tensors)
    if head is not None and gpu_layers > 0:
        on_gpu += _file_bytes(head)
    elif head is not None and is_repacked(head.dims, head.ggml_type, instruction_sets):
        repacked += _file_bytes(head)
    return WeightBuffers(
        mapped_bytes=span,
        cold_bytes=max(0, span - sum(item.num_bytes for item in mapped)),
        repacked_bytes=repacked,
        gpu_bytes=on_gpu,
    )


def read_bytes_per_token(tensors: Sequence[FileTensor], shape: ModelShape) -> float:
    """Bytes of weights that one decoded token reads: all but the looked-up tables, and of the experts those used."""
    total = 0.0
    for tensor in tensors:
        if tensor.name in _LOOKUP_TENSORS:
            continue
        is_expert = "_exps." in tensor.name and shape.num_experts > 0
        total += _file_bytes(tensor) * (shape.num_experts_used / shape.num_experts if is_expert else 1)
    head = tied_head(tensors)
    return total + (_file_bytes(head) if head is not None else 0)


def tied_head(tensors: Sequence[FileTensor]) -> FileTensor | None:
    """The token embedding, if it is the output head too: the engine then holds it once for each use."""
    if any(tensor.name == "output.weight" for tensor in tensors):
        return None
    return next((tensor for tensor in tensors if tensor.name == "token_embd.weight"), None)


def _place(
    tensors: Sequence[FileTensor], num_layers: int, instruction_sets: Collection[str], gpu_layers: int
) -> Iterator[_Placed]:
    first_gpu_layer = num_layers + 1 - gpu_layers
    start = 0
    for tensor in tensors:
        is_lookup = tensor.name in _LOOKUP_TENSORS
        is_on_gpu = not is_lookup and _layer_of(tensor.name, num_layers) >= first_gpu_layer
        is_woven = not (is_lookup or is_on_gpu) and is_repacked(tensor.dims, tensor.ggml_type, instruction_sets)
        placed = _Placed(tensor, start, _file_bytes(tensor), is_on_gpu, is_woven)
        yield placed
        start += placed.num_bytes


def _file_bytes(tensor: FileTensor) -> int:
    return tensor_bytes(tensor.dims, tensor.ggml_type)


def _layer_of(name: str, num_layers: int) -> int:
    """The layer that decides where the tensor lives; model-wide projections go with layer 0, the head comes last."""
    if name in _OUTPUT_TENSORS:
        return num_layers
    prefix, _, rest = name.partition(".")
    number = rest.partition(".")[0]
    return int(number) if prefix == "blk" and number.isdecimal() else 0


def _span(mapped: list[_Placed]) -> int:
    """Bytes from the first mapped tensor to the end of the last: one buffer, gaps included."""
    if not mapped:
        return 0
    return max(item.start + item.num_bytes for item in mapped) - min(item.start for item in mapped)
