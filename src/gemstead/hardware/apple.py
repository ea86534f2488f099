"""Macs: the processor from `sysctl`, the GPU that shares its memory from `system_profiler`."""

from __future__ import annotations

import msgspec

from gemstead.core.figures import BytesFigure
from gemstead.core.units import GIB
from gemstead.hardware.linux import named_instruction_sets
from gemstead.hardware.programs import ProbeFailed, read_program
from gemstead.hardware.snapshot import Cpu, Gpu

SYSCTL = ("sysctl", "hw", "machdep.cpu")
PROFILER = ("system_profiler", "-json", "SPDisplaysDataType")

_FEATURES = {
    "hw.optional.arm.FEAT_DotProd": "dotprod",
    "hw.optional.arm.FEAT_I8MM": "i8mm",
    "hw.optional.arm.FEAT_BF16": "bf16",
    "hw.optional.arm.FEAT_FP16": "fp16",
    "hw.optional.arm.FEAT_SME": "sme",
    "hw.optional.arm64": "neon",
    "hw.optional.avx2_0": "avx2",
    "hw.optional.avx1_0": "avx",
    "hw.optional.avx512f": "avx512f",
    "hw.optional.fma": "fma",
    "hw.optional.f16c": "f16c",
    "hw.optional.sse4_2": "sse4_2",
}

_SMALL_MAC_BYTES = 36 * GIB
_GPU_SHARE_SMALL, _GPU_SHARE_LARGE = 2 / 3, 3 / 4
"""How much of the memory Metal lets the GPU wire (recommendedMaxWorkingSetSize): only a Metal program can ask, so it is
assumed from users' llama.cpp logs (10922 MiB of 16 GiB, 21845 MiB of 32 GiB, about 48 of 64 GiB), such as
https://github.com/ggml-org/llama.cpp/pull/2011."""


class _Display(msgspec.Struct, frozen=True):
    name: str = msgspec.field(name="sppci_model", default="Apple GPU")
    vendor: str = msgspec.field(name="spdisplays_vendor", default="")


class _Displays(msgspec.Struct, frozen=True):
    items: tuple[_Display, ...] = msgspec.field(name="SPDisplaysDataType", default=())


def probe_apple_cpu(architecture: str, logical_cores: int) -> Cpu:
    """Raises: ProbeFailed if sysctl does not answer."""
    return parse_sysctl(read_program(SYSCTL), architecture, logical_cores)


def probe_apple_gpu(host_total_bytes: int, host_available_bytes: int) -> tuple[Gpu, ...]:
    """Raises: ProbeFailed if system_profiler does not answer, or not in JSON."""
    return parse_displays(read_program(PROFILER, timeout_s=10), host_total_bytes, host_available_bytes)


def parse_sysctl(text: str, architecture: str, logical_cores: int) -> Cpu:
    """The lines of `SYSCTL`. Threads belong on the performance cores: the others would slow every step down."""
    pairs = (line.partition(":") for line in text.splitlines())
    values = {name.strip(): value.strip() for name, _, value in pairs}
    physical = _number(values.get("hw.physicalcpu"))
    fast = _number(values.get("hw.perflevel0.physicalcpu"))
    flags = {spelling for key, spelling in _FEATURES.items() if values.get(key) == "1"}
    caches = (_number(values.get(key)) for key in ("hw.perflevel0.l2cachesize", "hw.l3cachesize", "hw.l2cachesize"))
    return Cpu(
        model=values.get("machdep.cpu.brand_string") or None,
        architecture=architecture,
        physical_cores=physical,
        logical_cores=logical_cores,
        usable_cores=fast or physical or logical_cores,
        instruction_sets=named_instruction_sets(flags),
        last_level_cache_bytes=max((size for size in caches if size), default=None),
    )


def parse_displays(text: str, host_total_bytes: int, host_available_bytes: int) -> tuple[Gpu, ...]:
    """The JSON of `PROFILER`; only Apple's own GPUs, which share the machine's memory.

    Raises: ProbeFailed if it is not that JSON.
    """
    try:
        displays = msgspec.json.decode(text, type=_Displays)
    except (msgspec.MsgspecError, UnicodeError) as exc:
        raise ProbeFailed(f"system_profiler printed something else than its JSON: {exc}") from exc
    share = _GPU_SHARE_SMALL if host_total_bytes <= _SMALL_MAC_BYTES else _GPU_SHARE_LARGE
    total = int(host_total_bytes * share)
    return tuple(
        Gpu(
            name=display.name,
            vendor="apple",
            total_bytes=total,
            available=BytesFigure(min(total, host_available_bytes), "assumed", 0.1),
            is_unified_memory=True,
        )
        for display in displays.items
        if "apple" in (display.vendor + display.name).lower()
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
