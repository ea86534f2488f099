"""llama.cpp's own `llama-bench`: how it is run, and what it prints. The peer for the engine itself.

It measures without HTTP, tokenizer and sampler, on made-up tokens.
Source: tools/llama-bench of llama.cpp (its --help and JSON output, read 2026-11).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from gemstead.bench.peer_program import PeerSpeeds
from gemstead.core.errors import EngineFailed
from gemstead.core.plan import Plan


class _Row(msgspec.Struct):
    n_prompt: int
    n_gen: int
    avg_ts: float


def llama_bench_argv(program: Path, plan: Plan, prefill_tokens: int, decode_tokens: int) -> tuple[str, ...]:
    """The same model, threads, batch and KV cache as `plan`; one repeat after its own warm-up."""
    assert plan.model_path is not None
    layers = () if plan.gpu_layers is None else ("--n-gpu-layers", str(plan.gpu_layers))
    return (
        *(str(program), "--model", plan.model_path, "--threads", str(plan.num_threads)),
        *("--ubatch-size", str(plan.ubatch_tokens)),
        *("--cache-type-k", plan.kv_cache_dtype, "--cache-type-v", plan.kv_cache_dtype, *layers),
        *("--n-prompt", str(prefill_tokens), "--n-gen", str(decode_tokens), "--repetitions", "1", "--output", "json"),
    )


def parse_llama_bench(printed: bytes) -> PeerSpeeds:
    """Raises: EngineFailed if one of the two tests is missing."""
    try:
        rows = msgspec.json.decode(printed, type=list[_Row])
    except msgspec.DecodeError as exc:
        raise EngineFailed(f"llama-bench printed {printed[:200]!r}") from exc
    prefill = next((row.avg_ts for row in rows if row.n_prompt and not row.n_gen), None)
    decode = next((row.avg_ts for row in rows if row.n_gen and not row.n_prompt), None)
    if prefill is None or decode is None:
        raise EngineFailed("llama-bench did not run both tests")
    return PeerSpeeds(prefill, decode)
