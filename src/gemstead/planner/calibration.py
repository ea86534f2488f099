"""How near to a machine's ceilings each engine comes: efficiencies as data, read from `calibration.toml`.

A ceiling is what the hardware could do at most; an efficiency is the share of it that an engine's kernels reach.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Literal, TypeAlias

import msgspec

from gemstead.hardware.snapshot import Gpu, Machine

Kind: TypeAlias = Literal["x86", "arm", "cuda", "cuda-old", "rocm", "metal", "vulkan", "webgpu"]

_OLD_NVIDIA = ("GTX 9", "GTX 10", "Tesla P", "Quadro P")
"""Before tensor cores: Maxwell and Pascal."""


class Efficiency(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One engine on one kind of processor.

    Shares of a ceiling: `bandwidth` reading weights, `kv_bandwidth` reading a 16-bit KV cache, `kv_quant_bandwidth` a
    quantized one; `decode_matmul` with one sequence (kernels that cannot reuse a weight), `matmul` with many tokens,
    `expert_matmul` in routed experts, `attention_matmul` in attention. `matmul_by_quant` replaces `matmul` for a
    quantization. `layer_s` and `expert_layer_s` are fixed costs of a step: starting the work of one layer, and of one
    layer's experts on top. `skips_shared_kv`: prefill computes only the layers that own a KV cache; the layers after
    them matter for the last token of a prompt alone.

    `decode_error` and `prefill_error` are relative. `how` says how the numbers were obtained.
    """

    engine: str
    kind: Kind
    bandwidth: float
    kv_bandwidth: float
    kv_quant_bandwidth: float
    matmul: float
    expert_matmul: float
    attention_matmul: float
    decode_matmul: float
    layer_s: float = 0.0
    expert_layer_s: float = 0.0
    matmul_by_quant: dict[str, float] = {}
    skips_shared_kv: bool = False
    decode_error: float
    prefill_error: float
    how: str
    source: str


def find_efficiency(engine: str, kind: Kind) -> Efficiency:
    """What is known of `engine` on `kind`; else llama.cpp's numbers there with twice their error bars."""
    table = _load()
    if (found := table.get((engine, kind))) is not None:
        return found
    nearest = table[("llama.cpp", kind if ("llama.cpp", kind) in table else "vulkan")]
    return msgspec.structs.replace(
        nearest,
        engine=engine,
        kind=kind,
        decode_error=min(0.6, 2 * nearest.decode_error),
        prefill_error=min(0.8, 2 * nearest.prefill_error),
        how=f"no measurement of {engine} on {kind}: taken from {nearest.engine} on {nearest.kind}",
    )


def cpu_kind(machine: Machine) -> Kind:
    return "x86" if machine.cpu.architecture.lower() in {"x86_64", "amd64", "i686"} else "arm"


def gpu_kind(gpu: Gpu) -> Kind:
    """The kind of program an engine runs on this accelerator."""
    if gpu.vendor == "nvidia":
        return "cuda-old" if any(mark in gpu.name for mark in _OLD_NVIDIA) else "cuda"
    kinds: dict[str, Kind] = {"amd": "rocm", "apple": "metal"}
    return kinds.get(gpu.vendor, "vulkan")


@cache
def _load() -> dict[tuple[str, Kind], Efficiency]:
    text = resources.files("gemstead.planner").joinpath("calibration.toml").read_text(encoding="utf-8")
    rows = msgspec.convert(tomllib.loads(text)["efficiency"], list[Efficiency])
    return {(row.engine, row.kind): row for row in rows}
