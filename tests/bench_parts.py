"""Results made by hand, for tests of what is computed from them."""

from __future__ import annotations

from collections.abc import Sequence

from gemstead.bench.measures import Answer
from gemstead.bench.memory import MemoryReading
from gemstead.bench.noise import LoopTimes, Noise
from gemstead.bench.results import (
    MachineNote,
    Power,
    Prediction,
    Protocol,
    Record,
    Run,
    RunEnd,
    RunPoint,
    RunStart,
    Subject,
    gather_runs,
)
from gemstead.core.figures import Figure

MACHINE = MachineNote("a machine", "a processor", 2, 8 << 30, "Linux 6")
SUBJECT = Subject(
    model="gemma4:e2b-q4_0@synthetic",
    quant="Q4_0",
    model_sha256="ab" * 32,
    engine="llama_cpp",
    engine_version="1",
    engine_sha256=None,
    machine=MACHINE,
    context_length=4096,
    num_slots=1,
    kv_cache_dtype="f16",
    num_threads=2,
    ubatch_tokens=512,
    gpu_layers=0,
)
QUIET = Noise(0.1, LoopTimes(0.002, 0.01), LoopTimes(0.002, 0.01), others_share=0.0, steal_share=0.0)


def answer(decode_tok_per_s: float, prefill_tok_per_s: float = 100.0, prompt_tokens: int = 512) -> Answer:
    return Answer(
        prompt_tokens=prompt_tokens,
        prefill_tokens=prompt_tokens,
        completion_tokens=11,
        latency_s=prompt_tokens / prefill_tok_per_s + 10 / decode_tok_per_s,
        ttfr_s=prompt_tokens / prefill_tok_per_s,
        ttft_s=prompt_tokens / prefill_tok_per_s,
        tpot_s=1 / decode_tok_per_s,
        decode_tok_per_s=decode_tok_per_s,
        engine_prefill_tok_per_s=prefill_tok_per_s,
        itl_s=(1 / decode_tok_per_s,) * 10,
    )


def records(
    run: str,
    points: dict[int, Sequence[float]],
    *,
    subject: Subject = SUBJECT,
    noise: Noise = QUIET,
    power: Power | None = None,
    is_finished: bool = True,
) -> list[Record]:
    """A run whose answers decode at the given rates, by prompt length."""
    protocol = Protocol((128, 512), 11, 3)
    prediction = Prediction(3 << 30, 2 << 30, 0, 512, 256, Figure(20.0, "computed", 0.15))
    rows: list[Record] = [RunStart(run, "2026-11-24T08:00:00+00:00", "0.0", subject, protocol, prediction)]
    for length, rates in points.items():
        rows.append(RunPoint(run, length, tuple(answer(rate, prompt_tokens=length) for rate in rates)))
    if is_finished:
        memory = MemoryReading(3 << 30, (3 << 30) + 1, 3 << 30, 0)
        rows.append(RunEnd(run, "2026-11-24T08:10:00+00:00", 1.5, memory, power or Power(), noise))
    return rows


def finished(run: str, points: dict[int, Sequence[float]], power: Power | None = None) -> Run:
    return gather_runs(records(run, points, power=power))[0]
