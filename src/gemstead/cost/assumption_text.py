"""Assumptions as TOML: read with errors that name the nearest valid key, written with a comment for each."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from gemstead.core.errors import NameUnknown, SettingInvalid
from gemstead.cost.assumption_file import AssumptionFile, Stated

_HEAD = """\
# What `gemstead cost --assumptions THIS_FILE` reckons with. Money in US dollars.
# A plain number is taken as known. A table tells its range, too: the cost is computed at both ends.
# basis: measured, computed, published or assumed.
"""


def parse_assumptions(text: str, file: str) -> AssumptionFile:
    """`file` is named in errors. Raises: SettingInvalid for bad TOML or a bad value; NameUnknown for an unknown key."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise SettingInvalid(f"{file} is not TOML: {exc}", hint="gemstead cost init writes a valid one") from exc
    return validated(content, file)


def validated(content: Mapping[str, Any], where: str) -> AssumptionFile:
    """`where` it is from, for errors. Raises: as `parse_assumptions`."""
    _check_names(content, where)
    try:
        return AssumptionFile.model_validate(content)
    except ValidationError as exc:
        first = exc.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingInvalid(
            f"assumption {name} from {where} is not valid: {first['msg'].removeprefix('Value error, ')}",
            param=name,
            why=f"it is {_shown(first['input'])}",
            hint="gemstead cost init writes them all, with their usual ranges",
        ) from exc


def _shown(given: Any) -> str:
    return json.dumps(given.get("value", given) if isinstance(given, dict) else given, default=str)


def assumption_names() -> list[str]:
    """ "electricity.pue" and all others."""
    sections = AssumptionFile().model_dump()
    return [f"{section}.{name}" for section, values in sections.items() for name in values]


def _check_names(content: Mapping[str, Any], where: str) -> None:
    known = assumption_names()
    for name, given in _names(content):
        if name not in known:
            raise NameUnknown(f"assumption in {where}", name, known)
        if isinstance(given, dict):
            for key in given:
                if key not in Stated.model_fields:
                    raise NameUnknown(f"part of {name} in {where}", key, list(Stated.model_fields))


def _names(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for section, values in content.items():
        if isinstance(values, dict):
            yield from ((f"{section}.{name}", given) for name, given in values.items())
        else:
            yield section, values


def render_assumptions(assumptions: AssumptionFile) -> str:
    """Every assumption under its comment; an unset one is commented out. What is written can be read again."""
    return "\n".join((_HEAD, *_lines(assumptions))) + "\n"


def _lines(assumptions: AssumptionFile) -> Iterator[str]:
    for section in type(assumptions).model_fields:
        values: BaseModel = getattr(assumptions, section)
        yield f"[{section}]"
        for name, field in type(values).model_fields.items():
            yield f"# {field.description}"
            given = getattr(values, name)
            yield f"# {name} =" if given is None else f"{name} = {_toml(given)}"
        yield ""


def _toml(given: Stated | str) -> str:
    if isinstance(given, str):
        return json.dumps(given, ensure_ascii=False)
    parts = given.model_dump(exclude_none=True)
    return "{ " + ", ".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in parts.items()) + " }"
