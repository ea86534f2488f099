"""Flags a user adds to an engine's command line: only from the list its kind allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gemstead.core.errors import NameUnknown, SettingInvalid

SETTING = "engine.extra_args"


def check_extra_args(allowed: Mapping[str, int], args: Sequence[str]) -> tuple[str, ...]:
    """`args` as they go behind the planned command line.

    Raises: NameUnknown for a flag that is not allowed; SettingInvalid if its values are missing or left over.
    """
    checked: list[str] = []
    rest = list(args)
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        if flag not in allowed:
            raise NameUnknown("engine flag", flag, sorted(allowed), param=SETTING)
        values = [value] if equals else rest[: allowed[flag]]
        if len(values) != allowed[flag]:
            raise SettingInvalid(f"{flag} takes {allowed[flag]} value(s), not {len(values)}", param=SETTING)
        rest = rest if equals else rest[len(values) :]
        checked += [flag, *values]
    return tuple(checked)
