"""Two runs, or two settings measured in turn, as ratios with intervals. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from gemstead.bench.measures import Answer
from gemstead.bench.results import Run, Subject
from gemstead.bench.spread import Ratio, ratio_of_medians, ratio_of_pairs
from gemstead.bench.tables import prefill_of


class Metric(msgspec.Struct, frozen=True):
    """A figure of an answer; `is_more_better` says which direction a user likes."""

    name: str
    unit: str
    is_more_better: bool
    of: Callable[[Answer], float | None]


METRICS = (
    Metric("decode", "tok/s", True, lambda answer: answer.decode_tok_per_s),
    Metric("prefill", "tok/s", True, prefill_of),
    Metric("TTFT", "s", False, lambda answer: answer.ttft_s),
    Metric("latency", "s", False, lambda answer: answer.latency_s),
)


class Line(msgspec.Struct, frozen=True):
    """One figure at one prompt length: B over A."""

    metric: str
    unit: str
    prompt_tokens: int
    ratio: Ratio
    is_more_better: bool

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `no difference shown`, for B."""
        if not self.ratio.is_different:
            return "no difference shown"
        return "better" if (self.ratio.ratio > 1) == self.is_more_better else "worse"


class Comparison(msgspec.Struct, frozen=True):
    """`is_paired`: measured in turn, so that noise falls on both. `warnings`: what else differs."""

    a: str
    b: str
    lines: tuple[Line, ...]
    is_paired: bool
    warnings: tuple[str, ...] = ()


def compare_runs(a: Run, b: Run) -> Comparison:
    """Over the prompt lengths that both have; b over a."""
    answers = {point.prompt_tokens: point.answers for point in a.points}
    pairs = [
        (point.prompt_tokens, answers[point.prompt_tokens], point.answers)
        for point in b.points
        if point.prompt_tokens in answers
    ]
    lines = _lines(pairs, ratio_of_medians)
    return Comparison(a.start.run, b.start.run, lines, is_paired=False, warnings=tuple(_differences(a, b)))


def compare_pairs(a: str, b: str, pairs: Sequence[tuple[int, Sequence[Answer], Sequence[Answer]]]) -> Comparison:
    """Of (prompt length, A's answers, B's answers), each answer of A measured beside one of B."""
    lines = _lines(pairs, lambda xs, ys: ratio_of_pairs(list(zip(xs, ys, strict=True))))
    return Comparison(a, b, lines, is_paired=True)


_Ratio = Callable[[list[float], list[float]], Ratio | None]


def _lines(pairs: Sequence[tuple[int, Sequence[Answer], Sequence[Answer]]], ratio_of: _Ratio) -> tuple[Line, ...]:
    lines = []
    for metric in METRICS:
        for length, of_a, of_b in pairs:
            xs, ys = [metric.of(answer) for answer in of_a], [metric.of(answer) for answer in of_b]
            known_x, known_y = _without_none(xs), _without_none(ys)
            if len(known_x) < len(xs) or len(known_y) < len(ys):
                continue  # a pair with a hole is no pair
            if (ratio := ratio_of(known_x, known_y)) is not None:
                lines.append(Line(metric.name, metric.unit, length, ratio, metric.is_more_better))
    return tuple(lines)


def _without_none(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _differences(a: Run, b: Run) -> list[str]:
    """What else differs between two runs than what somebody meant to compare."""
    warnings = []
    if a.start.subject.machine.fingerprint != b.start.subject.machine.fingerprint:
        warnings.append("measured on different machines")
    warnings += [
        f"{run.start.run} was disturbed: {reason}" for run in (a, b) if run.end for reason in run.end.noise.reasons
    ]
    fields = [field for field in Subject.__struct_fields__ if field not in {"machine", "label"}]
    differing = [name for name in fields if getattr(a.start.subject, name) != getattr(b.start.subject, name)]
    if differing:
        warnings.append(f"they differ in {', '.join(differing)}")
    return warnings
