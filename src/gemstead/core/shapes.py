"""The dimensions of a language model: what memory and speed depend on, whatever the weights say."""

from __future__ import annotations

import msgspec


class LayerShape(msgspec.Struct, frozen=True):
    """One decoder layer.

    Q: [hidden, heads * head_dim]; K and V: [hidden, kv_heads * head_dim]; MLP: [hidden, ffn_size] twice and back.
    """

    is_sliding: bool
    num_heads: int
    num_kv_heads: int
    head_dim: int
    ffn_size: int
    has_kv: bool = True
    """False: the layer reads the KV cache of an earlier layer and owns none."""
    has_v_proj: bool = True
    """False: V is the K projection before norm and RoPE (`attention_k_eq_v`)."""


class ModelShape(msgspec.Struct, frozen=True):
    """Every dimension the planner, the GGUF reader and the synthetic models share.

    `window` is the sliding window in tokens (0: no sliding layers). `ple_size` is the width of one layer's slice of the
    per-layer embedding (PLE; 0: none). `expert_ffn_size` is the inner width of one routed expert.
    """

    name: str
    architecture: str
    hidden_size: int
    vocab_size: int
    max_context: int
    layers: tuple[LayerShape, ...]
    window: int = 0
    ple_size: int = 0
    num_experts: int = 0
    num_experts_used: int = 0
    expert_ffn_size: int = 0
    rope_base: float = 1_000_000.0
    rope_base_sliding: float = 10_000.0
    final_logit_softcap: float | None = None

    @property
    def num_layers(self) -> int:
        return len(self.layers)

    @property
    def num_kv_shared_layers(self) -> int:
        """Layers at the end that own no KV cache."""
        return sum(not layer.has_kv for layer in self.layers)
