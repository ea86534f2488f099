"""The published points, and what the planner predicts for each."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from gemstead.catalog.shapes import GEMMA4_SHAPES
from gemstead.catalog.tensors import tensor_table
from gemstead.core.figures import Basis, Figure
from gemstead.core.plan import KvCacheDtype
from gemstead.planner.calibration import Efficiency, Kind, find_efficiency
from gemstead.planner.formats import engine_formats, format_traffic
from gemstead.planner.speed import Layout, Model, decode_step_s, prefill_tok_per_s
from gemstead.planner.traffic import WeightTraffic, gguf_traffic
from gemstead.planner.units import Unit, reachable_bandwidth

PUBLISHED = Path(__file__).with_name("published.toml")

_MIXES = {"Q4_0": "ggml-org/Q4_0"}


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ceilings of a machine somebody measured on; see `published.toml`."""

    kind: Kind
    bandwidth_gb_per_s: float
    basis: Basis
    source: str
    matmul_tflops: float | None = None


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One published measurement, in tokens and tokens per second.

    `is_apart`: prefill and decode each began after `depth_tokens` alone, as llama-bench does it; else the answer
    followed the prompt.
    """

    device: str
    engine: str
    variant: str
    quant: str
    prompt_tokens: int
    answer_tokens: int
    source: str
    depth_tokens: int = 0
    is_apart: bool = False
    kv_cache_dtype: KvCacheDtype = "f16"
    prefill_tok_per_s: float | None = None
    decode_tok_per_s: float | None = None
    is_tuned: bool = False
    left_out: str | None = None
    note: str | None = None


class CheckSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    devices: dict[str, Device] = msgspec.field(name="device")
    points: list[Point] = msgspec.field(name="point")


class Prediction(msgspec.Struct, frozen=True):
    decode_tok_per_s: float
    prefill_tok_per_s: float | None


def load_check_set() -> CheckSet:
    return msgspec.convert(tomllib.loads(PUBLISHED.read_text(encoding="utf-8")), CheckSet)


def predict_point(point: Point, device: Device, efficiency: Efficiency | None = None) -> Prediction:
    """What the planner says; with another `efficiency` than the calibration's while it is being fitted."""
    used = efficiency or find_efficiency(point.engine, device.kind)
    bandwidth = Figure(device.bandwidth_gb_per_s * 1e9, device.basis)
    if device.kind in {"x86", "arm"}:
        bandwidth = reachable_bandwidth(bandwidth)
    matmul = Figure(device.matmul_tflops * 1e12, device.basis) if device.matmul_tflops else None
    unit = Unit(1.0, bandwidth, matmul, used)
    shape = GEMMA4_SHAPES[point.variant]
    model = Model(shape, weights_of(point), point.quant, point.kv_cache_dtype)
    layout = Layout((unit,), context_length=shape.max_context, num_slots=1, ubatch_tokens=512)
    held = point.depth_tokens if point.is_apart else max(point.depth_tokens, point.prompt_tokens)
    depth = held + point.answer_tokens / 2
    prefill = prefill_tok_per_s(model, layout, point.prompt_tokens, point.depth_tokens)
    return Prediction(1 / decode_step_s(model, (unit,), depth, 1), prefill.value if prefill else None)


def weights_of(point: Point) -> WeightTraffic:
    shape = GEMMA4_SHAPES[point.variant]
    if point.engine == "llama.cpp":
        return gguf_traffic(tensor_table(shape, _MIXES.get(point.quant, point.quant)))
    form = next(item for item in engine_formats(point.engine, shape) if item.name == point.quant)
    return format_traffic(shape, form)
