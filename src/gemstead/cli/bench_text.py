"""Results of measurements as text: the verdict first, then tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemstead.cli.output import print_table
from gemstead.core.units import MIB, format_bytes, format_duration

if TYPE_CHECKING:
    from gemstead.bench.compare import Comparison
    from gemstead.bench.predictions import MemoryCheck
    from gemstead.bench.results import LoadLevel, LoadRun, Run
    from gemstead.bench.tables import PointFigures
    from gemstead.core.plan import Place


def print_run(run: Run) -> None:
    """One run: whether to believe it, the figures of each prompt length, memory beside the plan, energy's basis."""
    from gemstead.bench.tables import point_figures

    subject, end = run.start.subject, run.end
    print(f"{subject.model}: {_verdict(run)}   ({run.start.run})")
    for reason in (*end.noise.reasons, *end.warnings) if end else ():
        print(f"  - {reason}")
    print(f"{subject.engine} {subject.engine_version}; {subject.machine.cpu}, {subject.machine.usable_cores} cores")
    print()
    headers = ("prompt", "prefill tok/s", "decode tok/s", "TTFR ms", "TTFT ms", "TPOT ms", "ITL p50/p95/p99", "J/token")
    print_table(headers, [_row(figures) for figures in point_figures(run)])
    if end is None:
        print("\ninterrupted: the same command goes on with it")
        return
    print()
    print(f"loaded in {format_duration(end.load_s)}; {_memory(run)}")
    if predicted := _predicted(run):
        print(f"predicted: {predicted}")
    print(f"energy: {_power(run)}")
    if hidden := sum(answer.has_hidden_tokens for point in run.points for answer in point.answers):
        print(f"{hidden} answers had tokens without text: TPOT and rates of these are by the engine's own clock")
    print("medians with 95 % intervals; what the words mean: docs/glossary.md")


def _verdict(run: Run) -> str:
    if run.end is None:
        return f"{len(run.points)} of {len(run.start.protocol.prompt_tokens)} prompt lengths measured"
    return "too disturbed to trust" if run.end.noise.reasons or run.end.warnings else "measured on a quiet machine"


def _row(figures: PointFigures) -> tuple[str, ...]:
    from gemstead.bench.report import show_spread

    energy = figures.energy_j_per_token
    return (
        str(figures.prompt_tokens),
        show_spread(figures.prefill_tok_per_s),
        show_spread(figures.decode_tok_per_s),
        show_spread(figures.ttfr_s, 1000),
        show_spread(figures.ttft_s, 1000),
        show_spread(figures.tpot_s, 1000),
        "/".join(f"{1000 * gap:.1f}" for gap in figures.itl_s) if figures.itl_s else "",
        f"{'' if energy.basis == 'measured' else '~'}{energy.value:.3g}" if energy else "",
    )


def _memory(run: Run) -> str:
    from gemstead.bench.predictions import memory_checks

    memory, planned = run.end.memory if run.end else None, run.start.prediction
    if memory is None:
        return "memory not known"
    held = memory.pss_bytes or memory.rss_bytes
    text = f"{'PSS' if memory.pss_bytes else 'RSS'} {format_bytes(held)}"
    if memory.peak_rss_bytes:
        text += f", peak RSS {format_bytes(memory.peak_rss_bytes)}"
    checks = [f"{_PLACES[check.place]} {_beside_the_plan(check)}" for check in memory_checks(run)]
    if planned is not None and planned.gpu_bytes and not memory.gpu_bytes:
        checks.append(f"on the GPU planned ~{format_bytes(planned.gpu_bytes)}, not measured")
    return "; ".join((text, *checks))


_PLACES: dict[Place, str] = {"host": "on the host", "gpu": "on the GPU"}


def _beside_the_plan(check: MemoryCheck) -> str:
    return f"{format_bytes(check.held_bytes)}, planned ~{format_bytes(check.planned_bytes)} ({check.ratio - 1:+.1%})"


def _predicted(run: Run) -> str:
    """Speed as the formulas alone had it, and how far off it was; empty where there is nothing to hold against it."""
    from gemstead.bench.predictions import speed_checks

    return "; ".join(
        f"{check.what} ~{check.predicted.value:.3g} tok/s at {check.prompt_tokens} tokens ({1 / check.ratio - 1:+.0%}, "
        f"{'within' if check.is_within_bar else 'outside'} its error bar)"
        for check in speed_checks(run)
    )


