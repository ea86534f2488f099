"""The settings in force as TOML that can be saved as `gemstead.toml`: comments from the docstrings, secrets hidden."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, SecretStr

from gemstead.settings.load import Loaded, variable_of


def as_toml(loaded: Loaded, *, has_origin: bool = False) -> str:
    """Every setting with its comment; an unset one is commented out; `has_origin` adds where each value comes from."""
    return "\n".join(_lines(loaded, has_origin)) + "\n"


def as_rows(loaded: Loaded) -> list[dict[str, Any]]:
    """One row a setting: name, value, origin, environment variable. Secrets are shown as `***`."""
    return [
        {
            "name": f"{section}.{name}",
            "value": _plain(getattr(values, name)),
            "origin": loaded.origins[f"{section}.{name}"].kind,
            "where": loaded.origins[f"{section}.{name}"].where,
            "variable": variable_of(f"{section}.{name}"),
        }
        for section, values in _sections(loaded)
        for name in type(values).model_fields
    ]


def _sections(loaded: Loaded) -> Iterator[tuple[str, BaseModel]]:
    for name in type(loaded.settings).model_fields:
        yield name, getattr(loaded.settings, name)


def _lines(loaded: Loaded, has_origin: bool) -> Iterator[str]:
    for section, values in _sections(loaded):
        yield f"[{section}]"
        for name, field in type(values).model_fields.items():
            yield f"# {field.description}"
            value = _plain(getattr(values, name))
            line = f"# {name} =" if value is None or value == "***" else f"{name} = {json.dumps(value)}"
            yield f"{line}  # {loaded.origins[f'{section}.{name}']}" if has_origin else line
        yield ""


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "***"
    return list(value) if isinstance(value, tuple) else value
