"""All results as one HTML page that needs nothing else: tables, and charts as inline SVG. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files

import msgspec

from gemstead.bench.load_summary import quantiles
from gemstead.bench.plots import Plot, Published, Section, draw_plots, level_name, run_names, shown_runs, usual_point
from gemstead.bench.predictions import SpeedCheck, memory_checks, speed_checks
from gemstead.bench.quality_figures import loss_in_words
from gemstead.bench.quality_results import QualityRun
from gemstead.bench.quality_tables import QUALITY_HEADERS, quality_row
from gemstead.bench.results import LoadRun, Run
from gemstead.bench.spread import Spread
from gemstead.bench.tables import PointFigures, point_figures
from gemstead.core.units import format_bytes, format_duration, format_number


def html_report(
    runs: Sequence[Run],
    loads: Sequence[LoadRun],
    published: Sequence[Published],
    made_at: str,
    qualities: Sequence[QualityRun] = (),
) -> str:
    """One page. `made_at` is shown, not read from the clock, so that the same results give the same page."""
    plots = draw_plots(runs, loads, published)
    parts = [
        "<h1>Measurements of gemstead</h1>",
        f"<p class='note'>made {escape(made_at)}; {len(runs)} runs, {len(loads)} under load</p>",
        *_overview(runs),
        *_section("Throughput", "throughput", plots),
        *_speed(runs),
        *_section("Latency", "latency", plots),
        *_section("Memory: planned against measured", "memory", plots),
        *_memory(runs),
        *_section("Energy", "energy", plots),
        *_section("Under load", "load", plots),
        *(part for load in loads for part in _load(load)),
        *_quality(qualities),
        *(("<h2>Every run</h2>",) if runs else ()),
        *(part for run in runs for part in _run(run)),
        *_published(published),
    ]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>gemstead measurements</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_style()}</style></head><body>\n{body}\n</body></html>\n"
    )


@cache
def _style() -> str:
    return files("gemstead.bench").joinpath("report.css").read_text(encoding="utf-8")


def _overview(runs: Sequence[Run]) -> Iterable[str]:
    shown = shown_runs(runs)
    if not shown:
        yield "<p>No finished run is stored yet: <code>gemstead bench run</code>.</p>"
        return
    machines = dict.fromkeys(_machine(run) for run in shown)
    yield f"<p>{escape('; '.join(machines))}</p>"
    yield _table(
        ("model", "trusted", "prompt", "decode tok/s", "prefill tok/s", "TTFT", "memory", "J/token"),
        [_summary(name, run) for name, run in zip(run_names(shown), shown, strict=True)],
    )
    yield (
        "<p class='note'>Medians with 95 % intervals (bootstrap); definitions: docs/glossary.md. "
        "Charts show the latest finished run of each subject, six at most; tables show all.</p>"
    )


def _machine(run: Run) -> str:
    machine = run.start.subject.machine
    gpus = f", {', '.join(machine.gpus)}" if machine.gpus else ""
    memory = format_bytes(machine.total_bytes)
    return f"{machine.cpu or 'unknown processor'}, {machine.usable_cores} cores, {memory}{gpus}, {machine.system}"


def _summary(name: str, run: Run) -> tuple[str, ...]:
    (figures,) = point_figures(msgspec.structs.replace(run, points=(usual_point(run),)))
    memory = run.end.memory if run.end else None
    held_bytes = (memory.pss_bytes or memory.rss_bytes) if memory else None
    return (
        name,
        "yes" if run.is_trusted else "no: disturbed",
        str(figures.prompt_tokens),
        show_spread(figures.decode_tok_per_s),
        show_spread(figures.prefill_tok_per_s),
        show_spread(figures.ttft_s, unit="s"),
        format_bytes(held_bytes) if held_bytes else "",
        _joules(figures),
    )


def _section(title: str, section: Section, plots: Sequence[Plot]) -> Iterable[str]:
    """Heading and charts; nothing where there is no chart."""
    drawn = "".join(f"<figure>{plot.picture}</figure>" for plot in plots if plot.section == section)
    if drawn:
        yield f"<h2>{title}</h2>"
        yield f"<div class='plots'>{drawn}</div>"


def _speed(runs: Sequence[Run]) -> Iterable[str]:
    """By the formulas alone: what earlier results taught is not in it."""
    rows = [
        (
            f"{run.start.subject.model} ({run.start.run[-4:]})",
            *(check.what, str(check.prompt_tokens), format_number(check.predicted.value)),
            f"{format_number(check.predicted.low)} to {format_number(check.predicted.high)}",
            *(format_number(check.measured), f"{1 / check.ratio - 1:+.0%}", _bar_verdict(run, check)),
        )
        for run in runs
        for check in speed_checks(run)
    ]
    if rows:
        yield "<h2>Speed: predicted against measured</h2>"
        headers = ("run", "rate", "prompt", "predicted tok/s", "error bar", "measured", "predicted over it", "within")
        yield _table(headers, rows)


def _bar_verdict(run: Run, check: SpeedCheck) -> str:
    if not run.is_trusted:
        return "not to be trusted"
    return "yes" if check.is_within_bar else "no"


def _memory(runs: Sequence[Run]) -> Iterable[str]:
    rows = []
    for run in runs:
        memory = run.end.memory if run.end else None
        peak = format_bytes(memory.peak_rss_bytes) if memory and memory.peak_rss_bytes else ""
        for check in memory_checks(run):
            name = f"{run.start.subject.model} ({run.start.run[-4:]})"
            sizes = (format_bytes(check.planned_bytes), format_bytes(check.held_bytes))
            rows.append((name, check.place, *sizes, f"{check.ratio - 1:+.1%}", peak if check.place == "host" else ""))
    if rows:
        yield _table(("run", "place", "planned", "held (host: PSS)", "plan over held", "peak RSS"), rows)


def _run(run: Run) -> Iterable[str]:
    start, end = run.start, run.end
    subject = start.subject
    yield f"<details><summary>{escape(subject.model)} <small>{escape(start.run)}</small></summary>"
    build = f"{subject.engine} {subject.engine_version}, context {subject.context_length} x {subject.num_slots}"
    digest = f"model {subject.model_sha256 or 'without digest'}"
    yield f"<p>{escape(_machine(run))}; {escape(build)}; {escape(start.at)}; {escape(digest)}</p>"
    if end is None:
        yield "<p class='warning'>interrupted: not all points are there</p>"
    else:
        yield f"<p>loaded in {format_duration(end.load_s)}</p>"
        for reason in (*end.noise.reasons, *end.warnings):
            yield f"<p class='warning'>do not trust it: {escape(reason)}</p>"
    yield _table(
        ("prompt tokens", "prefill tok/s", "decode tok/s", "TTFR", "TTFT", "TPOT", "ITL p50 / p95 / p99", "J/token"),
        [_row(figures) for figures in point_figures(run)],
    )
    yield "</details>"


def _row(figures: PointFigures) -> tuple[str, ...]:
    gaps = " / ".join(f"{1000 * gap:.1f}" for gap in figures.itl_s) + " ms" if figures.itl_s else ""
    waits = (figures.ttfr_s, figures.ttft_s, figures.tpot_s)
    return (
        str(figures.prompt_tokens),
        show_spread(figures.prefill_tok_per_s),
        show_spread(figures.decode_tok_per_s),
        *(show_spread(wait, 1000, "ms") for wait in waits),
        gaps,
        _joules(figures),
    )


def _joules(figures: PointFigures) -> str:
    energy = figures.energy_j_per_token
    if energy is None:
        return ""
    return f"{'' if energy.basis == 'measured' else '~'}{energy.value:.3g} ({energy.basis})"


def show_spread(spread: Spread | None, scale: float = 1.0, unit: str = "") -> str:
    """`17.3 (16.9 to 17.6)`: the median and its interval; empty where nothing is known."""
    if spread is None:
        return ""
    median, low, high = (format_number(scale * value) for value in (spread.median, spread.ci_low, spread.ci_high))
    return f"{median}{f' {unit}' if unit else ''} ({low} to {high})"


def _load(load: LoadRun) -> Iterable[str]:
    yield f"<h3>{escape(load.model)} under load <small>{escape(load.run)}</small></h3>"
    yield f"<p>{escape(load.server)}; prompts of {load.prompt_tokens}, answers of {load.answer_tokens} tokens</p>"
    rows = []
    for level in load.levels:
        ttft, latency = quantiles(level.ttft_s), quantiles(level.latency_s)
        rows.append(
            (
                level_name(level),
                f"{level.requests_per_s:.3g}",
                f"{level.goodput_per_s:.3g}",
                f"{level.completion_tok_per_s:.4g}",
                f"{ttft[0]:.3g} / {ttft[1]:.3g} s" if ttft else "",
                f"{latency[0]:.3g} / {latency[1]:.3g} s" if latency else "",
                ", ".join(f"{count} {code}" for code, count in level.failures.items()) or "none",
            )
        )
    yield _table(("load", "requests/s", "goodput/s", "tok/s", "TTFT p50 / p95", "latency p50 / p95", "failures"), rows)


def _quality(qualities: Sequence[QualityRun]) -> Iterable[str]:
    if not qualities:
        return
    yield "<h2>Quality</h2>"
    yield _table(QUALITY_HEADERS, [quality_row(run) for run in qualities])
    for words in (loss_in_words(run) for run in qualities):
        if words is not None:
            yield f"<p>{escape(words)}</p>"


def _published(published: Sequence[Published]) -> Iterable[str]:
    if not published:
        return
    yield "<h2>Published elsewhere, for orientation</h2>"
    yield _table(
        ("model", "machine", "prefill tok/s", "decode tok/s"),
        [
            (
                one.model,
                one.machine,
                format_number(one.prefill_tok_per_s.value),
                format_number(one.decode_tok_per_s.value),
            )
            for one in published
        ],
    )
    for source in dict.fromkeys(one.decode_tok_per_s.source for one in published):
        yield f"<p class='note'>{escape(source or 'source not stated')}</p>"


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div class='wide'><table><tr>{head}</tr>{body}</table></div>"
