"""The processor as Linux describes it: /proc/cpuinfo and /sys/devices/system/cpu."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

CPU_FOLDER = Path("/sys/devices/system/cpu")

_SPELLINGS = {
    "asimd": "neon",
    "asimdhp": "fp16",
    "asimddp": "dotprod",
    "amx-bf16": "amx_bf16",
    "amx-int8": "amx_int8",
    "amx-tile": "amx_tile",
    "avx512vnni": "avx512_vnni",
}
_X86_SETS = frozenset({"sse4_2", "avx", "avx2", "f16c", "fma", "bmi2", "avx512f", "avx512bw", "avx512vl"})
_X86_AI_SETS = frozenset({"avx_vnni", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"})
_ARM_SETS = frozenset({"neon", "fp16", "dotprod", "i8mm", "bf16", "sve", "sve2", "sme"})
_KEPT = _X86_SETS | _X86_AI_SETS | _ARM_SETS
"""What engines choose their kernels by; the other hundred flags say nothing about inference."""

_UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3}


class CpuText(msgspec.Struct, frozen=True):
    """What /proc/cpuinfo says. `cores` maps a logical processor to its (package, core); empty where it is silent."""

    model: str | None
    instruction_sets: tuple[str, ...]
    num_processors: int
    cores: dict[int, tuple[str, str]]


def parse_cpuinfo(text: str) -> CpuText:
    """x86 and ARM spell the same things differently; both give the names of `Cpu.instruction_sets`."""
    blocks = [_fields(block) for block in text.split("\n\n") if block.strip()]
    processors = [block for block in blocks if block.get("processor", "").isdecimal()]
    everything = {name: value for block in reversed(blocks) for name, value in block.items()}
    flags = everything.get("flags") or everything.get("Features") or ""
    cores = {
        int(block["processor"]): (block.get("physical id", "0"), block["core id"])
        for block in processors
        if "core id" in block
    }
    model = everything.get("model name") or everything.get("Model") or everything.get("Hardware")
    return CpuText(model or None, named_instruction_sets(flags.split()), len(processors), cores)


def named_instruction_sets(flags: Iterable[str]) -> tuple[str, ...]:
    """The flags that matter for inference, in the one spelling, sorted."""
    return tuple(sorted({_SPELLINGS.get(flag, flag) for flag in flags} & _KEPT))


def count_cores(allowed: Collection[int], cores: dict[int, tuple[str, str]], folder: Path = CPU_FOLDER) -> int | None:
    """Physical cores behind the `allowed` logical processors; None if neither the kernel's folder nor `cores` tells."""
    named = {number: _read_siblings(folder / f"cpu{number}" / "topology") for number in allowed}
    if all(named.values()):
        return len(set(named.values()))
    if cores and all(number in cores for number in allowed):
        return len({cores[number] for number in allowed})
    return None


def last_level_cache_bytes(folder: Path = CPU_FOLDER) -> int | None:
    """Size of the largest cache of processor 0."""
    sizes = [parse_cache_size(_read(path)) for path in folder.glob("cpu0/cache/index*/size")]
    return max((size for size in sizes if size is not None), default=None)


def parse_cache_size(text: str) -> int | None:
    """`32768K` in bytes; None for anything else."""
    number, unit = text[:-1], text[-1:]
    return int(number) * _UNITS[unit] if number.isdecimal() and unit in _UNITS else None


def _fields(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _read_siblings(topology: Path) -> str:
    return _read(topology / "core_cpus_list") or _read(topology / "thread_siblings_list")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