def _power(run: Run) -> str:
    assert run.end is not None
    power = run.end.power
    if power.sources:
        idle = f", idle {power.idle_w:.1f} W" if power.idle_w is not None else ""
        return f"metered ({', '.join(power.sources)}{idle})"
    if power.assumed is None:
        return "nothing here can be metered; state it with --watts"
    return f"assumed, ~{power.assumed.value:g} W ({power.assumed.source}): nothing here can be metered"


def print_load(run: LoadRun) -> None:
    """The levels, the knee, failures, fairness, drift."""
    from gemstead.bench.load_summary import quantiles

    print(f"{run.model}: {_load_verdict(run)}   ({run.run})")
    print(
        f"{run.server}; prompts of ~{run.prompt_tokens}, answers of at most {run.answer_tokens} tokens; {_limits(run)}"
    )
    print()
    rows = []
    for level in run.levels:
        ttft, tpot, latency = (quantiles(values) for values in (level.ttft_s, level.tpot_s, level.latency_s))
        rows.append(
            (
                _level_name(level),
                level.num_sent,
                f"{level.requests_per_s:.3g}",
                f"{level.goodput_per_s:.3g}",
                f"{level.completion_tok_per_s:.4g}",
                *("/".join(f"{value:.3g}" for value in found[:2]) if found else "" for found in (ttft, tpot, latency)),
                "" if level.fairness is None else f"{level.fairness:.3f}",
                sum(level.failures.values()),
            )
        )
    headers = (
        "load",
        "sent",
        "done/s",
        "goodput/s",
        "tok/s",
        "TTFT s p50/p95",
        "TPOT s",
        "latency s",
        "fair",
        "failed",
    )
    print_table(headers, rows)
    for level in run.levels:
        for line in _remarks(level):
            print(f"{_level_name(level)}: {line}")


def _load_verdict(run: LoadRun) -> str:
    if len(run.levels) == 1:
        level = run.levels[0]
        return f"{level.goodput_per_s:.3g} good answers a second, {level.requests_per_s:.3g} done"
    if run.knee is None:
        return "not even the first level was kept up with"
    return f"the knee is at {_level_name(run.levels[run.knee])}"


def _limits(run: LoadRun) -> str:
    limits = (("TTFT", run.ttft_limit_s), ("TPOT", run.tpot_limit_s))
    stated = [f"{name} <= {limit:g} s" for name, limit in limits if limit is not None]
    return f"good: {' and '.join(stated)}" if stated else "good: every finished answer"


def _level_name(level: LoadLevel) -> str:
    if level.arrival == "closed":
        return f"{level.num_users} user{'' if level.num_users == 1 else 's'}"
    return f"{level.arrival} {level.rate_per_s:g}/s"


def _remarks(level: LoadLevel) -> list[str]:
    lines = [f"{count} failed: {code}" for code, count in sorted(level.failures.items())]
    if level.latency_slope_s_per_min is not None and abs(level.latency_slope_s_per_min) > 0.1:
        lines.append(f"latency drifts by {level.latency_slope_s_per_min:+.2f} s a minute")
    if level.memory_slope_bytes_per_min is not None and level.memory_slope_bytes_per_min > MIB:
        lines.append(f"the server's memory grows by {format_bytes(level.memory_slope_bytes_per_min)} a minute")
    return lines


def print_comparison(comparison: Comparison) -> None:
    """B over A, with what may not be concluded."""
    shown = [line for line in comparison.lines if line.verdict != "no difference shown"]
    verdicts = sorted({f"{line.metric} {line.verdict}" for line in shown})
    print(f"B against A: {', '.join(verdicts) or 'no difference shown'}")
    print(f"A: {comparison.a}\nB: {comparison.b}")
    print(f"{'measured in turn, by pairs' if comparison.is_paired else 'measured one after the other: noise counts'}")
    print()
    rows = [
        (
            line.metric,
            line.prompt_tokens,
            f"{line.ratio.ratio:.3f}",
            f"{line.ratio.ci_low:.3f} to {line.ratio.ci_high:.3f}",
            line.verdict,
        )
        for line in comparison.lines
    ]
    print_table(("figure", "prompt", "B / A", "95 % interval", "B is"), rows)
    for warning in comparison.warnings:
        print(f"note: {warning}")
