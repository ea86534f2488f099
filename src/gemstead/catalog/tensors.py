"""Every tensor of a Gemma 4 GGUF file: the one source of names, shapes and types.

The planner adds up its bytes and the synthetic writer writes it. `dims` are in GGUF order: the row length first.
Source: llama.cpp, src/models/gemma4.cpp and conversion/gemma.py (October 2026).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import prod

import msgspec

from gemstead.catalog.ggml_types import GGML_TYPES, GgmlType, aligned, tensor_bytes
from gemstead.catalog.quant_mixes import QuantMix, TensorPlace, find_quant_mix, type_for_row
from gemstead.core.errors import NameUnknown
from gemstead.core.shapes import ModelShape

PLE_TENSOR = "per_layer_token_embd.weight"
"""The per-layer embedding table: rows are looked up, never multiplied, so it stays in host memory."""

METADATA_BYTES = 15_782_000
"""Header and metadata of a published Gemma 4 file without its tensor infos: nearly all of it the vocabulary of 262144
tokens and 514906 merges. Fitted: 16 published files need 15780700 to 15783700, by the length of their chat template."""

_F32 = GGML_TYPES["F32"]


class TensorSpec(msgspec.Struct, frozen=True):
    name: str
    dims: tuple[int, ...]
    ggml_type: GgmlType

    @property
    def num_elements(self) -> int:
        return prod(self.dims)

    @property
    def num_bytes(self) -> int:
        """Bytes in the file, padded to its alignment."""
        return tensor_bytes(self.dims, self.ggml_type)


@cache
def tensor_table(shape: ModelShape, quant: str) -> tuple[TensorSpec, ...]:
    """All tensors of `shape` quantized as `quant`, in file order.

    Raises: NameUnknown if the quantization's rules, or the architecture's tensors, are not known.
    """
    return _table(shape, find_quant_mix(quant))


def _table(shape: ModelShape, mix: QuantMix) -> tuple[TensorSpec, ...]:
    if shape.architecture != "gemma4":
        raise NameUnknown("architecture with a tensor table", shape.architecture, ["gemma4"])
    table = list(_model_tensors(shape, mix))
    value_places = _value_places(shape, mix)
    for index in range(shape.num_layers):
        table += _attention_tensors(shape, index, mix, value_places.get(index))
        table += _feed_forward_tensors(shape, index, mix)
        table += _per_layer_embedding_tensors(shape, index, mix)
    return tuple(table)


def weight_bytes(shape: ModelShape, quant: str) -> int:
    """Bytes of all tensors, paddings included, metadata not. Raises: NameUnknown."""
    return sum(tensor.num_bytes for tensor in tensor_table(shape, quant))


def ple_bytes(shape: ModelShape, quant: str) -> int:
    """Bytes of the per-layer embedding table; 0 where the model has none. Raises: NameUnknown."""
    return sum(tensor.num_bytes for tensor in tensor_table(shape, quant) if tensor.name == PLE_TENSOR)


def file_bytes(shape: ModelShape, quant: str) -> int:
    """Size of the GGUF file with the full vocabulary: within 3 kB of the 16 published files that follow the rules.

    Raises: NameUnknown.
    """
    table = tensor_table(shape, quant)
    infos_bytes = sum(tensor_info_bytes(tensor) for tensor in table)
    return aligned(METADATA_BYTES + infos_bytes) + sum(tensor.num_bytes for tensor in table)


def tensor_info_bytes(tensor: TensorSpec) -> int:
    """Bytes of the tensor's entry in the header: name with length, dimensions with count, type, offset."""
    return 8 + len(tensor.name) + 4 + 8 * len(tensor.dims) + 4 + 8


def parameter_count(shape: ModelShape, *, has_unused_kv: bool = False) -> int:
    """Parameters of the text decoder as published: the constant RoPE factors do not count.

    `has_unused_kv`: count the K and V projections that Google's first checkpoints hold for layers without a cache.
    Raises: NameUnknown if the architecture's tensors are not known.
    """
    mix = msgspec.structs.replace(find_quant_mix("BF16"), has_unused_kv=has_unused_kv)
    return sum(tensor.num_elements for tensor in _table(shape, mix) if tensor.name != "rope_freqs.weight")


def _value_places(shape: ModelShape, mix: QuantMix) -> dict[int, TensorPlace]:
    """Layer index -> place among the V projections of the file; the quantizer counts only layers that have one."""
    layers = [
        index for index, layer in enumerate(shape.layers) if layer.has_v_proj and (layer.has_kv or mix.has_unused_kv)
    ]
    # The quantizer asks layer 0 for the whole model.
    heads_per_kv_head = shape.layers[0].num_heads // shape.layers[0].num_kv_heads
    return {
        layer: TensorPlace(number, len(layers), heads_per_kv_head, shape.num_experts)
        for number, layer in enumerate(layers)
    }


