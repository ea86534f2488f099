"""What a check is: a frozen value that holds one plain function. A file in `doctor/checks/` offers one `CHECK`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Literal, TypeAlias, get_args

import msgspec

from gemstead.core.plugins import load_plugin, plugin_names
from gemstead.doctor.finding import Finding
from gemstead.doctor.subject import Subject
from gemstead.engines.base import Engine

Group: TypeAlias = Literal["machine", "engine", "models", "service", "answers"]

GROUPS: tuple[Group, ...] = get_args(Group)
"""In the order in which they are looked at and shown: what the later ones need comes first."""

PACKAGE = "gemstead.doctor.checks"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """`looks_at` and `complains_when` are what the docs say of it. Exactly one of `look` and `ask` is set.

    `look` needs seconds at most and starts nothing. `ask` puts questions to a running engine: the deep examination.
    Either may raise a GemsteadError or OSError for what it could not find out; that becomes its finding.
    """

    name: str
    group: Group
    looks_at: str
    complains_when: str
    look: Callable[[Subject], Iterable[Finding]] | None = None
    ask: Callable[[Subject, Engine], Awaitable[Iterable[Finding]]] | None = None
    sources: tuple[str, ...] = ()

    @property
    def is_deep(self) -> bool:
        return self.ask is not None


def load_checks() -> list[Check]:
    """Every check, in the order in which they are made."""
    checks = [load_check(name) for name in plugin_names(PACKAGE)]
    return sorted(checks, key=lambda check: (GROUPS.index(check.group), check.name))


def load_check(name: str) -> Check:
    """Raises: NameUnknown."""
    return load_plugin(PACKAGE, name, "CHECK", Check)
