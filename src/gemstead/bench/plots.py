"""Which charts are drawn of the results, for the page and as files of their own. Pure.

A chart shows the latest finished run of each subject, of the last six at most: more lines nobody can tell apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeAlias

import msgspec

from gemstead.bench.charts import Bar, Group, Point, Series, bar_chart, distribution, line_chart
from gemstead.bench.predictions import memory_checks, speed_checks
from gemstead.bench.results import LoadLevel, LoadRun, Run, RunPoint
from gemstead.bench.spread import Spread
from gemstead.bench.tables import PointFigures, point_figures
from gemstead.core import svg
from gemstead.core.figures import Figure
from gemstead.core.units import GIB

USUAL_TOKENS = 512
"""Where one prompt length has to stand for a run, the measured one nearest to this."""
MEASURED, PREDICTED = 0, 4
"""The tones of what was measured, and of what was said beforehand or by others."""

Section: TypeAlias = Literal["throughput", "latency", "memory", "energy", "load"]


class Published(msgspec.Struct, frozen=True):
    """Somebody else's figures, for orientation."""

    model: str
    machine: str
    prefill_tok_per_s: Figure
    decode_tok_per_s: Figure


class Plot(msgspec.Struct, frozen=True):
    """One chart. `name` is fit for a file and unlike any other's of the same results; `picture` is SVG."""

    section: Section
    name: str
    picture: str


def shown_runs(runs: Sequence[Run]) -> list[Run]:
    """The runs that charts show, oldest first."""
    latest = {run.start.subject: run for run in runs if run.end is not None and run.points}
    kept = {run.start.run for run in latest.values()}
    return [run for run in runs if run.start.run in kept][-svg.NUM_SERIES :]


def run_names(runs: Sequence[Run]) -> list[str]:
    """The model of each; where one was measured in several ways, with the end of the run's name."""
    num = Counter(run.start.subject.model for run in runs)
    return [
        run.start.subject.model
        if num[run.start.subject.model] == 1
        else f"{run.start.subject.model} ({run.start.run[-4:]})"
        for run in runs
    ]


def usual_point(run: Run) -> RunPoint:
    """The prompt length that stands for a run, which must have one."""
    return min(run.points, key=lambda point: abs(point.prompt_tokens - USUAL_TOKENS))


def draw_plots(runs: Sequence[Run], loads: Sequence[LoadRun], published: Sequence[Published]) -> list[Plot]:
    """Every chart that the results have something for."""
    shown = shown_runs(runs)
    named = [
        (name if run.is_trusted else f"{name}, disturbed", run)
        for name, run in zip(run_names(shown), shown, strict=True)
    ]
    return [
        *(_over_length(named) if named else ()),
        *_speed(named),
        *_beside_published(named, published),
        *_gaps(named),
        *_memory(named),
        *_energy(named),
        *(plot for load in loads[-svg.NUM_SERIES :] for plot in _load(load)),
    ]


_Named: TypeAlias = Sequence[tuple[str, Run]]


def _over_length(named: _Named) -> Iterable[Plot]:
    rates: tuple[tuple[Section, str, str, str, Callable[[PointFigures], Spread | None]], ...] = (
        ("throughput", "decode", "Decode over prompt length", "tok/s", lambda one: one.decode_tok_per_s),
        ("throughput", "prefill", "Prefill over prompt length", "tok/s", lambda one: one.prefill_tok_per_s),
        ("latency", "ttft", "Time to first token over prompt length", "seconds", lambda one: one.ttft_s),
    )
    figures = [(name, point_figures(run)) for name, run in named]
    for section, name, title, unit, pick in rates:
        series = [Series(model, _points(points, pick)) for model, points in figures]
        yield Plot(section, name, line_chart(title, "prompt tokens, template included", unit, series))


def _points(figures: Sequence[PointFigures], pick: Callable[[PointFigures], Spread | None]) -> tuple[Point, ...]:
    pairs = [(one.prompt_tokens, pick(one)) for one in figures]
    return tuple(Point(x, spread.median, spread.ci_low, spread.ci_high) for x, spread in pairs if spread)


