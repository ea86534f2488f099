"""The dimensions a GGUF file declares, as a `ModelShape`.

Exact for gemma4, gemma3, llama and others built like them. For an architecture with a window but an unknown pattern of
sliding layers every layer counts as full attention, which needs more memory, never less.
Source: llama.cpp, src/llama-model.cpp and src/models (October 2026); the keys are those of ggml/docs/gguf.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from gemstead.catalog.gguf_parse import ArrayRef, MetadataEntry, TensorInfo, shown
from gemstead.core.errors import FileDamaged
from gemstead.core.shapes import LayerShape, ModelShape

MAX_LAYERS = 1024
MAX_DIMENSION = 1 << 24
_SLIDING_PERIODS = {"gemma2": 2, "gemma3": 6, "gemma3n": 5}
"""Architectures whose files give the window and leave the pattern to the engine: every n-th layer is full."""


def shape_of(file_name: str, metadata: Mapping[str, MetadataEntry], tensors: tuple[TensorInfo, ...]) -> ModelShape:
    """The shape that `metadata` declares, with the vocabulary and the V projections that `tensors` show.

    Raises: FileDamaged if a dimension is missing, is no whole number, or does not fit the others."""
    declared = _Declared(file_name, metadata)
    title = declared.whole("general.name")
    window, is_sliding = _sliding_layers(declared)
    return ModelShape(
        name=title if isinstance(title, str) and title else declared.architecture,
        architecture=declared.architecture,
        hidden_size=declared.integer("embedding_length"),
        vocab_size=_vocab_size(declared, tensors),
        max_context=declared.integer("context_length"),
        layers=_layers(declared, tensors, is_sliding),
        window=window,
        ple_size=declared.integer("embedding_length_per_layer_input", 0),
        num_experts=declared.integer("expert_count", 0),
        num_experts_used=declared.integer("expert_used_count", 0),
        expert_ffn_size=max(declared.per_layer("expert_feed_forward_length", 0)),
        rope_base=declared.number("rope.freq_base", 10_000.0),
        rope_base_sliding=declared.number("rope.freq_base_swa", 10_000.0),
        final_logit_softcap=declared.number("final_logit_softcapping", 0.0) or None,
    )


class _Declared:
    """The keys of the file's own architecture, checked."""

    def __init__(self, file_name: str, metadata: Mapping[str, MetadataEntry]) -> None:
        self._file_name = file_name
        self._metadata = metadata
        architecture = self.whole("general.architecture")
        if not isinstance(architecture, str):
            raise self.damaged("it names no architecture (of a split file, only the first part does)")
        self.architecture = architecture
        self.num_layers = self.integer("block_count")
        if not 1 <= self.num_layers <= MAX_LAYERS:
            raise self.damaged(f"it has {self.num_layers} layers; 1 to {MAX_LAYERS} are read")

    def damaged(self, problem: str) -> FileDamaged:
        return FileDamaged(
            f"the dimensions of {self._file_name} cannot be read: {problem}", hint="fetch the file again"
        )

    def whole(self, key: str) -> object:
        """The value of a full key."""
        entry = self._metadata.get(key)
        return None if entry is None else entry.value

    def get(self, key: str) -> object:
        """The value of one of the architecture's keys."""
        return self.whole(f"{self.architecture}.{key}")

    def integer(self, key: str, default: int | None = None) -> int:
        value = self.get(key)
        if value is None and default is not None:
            return default
        return self._dimension(key, value)

    def number(self, key: str, default: float) -> float:
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, int | float) or not 0 <= value < 1e12:  # NaN fails the comparison too
            raise self.damaged(f"{key} is {shown(value)}")
        return float(value)

    def per_layer(self, key: str, default: int | None = None) -> tuple[int, ...]:
        """One value per layer, from a list of that length or from one number for all."""
        value = self.get(key)
        if not isinstance(value, tuple):
            return (self.integer(key, default),) * self.num_layers
        if len(value) != self.num_layers:
            raise self.damaged(f"{key} lists {len(value)} values for {self.num_layers} layers")
        return tuple(self._dimension(key, item) for item in value)

    def _dimension(self, key: str, value: object) -> int:
        if type(value) is not int or not 0 <= value <= MAX_DIMENSION:
            raise self.damaged(f"{key} is {'missing' if value is None else shown(value)}")
        return value


def _sliding_layers(declared: _Declared) -> tuple[int, tuple[bool, ...]]:
    """(window, which layers slide); (0, none) where there is no window or its layers are not known."""
    count = declared.num_layers
    window = declared.integer("attention.sliding_window", 0)
    pattern = declared.get("attention.sliding_window_pattern")
    if isinstance(pattern, tuple):
        if len(pattern) != count or not all(isinstance(item, bool) for item in pattern):
            raise declared.damaged(f"attention.sliding_window_pattern does not say yes or no for {count} layers")
        is_sliding = tuple(bool(item) for item in pattern)
    else:
        period = declared.integer("attention.sliding_window_pattern", _SLIDING_PERIODS.get(declared.architecture, 1))
        is_sliding = tuple(period == 0 or index % period < period - 1 for index in range(count))
    if window == 0 or not any(is_sliding):
        return 0, (False,) * count
    return window, is_sliding


def _layers(
    declared: _Declared, tensors: tuple[TensorInfo, ...], is_sliding: tuple[bool, ...]
) -> tuple[LayerShape, ...]:
    heads = declared.per_layer("attention.head_count")
    kv_heads = declared.per_layer("attention.head_count_kv", max(heads))
    ffn_sizes = declared.per_layer("feed_forward_length", 0)
    head_dim, head_dim_sliding = _head_dims(declared, max(heads))
    num_owning = declared.num_layers - declared.integer("attention.shared_kv_layers", 0)
    if num_owning < 1:
        raise declared.damaged("attention.shared_kv_layers leaves no layer with a cache")
    names = {tensor.name for tensor in tensors}

    def has_v_proj(index: int) -> bool:
        return f"blk.{index}.attn_v.weight" in names or f"blk.{index}.attn_k.weight" not in names

    return tuple(
        LayerShape(
            is_sliding=is_sliding[index],
            num_heads=heads[index],
            num_kv_heads=kv_heads[index],
            head_dim=head_dim_sliding if is_sliding[index] else head_dim,
            ffn_size=ffn_sizes[index],
            has_kv=index < num_owning and kv_heads[index] > 0,
            has_v_proj=has_v_proj(index),
        )
        for index in range(declared.num_layers)
    )


def _head_dims(declared: _Declared, num_heads: int) -> tuple[int, int]:
    """(of full layers, of sliding layers). Where K and V differ, the larger one: a bound, not exact."""
    default = declared.integer("embedding_length") // num_heads if num_heads else 0
    key, value = declared.integer("attention.key_length", default), declared.integer("attention.value_length", default)
    key_sliding = declared.integer("attention.key_length_swa", key)
    value_sliding = declared.integer("attention.value_length_swa", value)
    return max(key, value), max(key_sliding, value_sliding)


def _vocab_size(declared: _Declared, tensors: tuple[TensorInfo, ...]) -> int:
    """Rows of the embedding; without weights, the vocabulary itself."""
    for tensor in tensors:
        if tensor.name == "token_embd.weight" and len(tensor.dims) == 2:
            return tensor.dims[1]
    tokens = declared.whole("tokenizer.ggml.tokens")
    return declared.integer("vocab_size", tokens.count if isinstance(tokens, ArrayRef) else None)
