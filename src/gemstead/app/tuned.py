"""What `tune` found, put into plans: only for the same weights, the same engine program and the same machine."""

from __future__ import annotations

import msgspec

from gemstead.app.candidates import stored_candidate
from gemstead.app.machine_note import machine_note
from gemstead.app.setup import Setup, find_engine
from gemstead.bench.changes import Changes
from gemstead.bench.tune_figures import GOAL_FIGURES
from gemstead.bench.tune_store import TuneEnd, TuneKey, TuneStore
from gemstead.catalog.manifests import Manifest
from gemstead.core.errors import DoesNotFit, EngineMissing, ModelMissing
from gemstead.core.plan import Plan
from gemstead.engines.base import Installation
from gemstead.hardware.snapshot import Machine
from gemstead.planner.candidate import Candidate, Goal
from gemstead.planner.plan import make_plan
from gemstead.planner.speculation import with_speculation


def plan_stored(setup: Setup, machine: Machine, manifest: Manifest, goal: Goal, alternatives: list[Candidate]) -> Plan:
    """The plan of a model that is here, with what was tuned for it here and what the settings say of speculation.

    A flag or setting of the user's goes before what was tuned.

    Raises: as `make_plan`; ModelMissing if the settings want a drafter that is not here.
    """
    candidate = stored_candidate(setup.store, manifest)
    verdict = tuned_for(setup, machine, manifest)
    changes = _allowed(setup, verdict.winner) if verdict and verdict.winner else Changes()
    try:
        plan = make_plan(candidate, machine, _tuned_goal(goal, changes), alternatives)
    except DoesNotFit:
        if changes == Changes():
            raise
        setup.say("what was tuned for this model does not fit in memory now; planning without it")
        changes = Changes()
        plan = make_plan(candidate, machine, goal, alternatives)
    plan = _equipped(setup, manifest, candidate, changes.applied(plan))
    if verdict is None or changes == Changes():
        return plan
    return msgspec.structs.replace(plan, reasons=(*plan.reasons, _reason(verdict, changes)))


def tuned_for(setup: Setup, machine: Machine, manifest: Manifest) -> TuneEnd | None:
    """The verdict that holds for this model, engine and machine; None: there is none, or the settings switch it off."""
    store = TuneStore(setup.loaded.paths.data)
    if not setup.loaded.settings.engine.uses_tuned or not store.path.is_file() or machine.origin != "probed":
        return None
    try:
        installation = find_engine(setup)
    except EngineMissing:
        return None
    if installation is None:
        return None
    key = tune_key(manifest, installation, machine)
    return next((verdict for verdict in store.verdicts() if verdict.key == key), None)


def tune_key(manifest: Manifest, installation: Installation, machine: Machine) -> TuneKey:
    """What a verdict holds for."""
    files = manifest.files_of("model")
    return TuneKey(
        model=manifest.name,
        model_sha256=files[0].sha256 if files else None,
        engine=installation.kind,
        engine_version=installation.version,
        engine_sha256=installation.digest,
        machine=machine_note(machine).fingerprint,
    )


def without_tuned(setup: Setup) -> Setup:
    """The same, planning as if nothing had been tuned: what `tune` holds its findings against."""
    settings = setup.loaded.settings
    engine = settings.engine.model_copy(update={"uses_tuned": False})
    loaded = msgspec.structs.replace(setup.loaded, settings=settings.model_copy(update={"engine": engine}))
    return msgspec.structs.replace(setup, loaded=loaded)


def _allowed(setup: Setup, winner: Changes) -> Changes:
    """`winner` without what the user says otherwise: a slot count, a KV precision, speculation that are set."""
    origins = setup.loaded.origins
    has_slots, has_kv = (origins[name].kind == "default" for name in ("model.num_slots", "model.kv_cache_dtype"))
    return msgspec.structs.replace(
        winner,
        num_slots=winner.num_slots if has_slots else None,
        kv_cache_dtype=winner.kv_cache_dtype if has_kv else None,
        speculation=winner.speculation if setup.loaded.settings.engine.speculation == "auto" else None,
    )


def _tuned_goal(goal: Goal, changes: Changes) -> Goal:
    """What of the changes costs memory is planned for, not only passed on."""
    stated = changes.stated()
    wanted = {name: stated[name] for name in ("num_slots", "ubatch_tokens", "kv_cache_dtype") if name in stated}
    return msgspec.structs.replace(goal, **wanted)


def _equipped(setup: Setup, manifest: Manifest, candidate: Candidate, plan: Plan) -> Plan:
    """`plan` with the speculation that the settings want, and its drafter."""
    wanted = setup.loaded.settings.engine.speculation
    drafter = setup.store.path_of(manifest, "drafter")
    plan = msgspec.structs.replace(
        plan,
        speculation=plan.speculation if wanted == "auto" else wanted,
        drafter_path=str(drafter) if drafter else None,
    )
    if plan.speculation == "draft" and drafter is None:
        raise ModelMissing(
            f"{plan.model} has no drafter in the store",
            why="engine.speculation is draft",
            hint="use --speculation ngram, which needs none",
        )
    return with_speculation(plan, candidate.shape.vocab_size, drafter.stat().st_size if drafter else 0)


def _reason(verdict: TuneEnd, changes: Changes) -> str:
    figure = GOAL_FIGURES[verdict.goal]
    gain = next((f" ({figure} x{line.gain:.2f})" for line in verdict.lines if line.figure == figure), "")
    return f"tuned here on {verdict.at[:10]}: {changes.describe()}{gain}; --no-tuned leaves it out"