def _speed(named: _Named) -> Iterable[Plot]:
    for what in ("decode", "prefill"):
        groups = [
            Group(
                f"{name}, prompt of {check.prompt_tokens}",
                (
                    Bar("predicted", check.predicted.value, PREDICTED, check.predicted.low, check.predicted.high),
                    Bar("measured", check.measured, MEASURED),
                ),
            )
            for name, run in named
            for check in speed_checks(run)
            if check.what == what
        ]
        if groups:
            yield Plot(
                "throughput", f"{what}-predicted", bar_chart(f"{what.title()}, predicted and measured", "tok/s", groups)
            )


def _beside_published(named: _Named, published: Sequence[Published]) -> Iterable[Plot]:
    groups = []
    for name, run in named:
        others = [one for one in published if _is_of(run.start.subject.model, one.model)]
        decode = point_figures(msgspec.structs.replace(run, points=(usual_point(run),)))[0].decode_tok_per_s
        if others and decode is not None:
            here = Bar("here", decode.median, MEASURED, decode.ci_low, decode.ci_high)
            bars = [Bar(one.machine, one.decode_tok_per_s.value, PREDICTED) for one in others]
            groups.append(Group(name, (here, *sorted(bars, key=lambda bar: bar.value))))
    if groups:
        yield Plot("throughput", "published", bar_chart("Decode here, and as published elsewhere", "tok/s", groups))


def _is_of(model: str, family: str) -> bool:
    """Generated weights are as fast as the real ones, but those of toy size are another model."""
    is_named = model == family or model.startswith((f"{family}-", f"{family}@"))
    return is_named and not model.endswith("@tiny")


def _gaps(named: _Named) -> Iterable[Plot]:
    gaps = [
        Series(
            f"{name}, prompt of {point.prompt_tokens}",
            distribution([1000 * gap for answer in point.answers for gap in answer.itl_s]),
        )
        for name, run in named
        for point in (usual_point(run),)
    ]
    if gaps:
        yield Plot(
            "latency", "itl", line_chart("Gaps between tokens", "ITL in ms", "% at or below", gaps, has_marks=False)
        )


def _memory(named: _Named) -> Iterable[Plot]:
    groups = []
    for name, run in named:
        for check in memory_checks(run):
            where = f"{name}, GPU" if check.place == "gpu" else name
            predicted = Bar("predicted", check.planned_bytes / GIB, PREDICTED)
            groups.append(Group(where, (predicted, Bar("measured", check.held_bytes / GIB, MEASURED))))
    if groups:
        yield Plot("memory", "memory", bar_chart("Memory, predicted and measured", "GiB", groups))


def _energy(named: _Named) -> Iterable[Plot]:
    groups = []
    for name, run in named:
        bars = [
            Bar(f"at {one.prompt_tokens} ({energy.basis})", energy.value, _place(energy))
            for one in point_figures(run)
            if (energy := one.energy_j_per_token) is not None
        ]
        if bars:
            groups.append(Group(name, tuple(bars)))
    if groups:
        yield Plot("energy", "energy", bar_chart("Energy of a decoded token", "J/token", groups))


def _place(figure: Figure) -> int:
    return MEASURED if figure.basis == "measured" else PREDICTED


def level_name(level: LoadLevel) -> str:
    """`8 users`, or `poisson 2/s`."""
    if level.arrival != "closed":
        return f"{level.arrival} {level.rate_per_s:g}/s"
    return f"{level.num_users} user{'' if level.num_users == 1 else 's'}"


def _load(load: LoadRun) -> Iterable[Plot]:
    """What more load brings, and what those who wait pay for it."""
    if not any(level.num_completed for level in load.levels):
        return
    groups = [Group(level_name(level), (Bar("", level.completion_tok_per_s),)) for level in load.levels]
    head = f"{load.model} under load ({load.run[-4:]})"
    yield Plot("load", f"load-{load.run}-throughput", bar_chart(f"{head}: throughput", "tok/s", groups))
    waits: tuple[tuple[str, str, Callable[[LoadLevel], Sequence[float]]], ...] = (
        ("ttft", "time to first token", lambda level: level.ttft_s),
        ("latency", "latency", lambda level: level.latency_s),
    )
    for what, title, pick in waits:
        series = [Series(level_name(level), distribution(pick(level))) for level in load.levels]
        picture = line_chart(f"{head}: {title}", "seconds", "% at or below", series, has_marks=False)
        yield Plot("load", f"load-{load.run}-{what}", picture)
