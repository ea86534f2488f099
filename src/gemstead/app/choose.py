"""From a name, or "auto", to a plan whose weights and engine are here: plan, pull, plan again on the real file."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gemstead.app.candidates import candidate_of, catalogue_candidates, stored_gemma4
from gemstead.app.setup import Setup, goal_of, source_options, this_machine
from gemstead.app.tuned import plan_stored
from gemstead.catalog.manifests import Manifest
from gemstead.catalog.names import artefact_of_address
from gemstead.catalog.pull import PullRequest, pull_first, requests_for
from gemstead.core.errors import DoesNotFit, SourceError
from gemstead.core.plan import Plan
from gemstead.core.units import format_bytes
from gemstead.hardware.snapshot import Machine
from gemstead.planner.advise import Advice, advise, rank_candidates
from gemstead.planner.candidate import Candidate, Goal
from gemstead.planner.plan import make_plan

AUTO = "auto"


class Choice(msgspec.Struct, frozen=True):
    """`plan` is None only for a model whose shape is known once it is here. `requests`: what to pull, none if here."""

    model: str
    plan: Plan | None
    requests: tuple[PullRequest, ...] = ()
    advice: Advice | None = None


def choose(setup: Setup, machine: Machine, name: str, goal: Goal | None = None) -> Choice:
    """What would run, without fetching anything. `goal` None: what the settings ask for.

    Raises: NameUnknown; DoesNotFit with the nearest choice that does; ModelMissing for generated weights not yet made.
    """
    goal = goal or goal_of(setup, machine)
    return _choose_best(setup, machine, goal) if name == AUTO else _choose_named(setup, machine, name, goal)


def _choose_best(setup: Setup, machine: Machine, goal: Goal) -> Choice:
    """The best Gemma 4 that is here; if none is, or none fits, the best there is to pull."""
    formats = setup.kind.artefact_formats
    if stored := stored_gemma4(setup.store, formats):
        try:
            advice = advise(stored, machine, goal)
        except DoesNotFit:
            setup.say("the Gemma 4 models that are here do not fit now; looking for one that does")
        else:
            return Choice(advice.best.model, _as_tuned(setup, machine, goal, advice.best), advice=advice)
    advice = advise(catalogue_candidates(setup.store, formats), machine, goal)
    requests = requests_for(setup.store, advice.best.model, formats=formats)
    return Choice(advice.best.model, advice.best, tuple(requests), advice)


def _choose_named(setup: Setup, machine: Machine, name: str, goal: Goal) -> Choice:
    store, formats = setup.store, setup.kind.artefact_formats
    is_address = artefact_of_address(name) is not None
    manifest = _stored_address(setup, name) if is_address else store.find(name)
    if manifest is not None:
        return Choice(manifest.name, _plan_stored(setup, machine, manifest, goal))
    if not is_address and store.parse(name).form != "weights":
        store.require(name)
    requests = requests_for(store, name, formats=formats)
    entry = requests[0].entry
    if entry is None or entry.shape is None:
        return Choice(str(requests[0].name), None, tuple(requests))
    candidates = [candidate_of(entry, request.artefact) for request in requests]
    plan = _first_that_fits(candidates, machine, setup, goal)
    # What fits is tried first; the others stay as what to pull if the source has it no more.
    requests.sort(key=lambda request: str(request.name) != plan.model)
    return Choice(plan.model, plan, tuple(requests))


def _stored_address(setup: Setup, address: str) -> Manifest | None:
    return next((manifest for manifest in setup.store.list() if manifest.name == address.strip()), None)


def _first_that_fits(candidates: Sequence[Candidate], machine: Machine, setup: Setup, goal: Goal) -> Plan:
    """Raises: DoesNotFit, of the first candidate, if none fits."""
    refusals = []
    for candidate in candidates:
        try:
            return make_plan(candidate, machine, goal, _alternatives(setup))
        except DoesNotFit as exc:
            refusals.append(exc)
    raise refusals[0]


def _alternatives(setup: Setup) -> list[Candidate]:
    return rank_candidates(catalogue_candidates(setup.store, setup.kind.artefact_formats))


def _plan_stored(setup: Setup, machine: Machine, manifest: Manifest, goal: Goal) -> Plan:
    return plan_stored(setup, machine, manifest, goal, _alternatives(setup))


def _as_tuned(setup: Setup, machine: Machine, goal: Goal, advised: Plan) -> Plan:
    """The advised plan once more, with what was tuned for its model."""
    goal = msgspec.structs.replace(goal, context_length=advised.context_length, kv_cache_dtype=advised.kv_cache_dtype)
    return _plan_stored(setup, machine, setup.store.require(advised.model), goal)


def provide(setup: Setup, name: str, *, has_accepted_licence: bool = False) -> Plan:
    """A plan whose weights are here; pulls them if need be, and falls back where the settings allow it.

    Raises: as `choose` and `catalog.pull.pull`.
    """
    machine = this_machine(setup.loaded)
    return provide_choice(setup, machine, name, choose(setup, machine, name), has_accepted_licence=has_accepted_licence)


def provide_choice(
    setup: Setup, machine: Machine, name: str, choice: Choice, *, has_accepted_licence: bool = False
) -> Plan:
    """As `provide`, for what `name` was already found to mean on `machine`."""
    fallback = setup.loaded.settings.model.fallback
    try:
        return _provide_choice(setup, machine, choice, has_accepted_licence)
    except SourceError as exc:
        if name != AUTO or fallback is None:
            raise
        setup.say(
            f"{choice.model} ({_size(choice)}) is the Gemma 4 for this machine, but it cannot be pulled: {exc.what}. "
            f"Using {fallback} instead."
        )
    return _provide_choice(setup, machine, choose(setup, machine, fallback), has_accepted_licence)


def _size(choice: Choice) -> str:
    size = choice.requests[0].artefact.size_bytes
    return format_bytes(size) if size else "size unknown"


def _provide_choice(setup: Setup, machine: Machine, choice: Choice, has_accepted_licence: bool) -> Plan:
    if not choice.requests:
        assert choice.plan is not None
        return choice.plan
    if has_accepted_licence:
        _accept(setup, choice.requests[0])
    setup.say(f"pulling {choice.model} ({_size(choice)}) from {choice.requests[0].artefact.place}")
    manifest = pull_first(setup.store, choice.requests, source_options(setup.loaded), setup.progress)
    return _plan_stored(setup, machine, manifest, goal_of(setup, machine))


def _accept(setup: Setup, request: PullRequest) -> None:
    if request.entry is not None:
        setup.store.accept(setup.store.catalog.licence(request.entry.licence))
