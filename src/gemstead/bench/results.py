"""What is kept of a measurement: one line of JSON each, written once, never changed.

    start   what was measured, where and with what: first line of every run
    point   the answers of one prompt length, as soon as they are there
    end     memory, energy, noise: a run without it was interrupted, and can be resumed
    load    one level of load, whole

Raw answers are kept; medians and intervals are computed when somebody looks.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from gemstead.bench.measures import Answer
from gemstead.bench.memory import MemoryReading
from gemstead.bench.noise import Noise
from gemstead.core.figures import Figure

SCHEMA = 1
"""A line with a higher one was written by a later gemstead, and is skipped."""


class MachineNote(msgspec.Struct, frozen=True):
    """`fingerprint` is equal for two runs whose speeds may be compared."""

    fingerprint: str
    cpu: str | None
    usable_cores: int
    total_bytes: int
    system: str
    gpus: tuple[str, ...] = ()


class Prediction(msgspec.Struct, frozen=True):
    """What the plan said before anything ran: `needed_bytes` everything mapped, `resident_bytes` what must stay.

    The speeds are those of a prompt of `prompt_tokens` with an answer of `answer_tokens`. `calibration` names what they
    were computed from; None: they are not to be learnt from.
    """

    needed_bytes: int
    resident_bytes: int
    gpu_bytes: int = 0
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    decode_tok_per_s: Figure | None = None
    prefill_tok_per_s: Figure | None = None
    calibration: str | None = None


class Subject(msgspec.Struct, frozen=True):
    """What is measured. Two runs of equal subjects measure the same thing. `model_sha256` is that of its first file."""

    model: str
    quant: str
    model_sha256: str | None
    engine: str
    engine_version: str
    engine_sha256: str | None
    machine: MachineNote
    context_length: int
    num_slots: int
    kv_cache_dtype: str
    num_threads: int
    ubatch_tokens: int
    gpu_layers: int | None
    extra_args: tuple[str, ...] = ()
    label: str | None = None
    batch_tokens: int | None = None
    flash_attention: str = "auto"
    speculation: str = "off"


class Protocol(msgspec.Struct, frozen=True):
    """How it is measured: each prompt length with `repeats` answers of `answer_tokens` tokens.

    A length counts the tokens of the text alone; what a chat template adds is in the answers' `prompt_tokens`.
    """

    prompt_tokens: tuple[int, ...]
    answer_tokens: int
    repeats: int


class RunStart(msgspec.Struct, frozen=True, tag="start", tag_field="kind"):
    run: str
    at: str
    gemstead: str
    subject: Subject
    protocol: Protocol
    prediction: Prediction | None = None
    schema: int = SCHEMA


class RunPoint(msgspec.Struct, frozen=True, tag="point", tag_field="kind"):
    """`prompt_tokens` were asked for; what each prompt really had is in its answer."""

    run: str
    prompt_tokens: int
    answers: tuple[Answer, ...]
    schema: int = SCHEMA


class Power(msgspec.Struct, frozen=True):
    """`sources` metered; none: nothing could be. `idle_w` with the model loaded and nobody asking.

    `assumed` is the whole machine's power as stated or as its profile says, for when nothing was metered.
    """

    sources: tuple[str, ...] = ()
    idle_w: float | None = None
    assumed: Figure | None = None


class RunEnd(msgspec.Struct, frozen=True, tag="end", tag_field="kind"):
    """`load_s`: from starting the engine until it says it is healthy, file cache as it is. `vram_bytes`: all users'."""

    run: str
    at: str
    load_s: float
    memory: MemoryReading | None
    power: Power
    noise: Noise
    vram_bytes: int | None = None
    warnings: tuple[str, ...] = ()
    schema: int = SCHEMA


class LoadLevel(msgspec.Struct, frozen=True):
    """One level of load, summed up. Rates are over `wall_s`, from the first request to the last answer."""

    arrival: str
    num_users: int
    rate_per_s: float | None
    wall_s: float
    num_sent: int
    num_completed: int
    failures: dict[str, int]
    requests_per_s: float
    completion_tok_per_s: float
    goodput_per_s: float
    ttft_s: tuple[float, ...]
    tpot_s: tuple[float, ...]
    latency_s: tuple[float, ...]
    fairness: float | None
    latency_slope_s_per_min: float | None
    memory_slope_bytes_per_min: float | None = None


class LoadRun(msgspec.Struct, frozen=True, tag="load", tag_field="kind"):
    """`levels` in the order in which they ran. `knee` is the place in it of the last level worth its load."""

    run: str
    at: str
    gemstead: str
    server: str
    model: str
    machine: MachineNote | None
    prompt_tokens: int
    answer_tokens: int
    ttft_limit_s: float | None
    tpot_limit_s: float | None
    levels: tuple[LoadLevel, ...]
    knee: int | None = None
    schema: int = SCHEMA


Record: TypeAlias = RunStart | RunPoint | RunEnd | LoadRun


class Run(msgspec.Struct, frozen=True):
    """A `start` with what followed it. `end` None: it was interrupted, or is still going on."""

    start: RunStart
    points: tuple[RunPoint, ...]
    end: RunEnd | None

    @property
    def is_trusted(self) -> bool:
        """Whether it was finished, and nothing was found that speaks against its figures."""
        return self.end is not None and not self.end.noise.reasons and not self.end.warnings

    @property
    def missing(self) -> tuple[int, ...]:
        """Prompt lengths that are not measured yet."""
        done = {point.prompt_tokens for point in self.points}
        return tuple(length for length in self.start.protocol.prompt_tokens if length not in done)


def gather_runs(records: list[Record]) -> list[Run]:
    """The runs in a row of records, oldest first; a point without a start is left out. Of two ends the last counts."""
    starts = {record.run: record for record in records if isinstance(record, RunStart)}
    points: dict[str, dict[int, RunPoint]] = {}
    ends: dict[str, RunEnd] = {}
    for record in records:
        if isinstance(record, RunPoint):
            points.setdefault(record.run, {})[record.prompt_tokens] = record
        elif isinstance(record, RunEnd):
            ends[record.run] = record
    return [
        Run(start, tuple(sorted(points.get(run, {}).values(), key=lambda one: one.prompt_tokens)), ends.get(run))
        for run, start in starts.items()
    ]
