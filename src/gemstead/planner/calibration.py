"""How near to a machine's ceilings each engine comes: efficiencies as data, read from `calibration.toml`.

A ceiling is what the hardware could do at most; an efficiency is the share of it that an engine's kernels reach.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources
from typing import Literal, TypeAlias

import msgspec

from gemstead.hardware.snapshot import Gpu, Machine

Kind: TypeAlias = Literal[
    "x86",
    "x86-avx512",
    "arm",
    "cuda",
    "cuda-hopper",
    "cuda-datacenter",
    "cuda-old",
    "rocm",
    "metal",
    "vulkan",
    "webgpu",
]

_NVIDIA_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("cuda-old", re.compile(r"GTX (9|10)\d\d|Tesla P\d|Quadro P\d")),
    ("cuda-hopper", re.compile(r"\b(H100|H200|H800|GH200)\b")),
    ("cuda-datacenter", re.compile(r"\b(A10|A30|A40|A100|A800|L4|L40S?|T4|V100|H20|G?B[123]00)\b")),
)
"""By name. Old: before tensor cores. Data centre cards are rated for products of 16-bit floats that llama.cpp's
integer kernels come nowhere near; for consumer cards the rating that counts here is half of that."""

_NEAREST: dict[Kind, Kind] = {
    "x86-avx512": "x86",
    "cuda-hopper": "cuda",
    "cuda-datacenter": "cuda",
}
"""Where the same engine's numbers are the best guess for a kind it was not measured on."""


class Efficiency(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One engine on one kind of processor.

    Shares of a ceiling: `bandwidth` reading weights, `kv_bandwidth` reading a 16-bit KV cache, `kv_quant_bandwidth` a
    quantized one; `decode_matmul` with one sequence (kernels that cannot reuse a weight), `matmul` with many tokens,
    `expert_matmul` in routed experts, `attention_matmul` in attention. `matmul_by_quant` replaces `matmul` for a
    quantization, `decode_attention` replaces `attention_matmul` where each sequence adds one token. `layer_s` and
    `expert_layer_s` are fixed costs of a step: starting the work of one layer, and of one layer's experts on top;
    `prefill_layer_s` replaces `layer_s` in a batch of prefill, whose kernels an engine may start one by one where it
    replays a recorded graph for decode. `skips_shared_kv`: prefill computes only the layers that own a KV cache; the
    layers after them matter for the last token of a prompt alone.

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
    decode_attention: float | None = None
    layer_s: float = 0.0
    prefill_layer_s: float | None = None
    expert_layer_s: float = 0.0
    matmul_by_quant: dict[str, float] = {}
    skips_shared_kv: bool = False
    decode_error: float
    prefill_error: float
    how: str
    source: str


def find_efficiency(engine: str, kind: Kind) -> Efficiency:
    """What is known of `engine` on `kind`; else on the nearest kind, else of llama.cpp, with twice the error bars."""
    table = _load()
    if (found := table.get((engine, kind))) is not None:
        return found
    guesses = ((engine, _NEAREST.get(kind, kind)), ("llama.cpp", kind), ("llama.cpp", "vulkan"))
    nearest = next(table[guess] for guess in guesses if guess in table)
    return msgspec.structs.replace(
        nearest,
        engine=engine,
        kind=kind,
        decode_error=min(0.6, 2 * nearest.decode_error),
        prefill_error=min(0.8, 2 * nearest.prefill_error),
        how=f"no measurement of {engine} on {kind}: taken from {nearest.engine} on {nearest.kind}",
    )


def cpu_kind(machine: Machine) -> Kind:
    if machine.cpu.architecture.lower() not in {"x86_64", "amd64", "i686"}:
        return "arm"
    return "x86-avx512" if "avx512f" in machine.cpu.instruction_sets else "x86"


def gpu_kind(gpu: Gpu) -> Kind:
    """The kind of program an engine runs on this accelerator."""
    if gpu.vendor == "nvidia":
        return next((kind for kind, names in _NVIDIA_KINDS if names.search(gpu.name)), "cuda")
    kinds: dict[str, Kind] = {"amd": "rocm", "apple": "metal"}
    return kinds.get(gpu.vendor, "vulkan")


@cache
def _load() -> dict[tuple[str, Kind], Efficiency]:
    text = resources.files("gemstead.planner").joinpath("calibration.toml").read_text(encoding="utf-8")
    rows = msgspec.convert(tomllib.loads(text)["efficiency"], list[Efficiency])
    return {(row.engine, row.kind): row for row in rows}
