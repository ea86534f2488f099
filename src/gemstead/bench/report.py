"""All results as one HTML page that needs nothing else: tables, and charts as inline SVG. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

import msgspec

from gemstead.bench.load_summary import quantiles
from gemstead.bench.results import LoadRun, Run
from gemstead.bench.spread import Spread
from gemstead.bench.svg import Bar, Point, Series, bar_chart, distribution, line_chart
from gemstead.bench.tables import PointFigures, point_figures
from gemstead.core.figures import Figure
from gemstead.core.units import GIB, format_bytes, format_duration

_STYLE = """
body { font: 15px/1.45 sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 } th, td { padding: .25em .8em; border-bottom: 1px solid #ccc }
td { text-align: right } td:first-child, th { text-align: left } .note { color: #555 } .warning { color: #8a1f11 }
"""


class Published(msgspec.Struct, frozen=True):
    """Somebody else's figures, for orientation."""

    model: str
    machine: str
    prefill_tok_per_s: Figure
    decode_tok_per_s: Figure


def html_report(runs: Sequence[Run], loads: Sequence[LoadRun], published: Sequence[Published], made_at: str) -> str:
    """One page. `made_at` is shown, not read from the clock, so that the same results give the same page."""
    parts = [
        "<h1>Measurements of gemstead</h1>",
        f"<p class='note'>made {escape(made_at)}; {len(runs)} runs, {len(loads)} under load</p>",
        "<p class='note'>Medians with 95 % intervals (bootstrap). Definitions: docs/glossary.md.</p>",
        *_overview(runs),
        *(part for run in runs for part in _run(run)),
        *(part for load in loads for part in _load(load)),
        *_published(published),
    ]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>gemstead measurements</title>'
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _overview(runs: Sequence[Run]) -> Iterable[str]:
    if not runs:
        yield "<p>No run is stored yet: <code>gemstead bench run</code>.</p>"
        return
    names = [f"{run.start.subject.model} ({run.start.run[-4:]})" for run in runs]
    figures = [point_figures(run) for run in runs]
    for title, pick in (("decode", _decode), ("prefill", _prefill)):
        series = [Series(name, _points(points, pick)) for name, points in zip(names, figures, strict=True)]
        yield line_chart(f"{title} over prompt length", "prompt tokens", f"{title} tok/s", series)
    yield "<h2>Memory: planned against measured</h2>"
    yield from _memory(runs)


def _memory(runs: Sequence[Run]) -> Iterable[str]:
    bars, rows = [], []
    for run in runs:
        memory, planned = run.end.memory if run.end else None, run.start.prediction
        if memory is None or memory.pss_bytes is None or planned is None:
            continue
        name = f"{run.start.subject.model} ({run.start.run[-4:]})"
        bars.append(Bar(f"{name} planned", planned.needed_bytes / GIB))
        bars.append(Bar("measured, PSS", memory.pss_bytes / GIB))
        off = planned.needed_bytes / memory.pss_bytes - 1
        peak = format_bytes(memory.peak_rss_bytes) if memory.peak_rss_bytes else ""
        rows.append((name, format_bytes(planned.needed_bytes), format_bytes(memory.pss_bytes), peak, f"{off:+.1%}"))
    if rows:
        yield bar_chart("host memory", "GiB", bars)
        yield _table(("run", "planned", "PSS", "peak RSS", "plan over PSS"), rows)


def _run(run: Run) -> Iterable[str]:
    start, end = run.start, run.end
    subject = start.subject
    yield f"<h2>{escape(subject.model)} <small>{escape(start.run)}</small></h2>"
    place = f"{subject.machine.cpu or 'unknown processor'}, {subject.machine.usable_cores} cores, "
    build = f"{subject.engine} {subject.engine_version}, context {subject.context_length} x {subject.num_slots}"
    digest = f"model {subject.model_sha256 or 'without digest'}"
    yield f"<p>{escape(place + build)}; {escape(start.at)}; {escape(digest)}</p>"
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
    gaps = [
        Series(f"{point.prompt_tokens} tokens", _in_ms([gap for one in point.answers for gap in one.itl_s]))
        for point in run.points
    ]
    yield line_chart("gaps between tokens", "ITL in ms", "% at or below", gaps, has_marks=False)


def _row(figures: PointFigures) -> tuple[str, ...]:
    gaps = " / ".join(f"{1000 * gap:.1f}" for gap in figures.itl_s) + " ms" if figures.itl_s else ""
    energy = figures.energy_j_per_token
    joules = f"{'' if energy.basis == 'measured' else '~'}{energy.value:.3g} ({energy.basis})" if energy else ""
    waits = (figures.ttfr_s, figures.ttft_s, figures.tpot_s)
    return (
        str(figures.prompt_tokens),
        show_spread(figures.prefill_tok_per_s),
        show_spread(figures.decode_tok_per_s),
        *(show_spread(wait, 1000, "ms") for wait in waits),
        gaps,
        joules,
    )


def show_spread(spread: Spread | None, scale: float = 1.0, unit: str = "") -> str:
    """`17.3 (16.9 to 17.6)`: the median and its interval; empty where nothing is known."""
    if spread is None:
        return ""
    median, low, high = (f"{scale * value:.4g}" for value in (spread.median, spread.ci_low, spread.ci_high))
    return f"{median}{f' {unit}' if unit else ''} ({low} to {high})"


def _load(load: LoadRun) -> Iterable[str]:
    yield f"<h2>{escape(load.model)} under load <small>{escape(load.run)}</small></h2>"
    yield f"<p>{escape(load.server)}; prompts of {load.prompt_tokens}, answers of {load.answer_tokens} tokens</p>"
    rows = []
    for level in load.levels:
        ttft, latency = quantiles(level.ttft_s), quantiles(level.latency_s)
        rows.append(
            (
                f"{level.num_users} users" if level.arrival == "closed" else f"{level.arrival} {level.rate_per_s:g}/s",
                f"{level.requests_per_s:.3g}",
                f"{level.goodput_per_s:.3g}",
                f"{level.completion_tok_per_s:.4g}",
                f"{ttft[0]:.3g} / {ttft[1]:.3g} s" if ttft else "",
                f"{latency[0]:.3g} / {latency[1]:.3g} s" if latency else "",
                ", ".join(f"{count} {code}" for code, count in level.failures.items()) or "none",
            )
        )
    yield _table(("load", "requests/s", "goodput/s", "tok/s", "TTFT p50 / p95", "latency p50 / p95", "failures"), rows)
    waits = [Series(rows[place][0], distribution(level.latency_s)) for place, level in enumerate(load.levels)]
    yield line_chart("latency", "seconds", "% at or below", waits, has_marks=False)


def _published(published: Sequence[Published]) -> Iterable[str]:
    if not published:
        return
    yield "<h2>Published elsewhere, for orientation</h2>"
    yield _table(
        ("model", "machine", "prefill tok/s", "decode tok/s", "source"),
        [
            (
                one.model,
                one.machine,
                f"{one.prefill_tok_per_s.value:g}",
                f"{one.decode_tok_per_s.value:g}",
                one.decode_tok_per_s.source or "",
            )
            for one in published
        ],
    )


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _points(figures: Sequence[PointFigures], pick: Callable[[PointFigures], Spread | None]) -> tuple[Point, ...]:
    pairs = [(one.prompt_tokens, pick(one)) for one in figures]
    return tuple(Point(x, spread.median, spread.ci_low, spread.ci_high) for x, spread in pairs if spread)


def _in_ms(gaps: Sequence[float]) -> tuple[Point, ...]:
    return distribution([1000 * gap for gap in gaps])


def _decode(figures: PointFigures) -> Spread | None:
    return figures.decode_tok_per_s


def _prefill(figures: PointFigures) -> Spread | None:
    return figures.prefill_tok_per_s
