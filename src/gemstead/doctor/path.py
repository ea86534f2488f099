"""A decision path: questions in the order in which they narrow a complaint down, answered with this machine's facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from gemstead.core.plugins import load_plugin, plugin_names
from gemstead.doctor.check import Check, load_check
from gemstead.doctor.examination import look_through
from gemstead.doctor.finding import Finding
from gemstead.doctor.subject import Subject

PACKAGE = "gemstead.doctor.paths"


class Step(msgspec.Struct, frozen=True):
    """One question: answered by the check of that name, or by a look of its own. Exactly one of both is set."""

    question: str
    check: str | None = None
    look: Callable[[Subject], Iterable[Finding]] | None = None


class DecisionPath(msgspec.Struct, frozen=True):
    """`symptom` is how people say it; `last_resort` is the command when no step found a cause."""

    name: str
    title: str
    symptom: str
    steps: tuple[Step, ...]
    last_resort: str


class Answer(msgspec.Struct, frozen=True):
    """The answer to one step: a finding worse than a note is a likely cause."""

    question: str
    findings: tuple[Finding, ...]


def path_names() -> list[str]:
    return plugin_names(PACKAGE)


def load_path(name: str) -> DecisionPath:
    """Raises: NameUnknown with the nearest."""
    return load_plugin(PACKAGE, name, "PATH", DecisionPath)


def walk(path: DecisionPath, subject: Subject) -> list[Answer]:
    """Every step answered, in order; a step that cannot be answered says so."""
    return [
        Answer(step.question, tuple(look_through([_check_of(path, number, step)], subject)))
        for number, step in enumerate(path.steps, start=1)
    ]


def _check_of(path: DecisionPath, number: int, step: Step) -> Check:
    if step.check is not None:
        return load_check(step.check)
    assert step.look is not None
    return Check(
        name=f"{path.name} {number}", group="answers", looks_at=step.question, complains_when="", look=step.look
    )
