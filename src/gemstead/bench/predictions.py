"""Predicted against measured figures of a run: what the report shows, and what the next prediction learns. Pure."""

from __future__ import annotations

import msgspec

from gemstead.bench.results import Run
from gemstead.bench.spread import spread_of
from gemstead.bench.tables import prefill_of
from gemstead.core.figures import Figure
from gemstead.core.plan import Place

MAX_LENGTH_RATIO = 2.0
"""Between the prompt length predicted for and the one measured: beyond, they are not held against each other."""


class SpeedCheck(msgspec.Struct, frozen=True):
    """One rate in tokens per second. `what` is "decode" or "prefill"; `measured` the median at `prompt_tokens`."""

    what: str
    prompt_tokens: int
    predicted: Figure
    measured: float

    @property
    def ratio(self) -> float:
        """Measured / predicted."""
        return self.measured / self.predicted.value

    @property
    def is_within_bar(self) -> bool:
        return self.predicted.low <= self.measured <= self.predicted.high


def speed_checks(run: Run) -> list[SpeedCheck]:
    """Decode and prefill at the measured length nearest to the predicted one, as far as both are known."""
    planned = run.start.prediction
    if planned is None or planned.prompt_tokens is None or not run.points:
        return []
    wanted = planned.prompt_tokens
    point = min(run.points, key=lambda one: abs(one.prompt_tokens - wanted))
    if not 1 / MAX_LENGTH_RATIO <= point.prompt_tokens / wanted <= MAX_LENGTH_RATIO:
        return []
    rates = (
        ("decode", planned.decode_tok_per_s, spread_of(answer.decode_tok_per_s for answer in point.answers)),
        ("prefill", planned.prefill_tok_per_s, spread_of(prefill_of(answer) for answer in point.answers)),
    )
    return [
        SpeedCheck(what, point.prompt_tokens, predicted, measured.median)
        for what, predicted, measured in rates
        if predicted is not None and measured is not None
    ]


class MemoryCheck(msgspec.Struct, frozen=True):
    """One place. On the host `held_bytes` is PSS, less the earlier prompts that the engine keeps: no plan counts them
    among what is needed, they fill what is left over, to a bound.
    """

    place: Place
    planned_bytes: int
    held_bytes: int

    @property
    def ratio(self) -> float:
        """Planned / held."""
        return self.planned_bytes / self.held_bytes


def memory_checks(run: Run) -> list[MemoryCheck]:
    """The host's memory and the GPUs', as far as both plan and measurement are known."""
    memory, planned = run.end.memory if run.end else None, run.start.prediction
    if memory is None or planned is None:
        return []
    checks = []
    # Runs stored before the engine's own word was kept say nothing about the host where prompts went through a GPU.
    if memory.pss_bytes and (memory.kept_bytes is not None or not planned.gpu_bytes):
        held_bytes = memory.pss_bytes - (memory.kept_bytes or 0)
        checks.append(MemoryCheck("host", planned.needed_bytes, held_bytes))
    if planned.gpu_bytes and memory.gpu_bytes:
        checks.append(MemoryCheck("gpu", planned.gpu_bytes, memory.gpu_bytes))
    return checks
