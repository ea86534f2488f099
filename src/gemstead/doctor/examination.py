"""Runs checks one after another. What a check cannot find out is its finding, and never ends the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence

import msgspec

from gemstead.core.errors import GemsteadError
from gemstead.core.progress import Progress, ProgressEvent, no_progress
from gemstead.doctor.check import Check
from gemstead.doctor.finding import Finding, Severity, worst_of
from gemstead.doctor.subject import Subject
from gemstead.engines.base import Engine

TASK = "examine"
ASK_LIMIT_S = 300.0
"""For one deep check: a few short answers, on a machine that needs seconds a token."""


class Report(msgspec.Struct, frozen=True):
    """`num_deep_left` counts the checks that were not made because they ask the model."""

    findings: tuple[Finding, ...]
    num_deep_left: int = 0

    @property
    def worst(self) -> Severity:
        return worst_of(self.findings)


def look_through(checks: Iterable[Check], subject: Subject) -> list[Finding]:
    """The findings of the checks that start nothing; the others are passed over."""
    return [finding for check in checks if check.look for finding in _look(check, subject)]


async def ask_through(
    checks: Iterable[Check], subject: Subject, engine: Engine, progress: Progress = no_progress
) -> list[Finding]:
    """The findings of the checks that put questions to `engine`. Cancellation ends the check under way, and all."""
    deep = [check for check in checks if check.is_deep]
    findings: list[Finding] = []
    for number, check in enumerate(deep):
        progress(ProgressEvent(TASK, number, len(deep), "steps", check.name))
        findings += await _ask(check, subject, engine)
    progress(ProgressEvent(TASK, len(deep), len(deep), "steps", is_done=True))
    return findings


def _look(check: Check, subject: Subject) -> list[Finding]:
    assert check.look is not None
    try:
        return _stamped(check.name, check.look(subject))
    except Exception as exc:  # noqa: BLE001 a check is a plugin: what one gets wrong must not hide what others found
        return [_could_not(check.name, exc)]


async def _ask(check: Check, subject: Subject, engine: Engine) -> list[Finding]:
    assert check.ask is not None
    try:
        async with asyncio.timeout(ASK_LIMIT_S):
            return _stamped(check.name, await _awaited(check.ask(subject, engine)))
    except Exception as exc:  # noqa: BLE001 as in `_look`; cancellation is no Exception and passes
        return [_could_not(check.name, exc)]


async def _awaited(asked: Awaitable[Iterable[Finding]]) -> Sequence[Finding]:
    return list(await asked)


def _stamped(name: str, findings: Iterable[Finding]) -> list[Finding]:
    return [msgspec.structs.replace(finding, check=name) for finding in findings]


def _could_not(name: str, exc: Exception) -> Finding:
    """Not knowing is worse than a note: what the check would have found may be anything."""
    if isinstance(exc, GemsteadError):
        return Finding("warning", f"could not be checked: {exc.what}", exc.why, exc.hint, check=name)
    if isinstance(exc, TimeoutError):
        return Finding("warning", f"could not be checked within {ASK_LIMIT_S:.0f} s", check=name)
    if isinstance(exc, OSError):
        return Finding("warning", f"could not be checked: {exc}", check=name)
    what = f"could not be checked, a bug in gemstead: {type(exc).__name__}: {exc}"
    return Finding("error", what, fix="report it with the output of: gemstead doctor --json", check=name)
