"""`gemstead plan`: what would run here, or elsewhere, with what memory, speed and energy. Fetches nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.app.planning import Asked
    from gemstead.app.setup import Setup
    from gemstead.hardware.snapshot import Machine
    from gemstead.planner.candidate import Goal


def register(app: typer.Typer) -> None:
    app.command("plan")(plan)


def plan(
    model: options.Model = None,
    context: options.Context = None,
    parallel: options.Parallel = None,
    kv: options.Kv = None,
    speculation: options.Speculation = None,
    tuned: options.Tuned = None,
    on: Annotated[str | None, typer.Option("--on", help="A named machine (gemstead hardware --profiles).")] = None,
    goal: Annotated[
        str, typer.Option("--goal", help="What comes first: balanced, quality, latency, concurrency, energy.")
    ] = "balanced",
    users: Annotated[int | None, typer.Option("--users", help="Users who ask at the same moment.")] = None,
    tokens: Annotated[
        int | None, typer.Option("--tokens", help="Tokens of one request, half prompt and half answer.")
    ] = None,
    ttft: Annotated[
        float | None, typer.Option("--ttft", help="Longest wait for the first token, in seconds, for any of them.")
    ] = None,
    power: Annotated[float | None, typer.Option("--power", help="What the machine draws at work, in watts.")] = None,
    what_if: Annotated[
        bool, typer.Option("--what-if", help="Every variant, quantization and context side by side.")
    ] = False,
    picture: Annotated[Path | None, typer.Option("--picture", help="Write what-if to this SVG file too.")] = None,
    engine: Annotated[
        str | None, typer.Option("--engine", help="Another engine's need: vllm, transformers, mlx, litert-lm.")
    ] = None,
    no_correction: Annotated[
        bool, typer.Option("--no-correction", help="Speeds by the formulas alone, whatever bench measured here.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Say what fits, by part, and how fast it would be, before any download. Exits with 3 if it does not fit."""
    from gemstead.app.planning import Asked, asked_goal, asked_machine
    from gemstead.app.setup import make_setup
    from gemstead.cli.output import note
    from gemstead.planner.candidate import Aim

    options.check_word("--goal", goal, list(get_args(Aim)))
    flags = options.plan_flags(context, parallel, kv) | options.tuned_flags(tuned, speculation)
    setup = make_setup(options.load(model__name=model, **flags), say=note)
    asked = Asked(goal, users, tokens, ttft, power, not no_correction)  # type: ignore[arg-type]  # a word of Aim
    machine = asked_machine(setup, on, asked)
    wanted = asked_goal(setup, machine, asked)
    if engine is not None and engine != "llama.cpp":
        _show_engine(setup, machine, wanted, engine, json)
    elif what_if or picture is not None:
        _show_cases(setup, machine, wanted, picture, json)
    else:
        _show_plan(setup, machine, wanted, asked, json)


def _show_plan(setup: Setup, machine: Machine, goal: Goal, asked: Asked, json: bool) -> None:
    from gemstead.app.choose import choose
    from gemstead.app.planning import machines_for
    from gemstead.cli.output import print_json
    from gemstead.cli.plan_text import print_choice, print_machines
    from gemstead.core.errors import DoesNotFit, ModelMissing

    machines = machines_for(setup, goal) if asked.has_workload else ()
    try:
        choice = choose(setup, machine, setup.loaded.settings.model.name, goal)
    except DoesNotFit:
        if asked.has_workload and not json:
            print_machines(machines)
        raise
    if choice.plan is None:
        raise ModelMissing(
            f"the dimensions of {choice.model} are known once it is here", hint=f"gemstead models pull {choice.model}"
        )
    if json:
        body = {"machine": machine.name, "plan": choice.plan, "advice": choice.advice, "machines": machines}
        print_json("plan/1", body)
        return
    print_choice(choice, choice.plan, machine.name)
    if asked.has_workload:
        print_machines(machines)


def _show_cases(setup: Setup, machine: Machine, goal: Goal, picture: Path | None, json: bool) -> None:
    from gemstead.app.planning import cases_of
    from gemstead.cli.output import note, print_json
    from gemstead.cli.plan_text import print_cases
    from gemstead.core.errors import RequestInvalid
    from gemstead.planner.fit import find_budget
    from gemstead.planner.picture import what_if_svg

    cases = cases_of(setup, machine, goal, setup.loaded.settings.model.name)
    if not cases:
        raise RequestInvalid("no file of Gemma 4 has this name", hint="gemstead models list --available")
    if json:
        print_json("what-if/1", {"machine": machine.name, "cases": cases})
    else:
        print_cases(cases, machine.name)
    if picture is not None:
        budget = find_budget(machine, goal)
        free_bytes = budget.host_available.num_bytes + (budget.gpu_available.num_bytes if budget.gpu_available else 0)
        _write(picture, what_if_svg(cases, machine.name, free_bytes))
        note(f"the picture is in {picture}")


def _show_engine(setup: Setup, machine: Machine, goal: Goal, engine: str, json: bool) -> None:
    from gemstead.app.planning import engine_needs
    from gemstead.cli.output import print_json
    from gemstead.cli.plan_text import print_needs

    needs = engine_needs(setup, machine, goal, engine, setup.loaded.settings.model.name)
    if json:
        print_json("engine-needs/1", {"machine": machine.name, "needs": needs})
    else:
        print_needs(needs, engine, machine.name)


def _write(path: Path, text: str) -> None:
    from gemstead.core.errors import RequestInvalid

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise RequestInvalid(
            f"{path} cannot be written: {exc.strerror}", param="picture", hint="use --picture what-if.svg"
        ) from exc
