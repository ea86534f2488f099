"""Defaults, then the file, then the environment, then flags; every value remembers where it came from.

A `gemstead.toml` in the current folder is not read: settings can name programs, and a folder may be a stranger's.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from pydantic import BaseModel, ValidationError

from gemstead.core.errors import NameUnknown, SettingInvalid
from gemstead.settings.model import Settings
from gemstead.settings.paths import DATA_DIR_VARIABLE, Paths, resolve_paths

CONFIG_VARIABLE = "GEMSTEAD_CONFIG"
PREFIX = "GEMSTEAD_"
_ELSEWHERE = {DATA_DIR_VARIABLE, CONFIG_VARIABLE}
_BORROWED = {
    "HF_TOKEN": "sources.hf_token",
    "HF_ENDPOINT": "sources.hf_endpoint",
    "HF_HUB_OFFLINE": "sources.is_offline",
}
"""Variables of the hub's own tools that mean the same here; our own names win over them."""
SECRETS = frozenset({"sources.hf_token", "access.pepper", "content.master_key"})
"""Settings whose values no message repeats."""


class Origin(msgspec.Struct, frozen=True):
    """`kind` orders the origins; `where` is the file, the variable or the flag."""

    kind: str
    where: str

    def __str__(self) -> str:
        return f"{self.kind} {self.where}".strip()


class Loaded(msgspec.Struct, frozen=True):
    """The settings in force, where each came from ("server.port" -> Origin), the folders, and the raw environment.

    `environ` is handed to the rooms that must pass it on (pip's own configuration, child processes).
    """

    settings: Settings
    origins: dict[str, Origin]
    paths: Paths
    environ: Mapping[str, str]


def setting_names(section: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Every setting as a dotted name: "server.port"."""
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_names(field.annotation, f"{name}.")
        else:
            yield f"{prefix}{name}"


def variable_of(name: str) -> str:
    """ "server.port" -> "GEMSTEAD_SERVER_PORT"."""
    return PREFIX + name.replace(".", "_").upper()


def load_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """The settings in force. `flags` maps dotted names to values; None values are flags that were not given.

    Raises: SettingInvalid for a bad value or an unreadable file, NameUnknown for an unknown key or variable.
    """
    environ = os.environ if environ is None else environ
    paths = resolve_paths(environ)
    values: dict[str, Any] = {}
    origins = {name: Origin("default", "") for name in setting_names()}
    for found, origin_of in (
        _from_file(file or _named_file(environ), paths),
        _from_environment(environ),
        _from_flags(flags or {}),
    ):
        values.update(found)
        origins.update(origin_of)
    return Loaded(settings=_validate(values, origins), origins=origins, paths=paths, environ=environ)


def _named_file(environ: Mapping[str, str]) -> Path | None:
    name = environ.get(CONFIG_VARIABLE)
    return Path(name).expanduser() if name else None


_Layer: TypeAlias = tuple[dict[str, Any], dict[str, Origin]]


def _from_file(named: Path | None, paths: Paths) -> _Layer:
    path = named or paths.settings_file
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        if named is None:
            return {}, {}
        raise SettingInvalid(f"the settings file {path} does not exist", hint="gemstead config path") from exc
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise SettingInvalid(f"the settings file {path} cannot be read: {exc}") from exc
    values = dict(_flatten(content))
    for name in values:
        _check_known(name, f"setting in {path}")
    return values, {name: Origin("file", str(path)) for name in values}


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _check_known(name: str, kind: str) -> None:
    if name not in (known := list(setting_names())):
        raise NameUnknown(kind, name, known)


def _from_environment(environ: Mapping[str, str]) -> _Layer:
    names = {variable_of(name): name for name in setting_names()}
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for variable, name in (*_BORROWED.items(), *names.items()):
        if environ.get(variable):
            values[name] = environ[variable]
            origins[name] = Origin("environment", variable)
    for variable in environ:
        if variable.startswith(PREFIX) and variable not in names and variable not in _ELSEWHERE:
            raise NameUnknown("environment variable", variable, sorted(names))
    return values, origins


def _from_flags(flags: Mapping[str, Any]) -> _Layer:
    values = {name: value for name, value in flags.items() if value is not None}
    for name in values:
        _check_known(name, "setting")
    return values, {name: Origin("flag", "") for name in values}


def _validate(values: Mapping[str, Any], origins: Mapping[str, Origin]) -> Settings:
    nested: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        section, key = name.split(".", 1)
        nested.setdefault(section, {})[key] = _split(value) if _is_list(section, key) else value
    try:
        return Settings.model_validate(nested)
    except ValidationError as exc:
        first = exc.errors()[0]
        name = ".".join(str(part) for part in first["loc"][:2])
        origin = origins.get(name)
        shown = "***" if name in SECRETS else repr(first["input"])
        raise SettingInvalid(
            f"setting {name} = {shown} is not valid: {first['msg']}",
            param=name,
            why=f"it was set by {origin}" if origin else None,
            hint="gemstead config show --origin",
        ) from exc


def _is_list(section: str, key: str) -> bool:
    return isinstance(getattr(getattr(Settings(), section), key), tuple)


def _split(value: Any) -> Any:
    """A list setting from the environment is words separated by blanks."""
    return tuple(value.split()) if isinstance(value, str) else value
