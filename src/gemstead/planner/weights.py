"""Where the weights of a model go when llama.cpp loads it: the mapped file, the rearranged copy, the GPU.

Source: llama.cpp, src/llama-model.cpp (`load_tensors`: the input layer stays on the CPU, layers go to the GPU from the
last one down, the output layer first) and src/llama-model-loader.cpp (`get_mapping_range`), release of November 2026.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from gemstead.catalog.ggml_types import GgmlType, tensor_bytes
from gemstead.planner.repack import is_repacked


class FileTensor(Protocol):
    """One tensor of a file, read from its header or predicted; `dims` with the row length first."""

    @property
    def name(self) -> str: ...
    @property
    def dims(self) -> tuple[int, ...]: ...
    @property
    def ggml_type(self) -> GgmlType: ...


LOOKUP_TENSORS = frozenset({"token_embd.weight", "per_layer_token_embd.weight"})
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


class _Group(msgspec.Struct):
    """Tensors that are placed together: one layer's, or the looked-up tables. Bytes, and where in the file they lie.

    `woven_bytes` are rearranged for the CPU when they stay there, `plain_bytes` from `start` to `end` are read as is.
    """

    plain_bytes: int = 0
    woven_bytes: int = 0
    start: int | None = None
    end: int = 0

    def add(self, start: int, num_bytes: int, *, is_woven: bool) -> None:
        if is_woven:
            self.woven_bytes += num_bytes
            return
        self.plain_bytes += num_bytes
        self.start = start if self.start is None else self.start
        self.end = start + num_bytes


class WeightLayout(msgspec.Struct, frozen=True):
    """A file's tensors, added up by layer once: `split` is asked again and again while a layout is sought."""

    lookups: _Group
    layers: tuple[_Group, ...]
    head_bytes: int
    is_head_woven: bool

    def split(self, gpu_layers: int = 0) -> WeightBuffers:
        """The buffers with `gpu_layers` as llama.cpp's `-ngl` counts: 1 is the output layer, all of them everything."""
        first_gpu_layer = max(0, len(self.layers) - gpu_layers)
        on_host = (self.lookups, *self.layers[:first_gpu_layer])
        on_gpu = sum(group.plain_bytes + group.woven_bytes for group in self.layers[first_gpu_layer:])
        repacked = sum(group.woven_bytes for group in on_host)
        # A head that is the embedding too is held once more, where it computes.
        if gpu_layers > 0:
            on_gpu += self.head_bytes
        elif self.is_head_woven:
            repacked += self.head_bytes
        starts = [group.start for group in on_host if group.start is not None]
        span = max((group.end for group in on_host), default=0) - min(starts) if starts else 0
        return WeightBuffers(
            mapped_bytes=span,
            cold_bytes=max(0, span - sum(group.plain_bytes for group in on_host)),
            repacked_bytes=repacked,
            gpu_bytes=on_gpu,
        )


def lay_out_weights(tensors: Sequence[FileTensor], num_layers: int, instruction_sets: Collection[str]) -> WeightLayout:
    """The layout of a file with these `tensors`, in its order, on a CPU with these instruction sets."""
    lookups, layers = _Group(), tuple(_Group() for _ in range(num_layers + 1))
    start = 0
    for tensor in tensors:
        num_bytes = _file_bytes(tensor)
        is_lookup = tensor.name in LOOKUP_TENSORS
        is_woven = not is_lookup and is_repacked(tensor.dims, tensor.ggml_type, instruction_sets)
        group = lookups if is_lookup else layers[_layer_of(tensor.name, num_layers)]
        group.add(start, num_bytes, is_woven=is_woven)
        start += num_bytes
    head = tied_head(tensors)
    return WeightLayout(
        lookups=lookups,
        layers=layers,
        head_bytes=_file_bytes(head) if head is not None else 0,
        is_head_woven=head is not None and is_repacked(head.dims, head.ggml_type, instruction_sets),
    )


def tied_head(tensors: Sequence[FileTensor]) -> FileTensor | None:
    """The token embedding, if it is the output head too: the engine then holds it once for each use."""
    if any(tensor.name == "output.weight" for tensor in tensors):
        return None
    return next((tensor for tensor in tensors if tensor.name == "token_embd.weight"), None)


def _file_bytes(tensor: FileTensor) -> int:
    return tensor_bytes(tensor.dims, tensor.ggml_type)


def _layer_of(name: str, num_layers: int) -> int:
    """The layer that decides where the tensor lives; model-wide projections go with layer 0, the head comes last."""
    if name in _OUTPUT_TENSORS:
        return num_layers
    prefix, _, rest = name.partition(".")
    number = rest.partition(".")[0]
    return int(number) if prefix == "blk" and number.isdecimal() else 0
