"""What a check says: how bad it is, what it saw, why it matters, and the command that fixes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias, get_args

import msgspec

Severity: TypeAlias = Literal["ok", "note", "warning", "error"]
"""ok: looked at and fine. note: worth knowing. warning: works now and will hurt. error: does not work, or is unsafe."""

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Mildest first."""

Evidence: TypeAlias = str | int | float | bool | None


class Finding(msgspec.Struct, frozen=True):
    """`what` names the value; `fix` is one command, or one change where no command does it.

    `evidence` is what was seen, for a report to somebody else: units are in the names. `check` is filled in by the
    examination.
    """

    severity: Severity
    what: str
    why: str | None = None
    fix: str | None = None
    evidence: Mapping[str, Evidence] = {}
    check: str = ""


def worst_of(findings: Iterable[Finding]) -> Severity:
    """The worst severity; "ok" if there are no findings."""
    return max((finding.severity for finding in findings), key=SEVERITIES.index, default="ok")
