"""What `gemstead plan` asks beside one plan: users and limits, all choices side by side, other machines and engines."""

from __future__ import annotations

import msgspec

from gemstead.app.candidates import catalogue_candidates
from gemstead.app.choose import AUTO
from gemstead.app.setup import Setup, goal_of, machine_named
from gemstead.catalog.entries import ModelEntry
from gemstead.catalog.shapes import GEMMA4_SHAPES
from gemstead.core.errors import RequestInvalid
from gemstead.core.figures import Figure
from gemstead.core.shapes import ModelShape
from gemstead.hardware.profiles import load_profile, profile_names
from gemstead.hardware.snapshot import Machine
from gemstead.planner.candidate import Aim, Candidate, Goal
from gemstead.planner.formats import engine_formats
from gemstead.planner.other_engines import EngineNeed, engine_need
from gemstead.planner.serving import MachineOption, machines_that_do, serving_goal
from gemstead.planner.what_if import CONTEXTS, Case, what_if

DEFAULT_TOKENS = 1024

_COMPARED_CONTEXT = 8192
"""Of other engines, where nobody asks for one."""


class Asked(msgspec.Struct, frozen=True):
    """What stands on the command line; None: not asked. `power_w` is what the machine draws, as the user states it.

    `is_corrected` False: speeds by the formulas alone, whatever was measured here.
    """

    aim: Aim = "balanced"
    num_users: int | None = None
    tokens: int | None = None
    max_ttft_s: float | None = None
    power_w: float | None = None
    is_corrected: bool = True

    @property
    def has_workload(self) -> bool:
        return self.num_users is not None or self.tokens is not None or self.max_ttft_s is not None


def asked_machine(setup: Setup, on: str | None, asked: Asked) -> Machine:
    """The named machine, or this one, with the power the user states. Raises: NameUnknown, RequestInvalid."""
    machine = machine_named(setup.loaded, on)
    if not asked.is_corrected:
        machine = msgspec.structs.replace(machine, corrections=())
    if asked.power_w is None:
        return machine
    if asked.power_w <= 0:
        raise RequestInvalid(f"{asked.power_w:g} W is no power", param="power", hint="use --power 65")
    return msgspec.structs.replace(machine, power=Figure(asked.power_w, "assumed", 0.1, "stated on the command line"))


def asked_goal(setup: Setup, machine: Machine, asked: Asked) -> Goal:
    """The settings' goal with what was asked. Raises: RequestInvalid if a number cannot be meant."""
    goal = msgspec.structs.replace(goal_of(setup, machine), aim=asked.aim)
    if not asked.has_workload:
        return goal
    num_users = goal.num_slots if asked.num_users is None else asked.num_users
    tokens = DEFAULT_TOKENS if asked.tokens is None else asked.tokens
    return serving_goal(goal, num_users, tokens, asked.max_ttft_s)


def cases_of(setup: Setup, machine: Machine, goal: Goal, name: str) -> list[Case]:
    """Variants, quantizations and contexts side by side; of one model where `name` is not "auto"."""
    contexts = (goal.context_length,) if goal.context_length is not None else CONTEXTS
    return what_if(_files(setup, name), machine, goal, contexts)


def machines_for(setup: Setup, goal: Goal) -> tuple[MachineOption, ...]:
    """The named machines that would do what the goal asks, smallest kinds first."""
    machines = [load_profile(name) for name in profile_names()]
    return machines_that_do(_files(setup, AUTO), machines, goal)


def engine_needs(setup: Setup, machine: Machine, goal: Goal, engine: str, name: str) -> list[EngineNeed]:
    """Memory and speed of the family, or of one model of it, on another engine, in every format it takes.

    Raises: NameUnknown if the engine is not known; RequestInvalid if it does not run on this kind of machine.
    """
    goal = msgspec.structs.replace(goal, context_length=goal.context_length or _COMPARED_CONTEXT)
    return [
        engine_need(shape, form, machine, goal)
        for shape in _shapes(setup, name)
        for form in engine_formats(engine, shape)
    ]


def _files(setup: Setup, name: str) -> list[Candidate]:
    """One file for each variant and quantization: the first of the catalogue, which is what a pull would take."""
    wanted = None if name == AUTO else setup.store.parse(name).model
    firsts: dict[tuple[str, str], Candidate] = {}
    for candidate in catalogue_candidates(setup.store, setup.kind.artefact_formats):
        if wanted is None or candidate.model.startswith(f"{wanted}-"):
            firsts.setdefault((candidate.shape.name, candidate.quant), candidate)
    return list(firsts.values())


def _shapes(setup: Setup, name: str) -> list[ModelShape]:
    entries: list[ModelEntry] = list(setup.store.catalog.models)
    if name != AUTO:
        entries = [setup.store.catalog.model(setup.store.parse(name).model)]
    return [GEMMA4_SHAPES[entry.shape] for entry in entries if entry.shape is not None]
