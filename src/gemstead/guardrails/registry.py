"""Which guards there are, and which of them stand in the path, with what they do."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import msgspec

from gemstead.core.errors import NameUnknown, SettingInvalid
from gemstead.core.plugins import load_plugin, plugin_names
from gemstead.guardrails.base import ACTIONS, PACKAGE, Action, Guard, OnFailure, Stage


class Post(msgspec.Struct, frozen=True):
    """A guard at its place: what it does with what it finds, and what it means when it cannot look."""

    guard: Guard
    action: Action
    on_failure: OnFailure = "refuse"


def every_guard() -> tuple[Guard, ...]:
    """In the order in which they see a text."""
    found = (load_plugin(PACKAGE, name, "GUARD", Guard) for name in plugin_names(PACKAGE))
    return tuple(sorted(found, key=lambda guard: (guard.order, guard.name)))


def named_guards(names: list[str]) -> tuple[Guard, ...]:
    """Raises: NameUnknown."""
    return tuple(load_plugin(PACKAGE, name, "GUARD", Guard) for name in names)


def measured_guards(set_name: str) -> tuple[Guard, ...]:
    """Those with figures on that set; on ordinary texts every guard has some."""
    return tuple(guard for guard in every_guard() if set_name in ("ordinary", guard.measured_on))


def about(guard: Guard) -> str:
    """The form that its file begins with."""
    return sys.modules[guard.opens.__module__].__doc__ or guard.detects


def posts(
    guards: tuple[Guard, ...], actions: Mapping[str, Action], on_failure: Mapping[str, OnFailure] | None = None
) -> tuple[Post, ...]:
    """The guards that stand in the path: each as `actions` says, else as it says itself; those that are off left out.

    Raises: NameUnknown for an action of a guard that is not here: a rule that nobody keeps is no rule; SettingInvalid.
    """
    names = [guard.name for guard in guards]
    for name, action in actions.items():
        if name not in names:
            raise NameUnknown("guard", name, names)
        if action not in ACTIONS:
            raise SettingInvalid(f"guard {name}: {action!r} is no action", hint=", ".join(ACTIONS))
    found = (
        Post(guard, actions.get(guard.name, guard.default), (on_failure or {}).get(guard.name, "refuse"))
        for guard in guards
    )
    return tuple(post for post in found if post.action != "off")


def at_stage(stationed: tuple[Post, ...], stage: Stage) -> tuple[Post, ...]:
    return tuple(post for post in stationed if stage in post.guard.stages)
