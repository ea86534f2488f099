"""What `bench run` measured here, for whoever reckons with speeds."""

from __future__ import annotations

from pathlib import Path

from gemstead.app.machine_note import machine_note
from gemstead.bench.results import Run
from gemstead.bench.spread import Spread, spread_of
from gemstead.bench.store import ResultStore
from gemstead.bench.tables import prefill_of
from gemstead.core.figures import Figure
from gemstead.cost.speeds import Speeds
from gemstead.hardware.probe import probe
from gemstead.hardware.snapshot import Machine
from gemstead.settings.load import Loaded

TYPICAL_PROMPT_TOKENS = 512


def speeds_here(loaded: Loaded, model: str) -> Speeds | None:
    """As `measured_speeds`, on this machine; nothing is probed where nothing was measured."""
    data = loaded.paths.data
    return measured_speeds(data, model, probe(loaded.paths.models)) if ResultStore(data).path.exists() else None


def measured_speeds(data: Path, model: str, machine: Machine) -> Speeds | None:
    """Of the newest finished, undisturbed run of `model` on `machine`; None: there is none. One answer at a time.

    `model` as people type it: `gemma4:e2b` is any file of it, generated ones too, which are as fast. The figures are
    those of the prompt length nearest 512 tokens; the error bar is the measured spread. `data` is the data directory.

    Raises: as `ResultStore.read`.
    """
    fingerprint = machine_note(machine).fingerprint
    for run in reversed(ResultStore(data).read().runs):
        subject = run.start.subject
        if subject.machine.fingerprint == fingerprint and _is_of(subject.model, model) and _is_usable(run):
            return _speeds(run)
    return None


def _is_of(name: str, wanted: str) -> bool:
    return name == wanted or name.startswith((f"{wanted}-", f"{wanted}@"))


def _is_usable(run: Run) -> bool:
    return run.end is not None and run.end.noise.is_quiet and bool(run.points)


def _speeds(run: Run) -> Speeds | None:
    point = min(run.points, key=lambda one: abs(one.prompt_tokens - TYPICAL_PROMPT_TOKENS))
    prefill = spread_of(prefill_of(answer) for answer in point.answers)
    decode = spread_of(answer.decode_tok_per_s for answer in point.answers)
    if prefill is None or decode is None:
        return None
    return Speeds(_figure(prefill, run), _figure(decode, run))


def _figure(spread: Spread, run: Run) -> Figure:
    error = max(spread.ci_high - spread.median, spread.median - spread.ci_low) / spread.median
    return Figure(spread.median, "measured", error, f"gemstead bench show {run.start.run}")
