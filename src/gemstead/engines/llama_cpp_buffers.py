"""The memory that llama-server reports in its own log, as figures to hold against a plan.

The lines appear at log verbosity 4 and above. Source: llama.cpp, src/llama-model.cpp, src/llama-kv-cache.cpp,
src/llama-kv-cache-iswa.cpp and src/llama-context.cpp, release of November 2026.
"""

from __future__ import annotations

import re
from collections import defaultdict

import msgspec

from gemstead.core.units import MIB

_BUFFER = re.compile(
    r"\b(?P<function>load_tensors|llama_kv_cache|llama_context|sched_reserve): +"
    r"(?P<device>\S+) +(?P<kind>model|KV|output|compute) buffer size = +(?P<mib>\d+\.\d+) MiB"
)
_SLIDING = re.compile(r"\bllama_kv_cache_iswa: creating +(?P<non>non-)?SWA KV cache")

_PROMPT = re.compile(r"\bnew prompt, n_ctx_slot|\bcache state: +\d+ prompts, +(?P<mib>\d+\.\d+) MiB")
_CHECKPOINT = re.compile(r"\bcreated context checkpoint .*\bsize = +(?P<mib>\d+\.\d+) MiB")

_REPACKED_DEVICES = frozenset({"CPU_REPACK", "AMX"})
_MAPPED_SUFFIX = "_Mapped"


class Buffers(msgspec.Struct, frozen=True):
    """Bytes to a hundredth of a MiB, as printed. `kv_full_bytes` is the whole cache where no layer is sliding.

    `is_complete`: the log goes as far as the compute buffer, the last to be reserved.
    """

    mapped_bytes: int = 0
    repacked_bytes: int = 0
    device_weight_bytes: int = 0
    """Weights in buffers of their own: a GPU's, or the host's when the file is not mapped."""
    kv_full_bytes: int = 0
    kv_sliding_bytes: int = 0
    output_bytes: int = 0
    compute_bytes: int = 0
    is_complete: bool = False


def read_buffers(log_text: str) -> Buffers:
    """Sums of the buffer lines in one start's log; all zero where there are none. Other lines are passed over."""
    sums: dict[str, float] = defaultdict(float)
    is_sliding = False
    for line in log_text.splitlines():
        if turn := _SLIDING.search(line):
            is_sliding = turn["non"] is None
        elif found := _BUFFER.search(line):
            sums[_field(found["kind"], found["device"], is_sliding)] += float(found["mib"]) * MIB
    sizes = {name: round(num_bytes) for name, num_bytes in sums.items()}
    return msgspec.convert(sizes | {"is_complete": "compute_bytes" in sizes}, Buffers)


def read_kept_bytes(log_text: str) -> int:
    """Host memory for earlier prompts (`--cache-ram`) and for the last prompt's context checkpoints, as last reported.

    Source, besides the module's: tools/server/server-task.cpp and server-context.cpp.
    """
    cached_mib = checkpoints_mib = 0.0
    for line in log_text.splitlines():
        if turn := _PROMPT.search(line):
            # What the prompt before left as checkpoints has gone into the cache with it, or away.
            checkpoints_mib = 0.0
            cached_mib = float(turn["mib"] or cached_mib)
        elif found := _CHECKPOINT.search(line):
            checkpoints_mib += float(found["mib"])
    return round((cached_mib + checkpoints_mib) * MIB)


def _field(kind: str, device: str, is_sliding: bool) -> str:
    if kind == "KV":
        return "kv_sliding_bytes" if is_sliding else "kv_full_bytes"
    if kind in {"output", "compute"}:
        return f"{kind}_bytes"
    if device in _REPACKED_DEVICES:
        return "repacked_bytes"
    return "mapped_bytes" if device.endswith(_MAPPED_SUFFIX) else "device_weight_bytes"
