"""Plans as tables for people: memory by part, speed, and choices side by side. `~` before what was not measured."""

from __future__ import annotations

from collections.abc import Sequence

from gemstead.app.choose import Choice
from gemstead.cli.output import print_table, show_bytes
from gemstead.core.figures import BytesFigure, Figure
from gemstead.core.plan import Place, Plan
from gemstead.core.speed import Speed
from gemstead.core.units import format_bytes, format_duration
from gemstead.planner.other_engines import EngineNeed
from gemstead.planner.picture import resident_bytes
from gemstead.planner.serving import MachineOption
from gemstead.planner.what_if import Case


def print_choice(choice: Choice, plan: Plan, machine: str) -> None:
    """The verdict first, then memory, speed and the reasons."""
    slots = f", {plan.num_slots} slots" if plan.num_slots > 1 else ""
    print(
        f"{plan.model} fits on {machine}: {plan.quant}, context {plan.context_length}{slots}, KV {plan.kv_cache_dtype}"
    )
    print()
    print_table(("memory", "place", "size", "basis"), _memory_rows(plan))
    if plan.speed is not None:
        print()
        print_table(("speed", "predicted", "from", "to"), _speed_rows(plan.speed, plan.context_length))
    reclaimable = sum(part.size.num_bytes for part in plan.memory if part.is_reclaimable)
    print()
    if reclaimable:
        print(f"another ~{format_bytes(reclaimable)} of the file is mapped and may be dropped by the system")
    if plan.download_bytes:
        print(f"to download: {format_bytes(plan.download_bytes)}")
    for reason in (*(choice.advice.reasons if choice.advice else ()), *plan.reasons):
        print(f"- {reason}")
    for warning in plan.warnings:
        print(f"warning: {warning}")
    if plan.speed is None:
        print("note: the speed is not predicted: a memory bandwidth is not known (gemstead hardware)")
    if choice.advice and choice.advice.alternatives:
        print()
        print("also fits: " + ", ".join(other.model for other in choice.advice.alternatives[:4]))


def print_machines(options: Sequence[MachineOption]) -> None:
    """The named machines that would do what was asked."""
    print()
    if not options:
        print("no named machine does that (gemstead hardware --profiles)")
        return
    print("machines that do it:")
    rows = [
        (option.machine, option.plan.model, option.plan.kv_cache_dtype, *_speed_cells(option.plan.speed))
        for option in options
    ]
    print_table(("machine", "model", "KV", "tok/s each", "TTFT", "J/token"), rows)


def print_cases(cases: Sequence[Case], machine: str) -> None:
    """One line a case, fitting or not."""
    num_fitting = sum(case.plan is not None for case in cases)
    print(f"{num_fitting} of {len(cases)} fit on {machine}")
    print()
    rows = [
        (
            *(case.model, case.quant, case.context_length),
            f"~{format_bytes(resident_bytes(case.plan))}" if case.plan else "",
            *_speed_cells(case.plan.speed if case.plan else None),
            _full_cell(case.plan),
            "fits" if case.plan else f"lacks {format_bytes(case.missing_bytes or 0)}",
        )
        for case in cases
    ]
    headers = ("model", "quant", "context", "memory", "tok/s each", "TTFT", "J/token", "when full", "verdict")
    print_table(headers, rows)
    decodes = (case.plan.speed.decode_tok_per_s for case in cases if case.plan is not None and case.plan.speed)
    for source in dict.fromkeys(decode.source for decode in decodes if decode.source is not None):
        print(f"\ndecode is {source}")


def print_needs(needs: Sequence[EngineNeed], engine: str, machine: str) -> None:
    """Another engine's memory by format; nothing of it was tried."""
    print(f"{engine} on {machine}, from formulas; nothing of it was tried")
    print()
    rows = [
        (
            *(need.model, need.form, need.context_length),
            *(f"~{format_bytes(need.resident_bytes(place))}" for place in ("gpu", "host")),
            *_speed_cells(need.speed),
            "fits" if not need.missing_bytes else f"lacks {format_bytes(need.missing_bytes)}",
        )
        for need in needs
    ]
    headers = ("model", "format", "context", "GPU", "host", "tok/s each", "TTFT", "J/token", "verdict")
    print_table(headers, rows)
    for need in needs[:1]:
        print()
        print(f"{need.model} {need.form} by part:")
        print_table(
            ("memory", "place", "size", "basis"),
            [
                (part.name.replace("_", " "), part.place, show_bytes(part.size), _basis(part.size))
                for part in need.memory
            ],
        )


def _memory_rows(plan: Plan) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        (part.name.replace("_", " "), part.place, show_bytes(part.size), _basis(part.size))
        for part in plan.memory
        if not part.is_reclaimable
    ]
    places: tuple[tuple[Place, BytesFigure | None], ...] = (("host", plan.host_available), ("gpu", plan.gpu_available))
    for place, available in places:
        if available is not None and (needed := plan.resident_bytes(place)):
            rows.append(("total", place, f"~{format_bytes(needed)}", f"of {show_bytes(available)} free"))
    return rows


def _speed_rows(speed: Speed, context_length: int) -> list[tuple[str, ...]]:
    asked = speed.workload
    each = f" for each of {asked.num_users} users" if asked.num_users > 1 else ""
    rows = [
        _rate_row(f"prefill, {asked.prompt_tokens} tokens", speed.prefill_tok_per_s),
        _rate_row(f"decode{each}", speed.decode_tok_per_s),
        _rate_row("decode for all of them", speed.total_decode_tok_per_s) if each else None,
        _rate_row(f"decode at {context_length} tokens", speed.full_decode_tok_per_s),
        _duration_row("first token after" + (", last user" if each else ""), speed.ttft_s),
        _energy_row(speed.energy_j_per_token),
    ]
    return [row for row in rows if row is not None]


def _rate_row(name: str, figure: Figure | None) -> tuple[str, ...] | None:
    if figure is None:
        return None
    return (name, f"~{_number(figure.value)} tok/s", _number(figure.low), _number(figure.high))


def _number(value: float) -> str:
    """Three significant digits, without an exponent: `7.81`, `156`, `15,800`."""
    if value < 100:
        return f"{value:.3g}"
    scale = 10 ** (len(f"{value:.0f}") - 3)
    return f"{round(value / scale) * scale:,}"


def _duration_row(name: str, figure: Figure | None) -> tuple[str, ...] | None:
    if figure is None:
        return None
    return (name, f"~{format_duration(figure.value)}", format_duration(figure.low), format_duration(figure.high))


def _energy_row(figure: Figure | None) -> tuple[str, ...] | None:
    if figure is None:
        return None
    return ("energy per token", f"~{figure.value:.3g} J ({figure.basis})", f"{figure.low:.3g}", f"{figure.high:.3g}")


def _speed_cells(speed: Speed | None) -> tuple[str, str, str]:
    """Decode for each user, wait of the last, energy; empty where not known."""
    if speed is None:
        return ("", "", "")
    ttft = f"~{format_duration(speed.ttft_s.value)}" if speed.ttft_s is not None else ""
    energy = f"~{speed.energy_j_per_token.value:.2g}" if speed.energy_j_per_token is not None else ""
    return (f"~{_number(speed.decode_tok_per_s.value)}", ttft, energy)


def _full_cell(plan: Plan | None) -> str:
    """The rate of one user at the end of a full context."""
    return f"~{_number(plan.speed.full_decode_tok_per_s.value)}" if plan and plan.speed else ""


def _basis(size: BytesFigure) -> str:
    if size.error is None:
        return size.basis
    return f"{size.basis}, within {size.error:.1%}" if size.error else f"{size.basis}, exact"
