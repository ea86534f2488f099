"""How the engine ended the last time, told by the end of its log."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.core.units import format_duration
from gemstead.doctor.check import Check
from gemstead.doctor.engine_logs import EngineRun, read_runs
from gemstead.doctor.finding import Finding, Severity
from gemstead.doctor.nearest_plan import smaller_than_planned
from gemstead.doctor.subject import Subject

RECENT_S = 86_400.0
"""An older end is history: whatever it was, the machine has been used since."""


def look(subject: Subject) -> Iterator[Finding]:
    runs = [run for run in read_runs(subject.loaded.paths.logs, subject.kind) if _age_s(subject, run) < RECENT_S]
    failed = [run for run in runs if run.diagnosis is not None or run.is_out_of_memory]
    for run in failed:
        # The newest tells how things are; the earlier ones, how they were.
        yield _finding(subject, run, "error" if run is runs[0] else "note")
    if not failed:
        yield Finding("ok", f"{len(runs)} engine logs of the last day, none ends with an error")


def _finding(subject: Subject, run: EngineRun, severity: Severity) -> Finding:
    ago = format_duration(max(0.0, _age_s(subject, run)))
    what = f"an engine ended with an error {ago} ago"
    evidence = {"log": str(run.path), "last_line": run.tail[-1][:200] if run.tail else None}
    if run.is_out_of_memory:
        why = run.diagnosis.why if run.diagnosis else "the system killed it, most likely because memory ran out"
        return Finding(severity, what, why, smaller_than_planned(subject), evidence)
    assert run.diagnosis is not None
    return Finding(severity, what, run.diagnosis.why, run.diagnosis.hint, evidence)


def _age_s(subject: Subject, run: EngineRun) -> float:
    return subject.now_s - run.written_s


CHECK = Check(
    name="last_run",
    group="engine",
    looks_at="the last lines of the engines' and servers' logs of the last day",
    complains_when="one ends with a known error; where memory ran out, it names the nearest plan that fits",
    look=look,
)
