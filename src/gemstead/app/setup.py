"""What every command that touches models or engines starts from: settings, store, engine kind, machine."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gemstead.app.corrections import with_corrections
from gemstead.app.evidence import store_watch
from gemstead.catalog.source import SourceOptions
from gemstead.catalog.store import Store
from gemstead.core.errors import EngineMissing
from gemstead.core.plugins import load_plugin
from gemstead.core.progress import Progress, no_progress
from gemstead.engines.base import EngineKind, Installation
from gemstead.hardware.ceilings import measured_ceilings, with_ceilings
from gemstead.hardware.probe import probe
from gemstead.hardware.profiles import load_profile, with_rated_gpus
from gemstead.hardware.snapshot import Machine
from gemstead.planner.candidate import Goal
from gemstead.settings.load import Loaded

KINDS = "gemstead.engines.kinds"

CEILINGS_FILE = "ceilings.json"


def say_nothing(text: str) -> None:
    """For callers that show no notes."""


class Setup(msgspec.Struct, frozen=True):
    """`say` gets one line for people at each decision worth knowing; `progress` gets long work."""

    loaded: Loaded
    store: Store
    kind: EngineKind
    progress: Progress = no_progress
    say: Callable[[str], None] = say_nothing


def make_setup(loaded: Loaded, *, progress: Progress = no_progress, say: Callable[[str], None] = say_nothing) -> Setup:
    """Raises: NameUnknown if the settings name an engine that does not exist."""
    kind = load_plugin(KINDS, loaded.settings.engine.kind, "ENGINE", EngineKind)
    return Setup(loaded, Store(loaded.paths.models, watch=store_watch(loaded)), kind, progress, say)


def source_options(loaded: Loaded) -> SourceOptions:
    sources = loaded.settings.sources
    return SourceOptions(
        hf_endpoint=sources.hf_endpoint,
        hf_token=sources.hf_token.get_secret_value() if sources.hf_token else None,
        is_offline=sources.is_offline,
        pip_environ=loaded.environ,
    )


def goal_of(setup: Setup, machine: Machine) -> Goal:
    """What the settings ask for. A card of this machine counts only if the engine that is here can use it."""
    model = setup.loaded.settings.model
    installation = find_engine(setup) if machine.gpus and machine.origin == "probed" else None
    return Goal(
        context_length=model.context_length,
        num_slots=model.num_slots,
        kv_cache_dtype=model.kv_cache_dtype,
        headroom=setup.loaded.settings.plan.headroom,
        can_use_gpu=installation is None or installation.can_use_gpu,
    )


def this_machine(loaded: Loaded, *, is_fresh: bool = False, is_corrected: bool = True) -> Machine:
    """This machine now; if `is_corrected`, with what `bench run` taught about its speeds.

    What it can do at most is measured once and remembered; `is_fresh` measures it again (2 s).
    """
    machine = probe(loaded.paths.models)
    ceilings = measured_ceilings(machine, loaded.paths.data / CEILINGS_FILE, is_fresh=is_fresh)
    machine = with_rated_gpus(with_ceilings(machine, ceilings))
    return with_corrections(machine, loaded.paths.data) if is_corrected else machine


def machine_named(loaded: Loaded, name: str | None) -> Machine:
    """A profile by name; None: this machine. Raises: NameUnknown."""
    return this_machine(loaded) if name is None else load_profile(name)


def find_engine(setup: Setup) -> Installation | None:
    """Raises: EngineMissing if the engine the user set does not work."""
    return setup.kind.find(setup.loaded.settings.engine.program, setup.loaded.paths.engines)


def ensure_engine(setup: Setup) -> Installation:
    """The engine that is here and suits this machine, else a freshly installed one.

    Raises: EngineMissing if the one the user set does not work; what the installer raises.
    """
    try:
        found = find_engine(setup)
    except EngineMissing as exc:
        if setup.loaded.settings.engine.program is not None:
            raise
        setup.say(f"{exc.what}: building it anew (minutes)")
    else:
        if found is not None:
            return found
        setup.say(f"{setup.kind.title} is not here yet: installing it, once (minutes)")
    return setup.kind.install(setup.loaded.paths.engines, setup.loaded.environ, setup.progress)
