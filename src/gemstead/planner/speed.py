"""Predicted prefill, decode, first token and energy: bytes and operations of a step against what the machine can do.

A step of decode reads every weight once, then each sequence's KV cache; each of the two takes the longer of the time to
move the bytes and the time to compute, as one waits for the other; a fixed cost per layer comes on top. A step of
prefill does the same with many tokens at once. The method is the roofline model (Williams, Waterman, Patterson, 2009),
with efficiencies from `calibration.toml`; how wrong it is, is in docs/prediction.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

import msgspec

from gemstead.core.figures import Basis, Figure
from gemstead.core.plan import KvCacheDtype
from gemstead.core.shapes import ModelShape
from gemstead.core.speed import Speed, SpeedCorrection, Workload
from gemstead.planner.correction import corrected
from gemstead.planner.traffic import (
    WeightTraffic,
    active_expert_weights,
    attention_ops,
    caching_share,
    expert_share,
    kv_read_bytes,
    prompt_attention_ops,
)
from gemstead.planner.units import Unit, calibration_of

ASSUMED_ERROR = 0.2
"""On top, where a ceiling is only assumed."""

_QUANTIZED_KV = frozenset({"q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"})


class Model(msgspec.Struct, frozen=True):
    """What of a model speed depends on. `quant` picks an efficiency where one was measured for it."""

    shape: ModelShape
    weights: WeightTraffic
    quant: str
    kv_cache_dtype: KvCacheDtype = "f16"


class Layout(msgspec.Struct, frozen=True):
    """Where it runs: `units` share the layers; `power` is what the machine draws meanwhile.

    `corrections` are what was learnt there; one counts if its calibration is that of the units.
    """

    units: tuple[Unit, ...]
    context_length: int
    num_slots: int
    ubatch_tokens: int
    power: Figure | None = None
    corrections: tuple[SpeedCorrection, ...] = ()


def predict_speed(model: Model, layout: Layout, workload: Workload) -> Speed | None:
    """The figures for `workload`; None if a bandwidth is not known. Users beyond the slots are not counted."""
    if not layout.units:
        return None
    calibration = calibration_of(layout.units)
    learnt = next((one for one in layout.corrections if one.calibration == calibration), None)
    num_users = min(workload.num_users, layout.num_slots)
    depth = min(workload.prompt_tokens + workload.answer_tokens / 2, layout.context_length)
    decode_error = _error(layout.units, [unit.efficiency.decode_error for unit in layout.units])

    def decode(depth_tokens: float, num_sequences: int) -> Figure:
        step_s = decode_step_s(model, layout.units, depth_tokens, num_sequences)
        return corrected(Figure(1 / step_s, "computed", decode_error), learnt.decode if learnt else None)

    each, prefill = decode(depth, num_users), prefill_tok_per_s(model, layout, workload.prompt_tokens)
    total = msgspec.structs.replace(each, value=num_users * each.value)
    if prefill is not None and learnt is not None:
        prefill = corrected(prefill, learnt.prefill)
    return Speed(
        workload=msgspec.structs.replace(workload, num_users=num_users),
        decode_tok_per_s=each,
        total_decode_tok_per_s=total,
        full_decode_tok_per_s=decode(layout.context_length, 1),
        prefill_tok_per_s=prefill,
        ttft_s=_ttft(prefill, workload.prompt_tokens, num_users, 1 / each.value),
        energy_j_per_token=_energy(layout.power, total),
        calibration=calibration,
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
        weights_s = weight_bytes / (rate.bandwidth * unit.bandwidth.value)
        attention_s = kv_bytes / (kv_rate * unit.bandwidth.value)
        if unit.matmul is not None:
            product = _product_rate(unit, model.quant, num_sequences)
            expert_product = product * rate.expert_matmul / rate.matmul
            weights_s = max(weights_s, (ops / product + expert_ops / expert_product) / unit.matmul.value)
            # On processors this is what a deep cache costs: heads that share keys read them from the caches, once each.
            attention_rate = rate.decode_attention or rate.attention_matmul
            attention_s = max(attention_s, attention / (attention_rate * unit.matmul.value))
        total_s += unit.share * (weights_s + attention_s + _fixed_s(model, unit, rate.layer_s))
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
        fixed_s = _fixed_s(model, unit, rate.layer_s if rate.prefill_layer_s is None else rate.prefill_layer_s)
        token_s += unit.share * (max(ops / unit.matmul.value, moving_s) + fixed_s / batch)
    error = _error(layout.units, [unit.efficiency.prefill_error for unit in layout.units])
    return Figure(1 / token_s, "computed", error)


def _product_rate(unit: Unit, quant: str, num_sequences: int) -> float:
    """The share of the matrix throughput that a step of a few sequences reaches: each more reuses the same weights."""
    rate = unit.efficiency
    many = rate.matmul_by_quant.get(quant.upper(), rate.matmul)
    return min(many, rate.decode_matmul * num_sequences)


def _fixed_s(model: Model, unit: Unit, layer_s: float) -> float:
    experts_s = unit.efficiency.expert_layer_s if model.shape.num_experts else 0.0
    return model.shape.num_layers * (layer_s + experts_s)


def _error(units: Sequence[Unit], errors: Sequence[float]) -> float:
    """The efficiencies' error bar, weighed by share, and more where a ceiling is only assumed."""
    error = sum(unit.share * error for unit, error in zip(units, errors, strict=True))
    is_assumed = any(unit.bandwidth.basis == "assumed" for unit in units)
    return hypot(error, ASSUMED_ERROR if is_assumed else 0.0)


def _ttft(prefill: Figure | None, prompt_tokens: int, num_users: int, step_s: float) -> Figure | None:
    if prefill is None:
        return None
    return Figure(num_users * prompt_tokens / prefill.value + step_s, "computed", prefill.error)


def _energy(power: Figure | None, total: Figure) -> Figure | None:
    if power is None:
        return None
    basis: Basis = "assumed" if power.basis == "assumed" else "computed"
    return Figure(power.value / total.value, basis, hypot(power.error or 0.0, total.error or 0.0), power.source)
