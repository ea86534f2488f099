"""Predicted prefill, decode, first token and energy: bytes and operations of a step against what the machine can do.

A step of decode reads every weight once and each sequence's KV cache; it takes the longer of the time to move the bytes
and the time to compute, plus a fixed cost per layer. A step of prefill does the same with many tokens at once. The
method is the roofline model (Williams, Waterman, Patterson, 2009), with efficiencies from `calibration.toml`; how wrong
it is, is in docs/prediction.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

import msgspec

from gemstead.core.figures import Basis, Figure
from gemstead.core.plan import KvCacheDtype
from gemstead.core.shapes import ModelShape
from gemstead.core.speed import Speed, Workload
from gemstead.planner.traffic import (
    WeightTraffic,
    active_expert_weights,
    attention_ops,
    caching_share,
    expert_share,
    kv_read_bytes,
    prompt_attention_ops,
)
from gemstead.planner.units import Unit

_ASSUMED_ERROR = 0.2
"""On top, where a ceiling is only assumed."""

_QUANTIZED_KV = frozenset({"q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"})


class Model(msgspec.Struct, frozen=True):
    """What of a model speed depends on. `quant` picks an efficiency where one was measured for it."""

    shape: ModelShape
    weights: WeightTraffic
    quant: str
    kv_cache_dtype: KvCacheDtype = "f16"


class Layout(msgspec.Struct, frozen=True):
    """Where it runs: `units` share the layers; `power` is what the machine draws meanwhile."""

    units: tuple[Unit, ...]
    context_length: int
    num_slots: int
    ubatch_tokens: int
    power: Figure | None = None


def predict_speed(model: Model, layout: Layout, workload: Workload) -> Speed | None:
    """The figures for `workload`; None if a bandwidth is not known. Users beyond the slots are not counted."""
    if not layout.units:
        return None
    num_users = min(workload.num_users, layout.num_slots)
    depth = min(workload.prompt_tokens + workload.answer_tokens / 2, layout.context_length)
    decode_error = _error(layout.units, [unit.efficiency.decode_error for unit in layout.units])
    step_s = decode_step_s(model, layout.units, depth, num_users)
    total = Figure(num_users / step_s, "computed", decode_error)
    prefill = prefill_tok_per_s(model, layout, workload.prompt_tokens)
    return Speed(
        workload=msgspec.structs.replace(workload, num_users=num_users),
        decode_tok_per_s=Figure(1 / step_s, "computed", decode_error),
        total_decode_tok_per_s=total,
        full_decode_tok_per_s=Figure(
            1 / decode_step_s(model, layout.units, layout.context_length, 1), "computed", decode_error
        ),
        prefill_tok_per_s=prefill,
        ttft_s=_ttft(prefill, workload.prompt_tokens, num_users, step_s),
        energy_j_per_token=_energy(layout.power, total),
    )


def decode_step_s(model: Model, units: Sequence[Unit], depth_tokens: float, num_sequences: int) -> float:
    """Seconds for one token of each of `num_sequences`, each after `depth_tokens` of its own."""
    shape, weights = model.shape, model.weights
    experts = weights.expert_bytes * expert_share(shape, num_sequences)
    weight_bytes = weights.dense_bytes + weights.head_bytes + experts + num_sequences * weights.lookup_bytes
    kv_bytes = num_sequences * kv_read_bytes(shape, depth_tokens, model.kv_cache_dtype)
    ops = num_sequences * 2 * (weights.dense_weights + weights.head_weights)
    expert_ops = num_sequences * 2 * active_expert_weights(shape, weights)
    attention = num_sequences * attention_ops(shape, depth_tokens)
    total_s = 0.0
    for unit in units:
        rate = unit.efficiency
        kv_rate = rate.kv_quant_bandwidth if model.kv_cache_dtype in _QUANTIZED_KV else rate.kv_bandwidth
        moving_s = (weight_bytes / rate.bandwidth + kv_bytes / kv_rate) / unit.bandwidth.value
        computing_s = 0.0
        if unit.matmul is not None:
            product = _product_rate(unit, model.quant, num_sequences)
            expert_product = product * rate.expert_matmul / rate.matmul
            spent = ops / product + expert_ops / expert_product + attention / rate.attention_matmul
            computing_s = spent / unit.matmul.value
        total_s += unit.share * (max(moving_s, computing_s) + _fixed_s(model, unit))
    return total_s


def prefill_tok_per_s(model: Model, layout: Layout, prompt_tokens: int, cached_tokens: int = 0) -> Figure | None:
    """Tokens per second of one prompt that follows `cached_tokens`; None where a matrix throughput is not known."""
    shape, weights = model.shape, model.weights
    batch = min(layout.ubatch_tokens, prompt_tokens)
    weight_bytes = weights.dense_bytes + weights.expert_bytes * expert_share(shape, batch)
    attention = prompt_attention_ops(shape, prompt_tokens, cached_tokens)
    token_s = 0.0
    for unit in layout.units:
        if unit.matmul is None:
            return None
        rate = unit.efficiency
        computed = caching_share(shape) if rate.skips_shared_kv else 1.0
        ops = 2 * weights.dense_weights / rate.matmul_by_quant.get(model.quant.upper(), rate.matmul)
        ops += 2 * active_expert_weights(shape, weights) / rate.expert_matmul + attention / rate.attention_matmul
        ops *= computed
        moving_s = computed * weight_bytes / (rate.bandwidth * unit.bandwidth.value) / batch
        token_s += unit.share * (max(ops / unit.matmul.value, moving_s) + _fixed_s(model, unit) / batch)
    error = _error(layout.units, [unit.efficiency.prefill_error for unit in layout.units])
    return Figure(1 / token_s, "computed", error)


def _product_rate(unit: Unit, quant: str, num_sequences: int) -> float:
    """The share of the matrix throughput that a step of a few sequences reaches: each more reuses the same weights."""
    rate = unit.efficiency
    many = rate.matmul_by_quant.get(quant.upper(), rate.matmul)
    return min(many, rate.decode_matmul * num_sequences)


def _fixed_s(model: Model, unit: Unit) -> float:
    rate, num_layers = unit.efficiency, model.shape.num_layers
    return num_layers * (rate.layer_s + (rate.expert_layer_s if model.shape.num_experts else 0.0))


def _error(units: Sequence[Unit], errors: Sequence[float]) -> float:
    """The efficiencies' error bar, weighed by share, and more where a ceiling is only assumed."""
    error = sum(unit.share * error for unit, error in zip(units, errors, strict=True))
    is_assumed = any(unit.bandwidth.basis == "assumed" for unit in units)
    return hypot(error, _ASSUMED_ERROR if is_assumed else 0.0)


def _ttft(prefill: Figure | None, prompt_tokens: int, num_users: int, step_s: float) -> Figure | None:
    if prefill is None:
        return None
    return Figure(num_users * prompt_tokens / prefill.value + step_s, "computed", prefill.error)


def _energy(power: Figure | None, total: Figure) -> Figure | None:
    if power is None:
        return None
    basis: Basis = "assumed" if power.basis == "assumed" else "computed"
    return Figure(power.value / total.value, basis, hypot(power.error or 0.0, total.error or 0.0), power.source)
