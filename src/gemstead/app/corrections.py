"""What earlier results on this machine teach about predicted speeds: read from the store, handed to the planner."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from gemstead.app.machine_note import machine_note
from gemstead.bench.predictions import speed_checks
from gemstead.bench.results import Run
from gemstead.bench.store import ResultStore
from gemstead.core.errors import RequestInvalid
from gemstead.core.speed import SpeedCorrection
from gemstead.hardware.snapshot import Machine
from gemstead.planner.correction import correction_of


def with_corrections(machine: Machine, data: Path) -> Machine:
    """`machine`, which must be this one, with what `bench run` taught about it.

    Results that cannot be read are named in the machine's notes: a plan does without them.
    """
    try:
        runs = ResultStore(data).read().runs
    except RequestInvalid as exc:
        notes = (*machine.notes, f"predicted speeds are not corrected: {exc.what}")
        return msgspec.structs.replace(machine, notes=notes)
    fingerprint = machine_note(machine).fingerprint
    here = [run for run in runs if run.start.subject.machine.fingerprint == fingerprint]
    return msgspec.structs.replace(machine, corrections=tuple(corrections_from(here)))


def corrections_from(runs: Iterable[Run]) -> list[SpeedCorrection]:
    """One for each calibration that was measured; `runs` are of one machine, oldest first.

    Only finished, undisturbed runs count; of each model the newest one; of each calibration the engine build of its
    newest run alone, as another build may be faster or slower.
    """
    usable: dict[str, list[Run]] = {}
    for run in runs:
        planned = run.start.prediction
        if planned is not None and planned.calibration is not None and _is_trusted(run):
            usable.setdefault(planned.calibration, []).append(run)
    return [_correction(calibration, found) for calibration, found in usable.items()]


def _is_trusted(run: Run) -> bool:
    return run.end is not None and run.end.noise.is_quiet and not run.end.warnings and not run.missing


def _correction(calibration: str, runs: list[Run]) -> SpeedCorrection:
    build = _build(runs[-1])
    newest = {run.start.subject.model: run for run in runs if _build(run) == build}
    checks = [check for run in newest.values() for check in speed_checks(run)]
    return SpeedCorrection(
        calibration=calibration,
        engine_version=runs[-1].start.subject.engine_version,
        decode=correction_of([check.ratio for check in checks if check.what == "decode"]),
        prefill=correction_of([check.ratio for check in checks if check.what == "prefill"]),
    )


def _build(run: Run) -> tuple[str, str, str | None]:
    subject = run.start.subject
    return (subject.engine, subject.engine_version, subject.engine_sha256)
