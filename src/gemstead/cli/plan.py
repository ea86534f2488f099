"""`gemstead plan`: what would run here, or on another machine, and what memory it needs. Fetches nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.app.choose import Choice
    from gemstead.core.figures import BytesFigure
    from gemstead.core.plan import Place, Plan


def register(app: typer.Typer) -> None:
    app.command("plan")(plan)


def plan(
    model: options.Model = None,
    context: options.Context = None,
    parallel: options.Parallel = None,
    kv: options.Kv = None,
    on: Annotated[str | None, typer.Option("--on", help="A named machine (gemstead hardware --profiles).")] = None,
    json: options.Json = False,
) -> None:
    """Say what fits, by part, before anything is downloaded. Exits with 3 if it does not fit."""
    from gemstead.app.choose import choose
    from gemstead.app.setup import machine_named, make_setup
    from gemstead.cli.output import note, print_json
    from gemstead.core.errors import ModelMissing

    loaded = options.load(model__name=model, **options.plan_flags(context, parallel, kv))
    machine = machine_named(loaded, on)
    choice = choose(make_setup(loaded, say=note), machine, loaded.settings.model.name)
    if choice.plan is None:
        raise ModelMissing(
            f"the dimensions of {choice.model} are known once it is here", hint=f"gemstead models pull {choice.model}"
        )
    if json:
        print_json("plan/1", {"machine": machine.name, "plan": choice.plan, "advice": choice.advice})
    else:
        _print(choice, choice.plan, machine.name)


def _print(choice: Choice, plan: Plan, machine: str) -> None:
    from gemstead.cli.output import print_table, show_bytes
    from gemstead.core.units import format_bytes

    slots = f", {plan.num_slots} slots" if plan.num_slots > 1 else ""
    print(
        f"{plan.model} fits on {machine}: {plan.quant}, context {plan.context_length}{slots}, KV {plan.kv_cache_dtype}"
    )
    print()
    rows: list[tuple[str, ...]] = [
        (part.name.replace("_", " "), part.place, show_bytes(part.size), _basis(part.size.basis, part.size.error))
        for part in plan.memory
        if not part.is_reclaimable
    ]
    places: tuple[tuple[Place, BytesFigure | None], ...] = (("host", plan.host_available), ("gpu", plan.gpu_available))
    for place, available in places:
        if available is not None and (needed := plan.resident_bytes(place)):
            rows.append(("total", place, f"~{format_bytes(needed)}", f"of {show_bytes(available)} free"))
    print_table(("memory", "place", "size", "basis"), rows)
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
    if choice.advice and choice.advice.alternatives:
        print()
        print("also fits: " + ", ".join(other.model for other in choice.advice.alternatives[:4]))


def _basis(basis: str, error: float | None) -> str:
    return f"{basis}, within {error:.1%}" if error else f"{basis}, exact" if error == 0 else basis
