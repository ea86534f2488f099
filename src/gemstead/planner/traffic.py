"""Bytes and operations that tokens cost: what a step of prefill or decode moves through memory and multiplies.

A multiplication and an addition are two operations. Weights are read once per step, however many tokens it holds; a KV
cache is read once per sequence. Source of the counts: the decoder as llama.cpp builds it (src/models/gemma4.cpp).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import msgspec

from gemstead.catalog.ggml_types import GGML_TYPES, tensor_bytes
from gemstead.core.plan import KvCacheDtype
from gemstead.core.shapes import LayerShape, ModelShape
from gemstead.planner.weights import LOOKUP_TENSORS, FileTensor, tied_head


class WeightTraffic(msgspec.Struct, frozen=True):
    """One model's weights by how they are used.

    `dense_bytes` are read in every step, `head_bytes` in every step that yields logits; `expert_bytes` belong to all
    routed experts together. `lookup_bytes` are the rows one token takes from tables. `*_weights` count the elements
    that are multiplied.
    """

    dense_bytes: float
    head_bytes: float
    expert_bytes: float
    lookup_bytes: float
    dense_weights: float
    head_weights: float
    expert_weights: float


def gguf_traffic(tensors: Sequence[FileTensor], scale: float = 1.0) -> WeightTraffic:
    """The traffic of a GGUF file with these tensors; `scale` brings their bytes to the size of the real file."""
    dense_bytes = expert_bytes = lookup_bytes = dense_weights = expert_weights = 0.0
    for tensor in tensors:
        num_bytes = scale * tensor_bytes(tensor.dims, tensor.ggml_type)
        if tensor.name in LOOKUP_TENSORS:
            lookup_bytes += num_bytes / tensor.dims[1]
        elif "_exps." in tensor.name:
            expert_bytes += num_bytes
            expert_weights += prod(tensor.dims)
        elif tensor.name != "output.weight":
            dense_bytes += num_bytes
            dense_weights += prod(tensor.dims) if len(tensor.dims) > 1 else 0
    head = tied_head(tensors) or next(tensor for tensor in tensors if tensor.name == "output.weight")
    return WeightTraffic(
        dense_bytes=dense_bytes,
        head_bytes=scale * tensor_bytes(head.dims, head.ggml_type),
        expert_bytes=expert_bytes,
        lookup_bytes=lookup_bytes,
        dense_weights=dense_weights,
        head_weights=prod(head.dims),
        expert_weights=expert_weights,
    )


def expert_share(shape: ModelShape, num_tokens: int) -> float:
    """The part of all experts that a step of `num_tokens` touches, if each token chooses on its own; 0 without any."""
    if not shape.num_experts:
        return 0.0
    return 1 - (1 - shape.num_experts_used / shape.num_experts) ** num_tokens


def active_expert_weights(shape: ModelShape, weights: WeightTraffic) -> float:
    """Elements of routed experts that one token is multiplied with."""
    return weights.expert_weights * shape.num_experts_used / shape.num_experts if shape.num_experts else 0.0


def caching_share(shape: ModelShape) -> float:
    """The part of the multiplied elements that belongs to layers with a KV cache of their own, experts not counted."""
    sizes = [_layer_weights(shape, layer) for layer in shape.layers]
    owning = sum(size for size, layer in zip(sizes, shape.layers, strict=True) if layer.has_kv)
    return owning / sum(sizes)


def kv_read_bytes(shape: ModelShape, depth_tokens: float, dtype: KvCacheDtype) -> float:
    """What one decoded token reads of its sequence's KV cache when `depth_tokens` precede it.

    Layers without a cache of their own read the one of an earlier layer, and so count too.
    """
    kind = GGML_TYPES[dtype.upper()]
    row = sum(2 * _kv_row(layer) * _seen(shape, layer, depth_tokens) for layer in shape.layers)
    return row * kind.block_bytes / kind.block_elements


def attention_ops(shape: ModelShape, depth_tokens: float) -> float:
    """Operations of one token's attention over `depth_tokens`: scores and weighted sum, two each per element."""
    return sum(4 * layer.num_heads * layer.head_dim * _seen(shape, layer, depth_tokens) for layer in shape.layers)


def prompt_attention_ops(shape: ModelShape, prompt_tokens: int, cached_tokens: int = 0) -> float:
    """Mean of `attention_ops` over a prompt of which `cached_tokens` are already in the cache."""
    first, last = cached_tokens, cached_tokens + prompt_tokens
    total = 0.0
    for layer in shape.layers:
        per_token = 4 * layer.num_heads * layer.head_dim
        window = shape.window if layer.is_sliding and shape.window else last
        grown = min(last, window) - min(first, window)
        seen = grown * (min(first, window) + min(last, window)) / 2 + (prompt_tokens - grown) * window
        total += per_token * seen / prompt_tokens
    return total


def _layer_weights(shape: ModelShape, layer: LayerShape) -> int:
    """Elements of the queries, keys, values, output and feed-forward matrices of one layer."""
    queries, keys = layer.num_heads * layer.head_dim, layer.num_kv_heads * layer.head_dim
    caches = keys * (1 + layer.has_v_proj) if layer.has_kv else 0
    return shape.hidden_size * (2 * queries + caches + 3 * layer.ffn_size)


def _kv_row(layer: LayerShape) -> int:
    return layer.num_kv_heads * layer.head_dim


def _seen(shape: ModelShape, layer: LayerShape, depth_tokens: float) -> float:
    return min(depth_tokens, shape.window) if layer.is_sliding and shape.window else depth_tokens
