"""The Gemma 4 family as shapes: five real variants and, for tests, tiny ones with the same features.

Source: Google's JAX code (google-deepmind/gemma, gemma/gm/nn/gemma4) and transformers 5.23 (models/gemma4), which
agree; read October 2026. Text decoder only.
"""

from __future__ import annotations

import msgspec

from gemstead.core.errors import NameUnknown
from gemstead.core.shapes import LayerShape, ModelShape

VOCAB_SIZE = 262_144


class _Family(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between the variants. `pattern` is the distance between two full-attention layers."""

    num_layers: int
    pattern: int
    hidden_size: int
    ffn_size: int
    num_heads: int
    kv_heads_sliding: int
    kv_heads_full: int
    head_dim_sliding: int = 256
    head_dim_full: int = 512
    window: int
    max_context: int
    num_kv_shared: int = 0
    is_shared_ffn_double: bool = False
    has_v_on_full: bool = True
    ple_size: int = 0
    num_experts: int = 0
    num_experts_used: int = 0
    expert_ffn_size: int = 0


_E2B = _Family(
    num_layers=35,
    pattern=5,
    hidden_size=1536,
    ffn_size=6144,
    num_heads=8,
    kv_heads_sliding=1,
    kv_heads_full=1,
    window=512,
    max_context=131_072,
    num_kv_shared=20,
    is_shared_ffn_double=True,
    ple_size=256,
)
_E4B = _Family(
    num_layers=42,
    pattern=6,
    hidden_size=2560,
    ffn_size=10_240,
    num_heads=8,
    kv_heads_sliding=2,
    kv_heads_full=2,
    window=512,
    max_context=131_072,
    num_kv_shared=18,
    ple_size=256,
)
_12B = _Family(
    num_layers=48,
    pattern=6,
    hidden_size=3840,
    ffn_size=15_360,
    num_heads=16,
    kv_heads_sliding=8,
    kv_heads_full=1,
    window=1024,
    # The published config says 131072 and the model card 262144: the smaller one holds either way.
    max_context=131_072,
    has_v_on_full=False,
)
_26B_A4B = _Family(
    num_layers=30,
    pattern=6,
    hidden_size=2816,
    ffn_size=2112,
    num_heads=16,
    kv_heads_sliding=8,
    kv_heads_full=2,
    window=1024,
    max_context=262_144,
    has_v_on_full=False,
    num_experts=128,
    num_experts_used=8,
    expert_ffn_size=704,
)
_31B = _Family(
    num_layers=60,
    pattern=6,
    hidden_size=5376,
    ffn_size=21_504,
    num_heads=32,
    kv_heads_sliding=16,
    kv_heads_full=4,
    window=1024,
    max_context=262_144,
    has_v_on_full=False,
)
_FAMILIES = {"e2b": _E2B, "e4b": _E4B, "12b": _12B, "26b-a4b": _26B_A4B, "31b": _31B}


def _layer(family: _Family, index: int) -> LayerShape:
    is_sliding = (index + 1) % family.pattern != 0
    has_kv = index < family.num_layers - family.num_kv_shared
    is_double = family.is_shared_ffn_double and not has_kv
    return LayerShape(
        is_sliding=is_sliding,
        num_heads=family.num_heads,
        num_kv_heads=family.kv_heads_sliding if is_sliding else family.kv_heads_full,
        head_dim=family.head_dim_sliding if is_sliding else family.head_dim_full,
        ffn_size=family.ffn_size * (2 if is_double else 1),
        has_kv=has_kv,
        has_v_proj=is_sliding or family.has_v_on_full,
    )


def _shape(name: str, family: _Family) -> ModelShape:
    return ModelShape(
        name=name,
        architecture="gemma4",
        hidden_size=family.hidden_size,
        vocab_size=VOCAB_SIZE,
        max_context=family.max_context,
        layers=tuple(_layer(family, index) for index in range(family.num_layers)),
        window=family.window,
        ple_size=family.ple_size,
        num_experts=family.num_experts,
        num_experts_used=family.num_experts_used,
        expert_ffn_size=family.expert_ffn_size,
        final_logit_softcap=30.0,
    )


GEMMA4_SHAPES: dict[str, ModelShape] = {name: _shape(f"gemma-4-{name}", family) for name, family in _FAMILIES.items()}
"""The released variants, by the short name users type after `gemma4:`."""


def tiny_shape(variant: str) -> ModelShape:
    """`variant` at toy size (six layers, hidden size 256): every architectural feature kept, a few MB of weights.

    Rows stay multiples of 256 where the real ones are, and the feed-forward rows of 26b-a4b stay *not* multiples of
    256, so that quantizations choose the same tensor types. The experts are 16, not 8: llama.cpp's quantizer treats
    models of exactly 8 experts specially.

    Raises: NameUnknown if there is no such variant.
    """
    if variant not in _FAMILIES:
        raise NameUnknown("Gemma 4 variant", variant, list(_FAMILIES))
    real = _FAMILIES[variant]
    heads_per_kv = max(1, real.num_heads // real.kv_heads_sliding)
    num_heads = 4 if real.num_heads < 32 else 8
    family = msgspec.structs.replace(
        real,
        num_layers=6,
        pattern=3,
        hidden_size=256,
        ffn_size=288 if real.num_experts else 512,
        num_heads=num_heads,
        kv_heads_sliding=max(1, num_heads // heads_per_kv),
        kv_heads_full=max(1, num_heads * real.kv_heads_full // real.num_heads),
        head_dim_sliding=64,
        head_dim_full=128,
        window=64,
        max_context=8192,
        num_kv_shared=3 if real.num_kv_shared else 0,
        ple_size=128 if real.ple_size else 0,
        num_experts=16 if real.num_experts else 0,
        num_experts_used=4 if real.num_experts else 0,
        expert_ffn_size=96 if real.num_experts else 0,
    )
    return _shape(f"gemma-4-{variant}-tiny", family)
