"""Which tensor gets which type: the rules of `llama-quantize`, and the mixes publishers made for Gemma 4.

Source: llama.cpp, src/llama-quant.cpp (`tensor_allows_quantization`, `llama_tensor_get_type_impl`,
`tensor_type_fallback`) of October 2026, for the architecture gemma4 without an importance matrix. Publishers who use
one, or their own mixes, deviate: where a file's real size is known, take that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from gemstead.catalog.ggml_types import FILE_TYPES, GGML_TYPES, GgmlType
from gemstead.core.errors import NameUnknown


class TensorPlace(msgspec.Struct, frozen=True):
    """Where a tensor stands among its kind: number `index` of `count`, in a model with these traits."""

    index: int
    count: int
    heads_per_kv_head: int
    num_experts: int


Rule: TypeAlias = str | Callable[[TensorPlace], str]
"""A type's name, or how it follows from the place."""


class QuantMix(msgspec.Struct, frozen=True):
    """Types of one quantization. `embedding` is the token embedding, which is also the output head; `ple` the
    per-layer embedding table (None: as `embedding`). The other rules default to `base`.

    `has_unused_kv`: the file carries the K and V projections of layers that read an earlier layer's cache. Google's
    first checkpoints contain them; nothing reads them, but they are loaded.
    """

    name: str
    base: str
    embedding: str
    ple: str | None = None
    attn_v: Rule | None = None
    ffn_down: Rule | None = None
    attn_output: str | None = None
    has_unused_kv: bool = True

    @property
    def file_type(self) -> int:
        """The number files carry as `general.file_type`."""
        label = self.name.rpartition("/")[2]
        return next(number for number, name in FILE_TYPES.items() if name == label)

    def attn_v_type(self, place: TensorPlace) -> str:
        return _follow(self.attn_v or self.base, place)

    def ffn_down_type(self, place: TensorPlace) -> str:
        return _follow(self.ffn_down or self.base, place)


def _follow(rule: Rule, place: TensorPlace) -> str:
    return rule if isinstance(rule, str) else rule(place)


def _gets_more_bits(place: TensorPlace) -> bool:
    """The first and last eighth, and every third layer between."""
    eighth = place.count // 8
    return place.index < eighth or place.index >= 7 * place.count // 8 or (place.index - eighth) % 3 == 2


def _raised(base: str) -> Rule:
    return lambda place: "Q6_K" if _gets_more_bits(place) else base


def _q2_k_attn_v(place: TensorPlace) -> str:
    return "Q4_K" if place.heads_per_kv_head >= 4 else "Q3_K"


def _iq2_m_attn_v(place: TensorPlace) -> str:
    return "Q4_K" if place.heads_per_kv_head >= 4 or place.num_experts >= 4 else "IQ3_S"


QUANT_MIXES: dict[str, QuantMix] = {
    mix.name: mix
    for mix in (
        QuantMix("BF16", base="BF16", embedding="BF16"),
        QuantMix("F16", base="F16", embedding="F16"),
        QuantMix("Q8_0", base="Q8_0", embedding="Q8_0"),
        QuantMix("Q6_K", base="Q6_K", embedding="Q6_K"),
        QuantMix("Q5_K_M", base="Q5_K", embedding="Q6_K", attn_v=_raised("Q5_K"), ffn_down=_raised("Q5_K")),
        QuantMix("Q4_K_M", base="Q4_K", embedding="Q6_K", attn_v=_raised("Q4_K"), ffn_down=_raised("Q4_K")),
        QuantMix(
            "Q4_K_S",
            base="Q4_K",
            embedding="Q6_K",
            attn_v=lambda place: "Q5_K" if place.index < 4 else "Q4_K",
            ffn_down=lambda place: "Q5_K" if place.index < place.count // 8 else "Q4_K",
        ),
        QuantMix("Q4_0", base="Q4_0", embedding="Q6_K"),
        QuantMix(
            "Q3_K_M",
            base="Q3_K",
            embedding="Q6_K",
            attn_v=lambda place: "Q5_K" if place.index < 2 else "Q4_K",
            ffn_down=lambda place: "Q5_K" if place.index < place.count // 16 else "Q4_K",
            attn_output="Q4_K",
        ),
        QuantMix(
            "Q2_K",
            base="Q2_K",
            embedding="Q6_K",
            attn_v=_q2_k_attn_v,
            ffn_down="Q3_K",
            attn_output="Q3_K",
        ),
        QuantMix(
            "IQ2_M",
            base="IQ2_S",
            embedding="Q5_K",
            attn_v=_iq2_m_attn_v,
            ffn_down=lambda place: "IQ3_S" if place.index < place.count // 8 else "IQ2_S",
            attn_output="IQ3_S",
        ),
        # Inferred: the only combination of a handful that gives the published sizes, within 5 kB.
        QuantMix("ggml-org/Q4_0", base="Q4_0", embedding="Q8_0", ple="Q4_0", has_unused_kv=False),
        QuantMix("google-qat/Q4_0", base="Q4_0", embedding="Q6_K", has_unused_kv=False),
    )
}
"""By name. `PUBLISHER/TYPE` is that publisher's mix; a bare name is a plain `llama-quantize` run."""


def find_quant_mix(quant: str) -> QuantMix:
    """The mix called `quant`, whatever its case ("q4_k_m").

    Raises: NameUnknown if its rules are not known.
    """
    for name, mix in QUANT_MIXES.items():
        if name.casefold() == quant.casefold():
            return mix
    raise NameUnknown("quantization", quant, list(QUANT_MIXES))


_SMALLER_BLOCKS = {
    "IQ2_S": "IQ4_NL",
    "IQ3_S": "IQ4_NL",
    "Q2_K": "Q4_0",
    "Q3_K": "Q4_0",
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
}


def type_for_row(name: str, row_elements: int) -> GgmlType:
    """Type `name`, or what the quantizer takes instead where a row is not a whole number of its blocks."""
    for candidate in (name, _SMALLER_BLOCKS.get(name, name)):
        kind = GGML_TYPES[candidate]
        if row_elements % kind.block_elements == 0:
            return kind
    return GGML_TYPES["F16"]