def _norm(name: str, size: int) -> TensorSpec:
    return TensorSpec(name, (size,), _F32)


def _weight(name: str, dims: tuple[int, ...], kind: str) -> TensorSpec:
    return TensorSpec(name, dims, type_for_row(kind, dims[0]))


def _model_tensors(shape: ModelShape, mix: QuantMix) -> Iterator[TensorSpec]:
    yield _weight("token_embd.weight", (shape.hidden_size, shape.vocab_size), mix.embedding)
    if shape.ple_size:
        row = shape.ple_size * shape.num_layers
        yield _weight(PLE_TENSOR, (row, shape.vocab_size), mix.ple or mix.embedding)
        # The quantizer never touches this projection: it keeps the type of the checkpoint.
        kept = "F16" if mix.base == "F16" else "BF16"
        yield _weight("per_layer_model_proj.weight", (shape.hidden_size, row), kept)
        yield _norm("per_layer_proj_norm.weight", shape.ple_size)
    yield _norm("output_norm.weight", shape.hidden_size)
    full_head_dim = next(layer.head_dim for layer in shape.layers if not layer.is_sliding)
    yield _norm("rope_freqs.weight", full_head_dim // 2)


def _attention_tensors(
    shape: ModelShape, index: int, mix: QuantMix, value_place: TensorPlace | None
) -> Iterator[TensorSpec]:
    block, layer = f"blk.{index}", shape.layers[index]
    hidden, head_dim = shape.hidden_size, layer.head_dim
    q_size, kv_size = layer.num_heads * head_dim, layer.num_kv_heads * head_dim
    yield _norm(f"{block}.attn_norm.weight", hidden)
    yield _weight(f"{block}.attn_q.weight", (hidden, q_size), mix.base)
    yield _norm(f"{block}.attn_q_norm.weight", head_dim)
    if layer.has_kv or mix.has_unused_kv:
        yield _weight(f"{block}.attn_k.weight", (hidden, kv_size), mix.base)
        yield _norm(f"{block}.attn_k_norm.weight", head_dim)
    if value_place is not None:
        yield _weight(f"{block}.attn_v.weight", (hidden, kv_size), mix.attn_v_type(value_place))
    yield _weight(f"{block}.attn_output.weight", (q_size, hidden), mix.attn_output or mix.base)
    yield _norm(f"{block}.post_attention_norm.weight", hidden)


def _feed_forward_tensors(shape: ModelShape, index: int, mix: QuantMix) -> Iterator[TensorSpec]:
    block, layer, hidden = f"blk.{index}", shape.layers[index], shape.hidden_size
    place = TensorPlace(index, shape.num_layers, layer.num_heads // layer.num_kv_heads, shape.num_experts)
    down = mix.ffn_down_type(place)
    yield _norm(f"{block}.ffn_norm.weight", hidden)
    yield _weight(f"{block}.ffn_gate.weight", (hidden, layer.ffn_size), mix.base)
    yield _weight(f"{block}.ffn_up.weight", (hidden, layer.ffn_size), mix.base)
    yield _weight(f"{block}.ffn_down.weight", (layer.ffn_size, hidden), down)
    yield _norm(f"{block}.post_ffw_norm.weight", hidden)
    if shape.num_experts:
        experts, inner = shape.num_experts, shape.expert_ffn_size
        # The router decides by small differences: it stays in full precision.
        yield TensorSpec(f"{block}.ffn_gate_inp.weight", (hidden, experts), _F32)
        yield _norm(f"{block}.ffn_gate_inp.scale", hidden)
        yield _weight(f"{block}.ffn_gate_up_exps.weight", (hidden, 2 * inner, experts), mix.base)
        yield _weight(f"{block}.ffn_down_exps.weight", (inner, hidden, experts), down)
        yield _norm(f"{block}.ffn_down_exps.scale", experts)
        yield _norm(f"{block}.pre_ffw_norm_2.weight", hidden)
        yield _norm(f"{block}.post_ffw_norm_1.weight", hidden)
        yield _norm(f"{block}.post_ffw_norm_2.weight", hidden)
    yield _norm(f"{block}.layer_output_scale.weight", 1)


def _per_layer_embedding_tensors(shape: ModelShape, index: int, mix: QuantMix) -> Iterator[TensorSpec]:
    if not shape.ple_size:
        return
    block = f"blk.{index}"
    yield _weight(f"{block}.inp_gate.weight", (shape.hidden_size, shape.ple_size), mix.base)
    yield _weight(f"{block}.proj.weight", (shape.ple_size, shape.hidden_size), mix.base)
    yield _norm(f"{block}.post_norm.weight", shape.hidden_size)
