"""The package index the user already chose: read from pip's own configuration, so that nothing is set twice.

Files and precedence as pip documents them (pip.pypa.io/en/stable/topics/configuration, read 2026-11): global, user,
site, the file named by PIP_CONFIG_FILE, then PIP_* variables; later ones win. In a file, [install] wins over [global].
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from gemstead.catalog.transport import Transport
from gemstead.core.errors import SettingInvalid

DEFAULT_INDEX_URL = "https://pypi.org/simple"
SECTIONS = ("global", "install")
"""Sections of a configuration file that decide where packages come from, weakest first."""

MAX_CONFIG_BYTES = 1_000_000


class PackageIndex(msgspec.Struct, frozen=True):
    """Where packages come from, in the order tried: find-links, then each index.

    Addresses may carry credentials; `netrc_path` names the file with others (None: the user has none).
    """

    index_urls: tuple[str, ...] = (DEFAULT_INDEX_URL,)
    find_links: tuple[str, ...] = ()
    netrc_path: Path | None = None
    transport: Transport = Transport()

    def __repr__(self) -> str:
        return f"PackageIndex({len(self.index_urls)} indexes, {len(self.find_links)} find-links)"


def pip_index(environ: Mapping[str, str]) -> PackageIndex:
    """What pip would use in this environment. `environ` is the process environment, handed in by the caller.

    Raises: SettingInvalid if a configuration file cannot be parsed or a value is not what pip expects.
    """
    values: dict[str, str] = {}
    for path in config_files(environ):
        values.update(_read_file(path))
    values.update(_read_variables(environ))
    is_offline = values.get("no-index", "").strip().lower() in ("1", "true", "yes", "on")
    indexes = [values.get("index-url", DEFAULT_INDEX_URL).strip(), *values.get("extra-index-url", "").split()]
    return PackageIndex(
        index_urls=() if is_offline else tuple(url for url in indexes if url),
        find_links=tuple(values.get("find-links", "").split()),
        netrc_path=_netrc_path(environ),
        transport=Transport(
            ca_file=values.get("cert") or None,
            proxy=values.get("proxy") or None,
            trusted_hosts=tuple(values.get("trusted-host", "").split()),
            timeout_s=_seconds(values.get("timeout") or values.get("default-timeout")),
        ),
    )


def config_files(environ: Mapping[str, str]) -> list[Path]:
    """The files pip would read if they exist, weakest first. PIP_CONFIG_FILE naming the null device: none."""
    if (named := environ.get("PIP_CONFIG_FILE")) == os.devnull:
        return []
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    files = [*_global_files(environ, name), *_user_files(environ, name), Path(sys.prefix) / name]
    return [*files, Path(named)] if named else files


def _global_files(environ: Mapping[str, str], name: str) -> list[Path]:
    if sys.platform == "win32":
        return [Path(environ.get("ALLUSERSPROFILE", r"C:\ProgramData")) / "pip" / name]
    if sys.platform == "darwin":
        return [Path("/Library/Application Support/pip") / name]
    folders = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    return [*(Path(folder) / "pip" / name for folder in folders.split(os.pathsep) if folder), Path("/etc") / name]


def _user_files(environ: Mapping[str, str], name: str) -> list[Path]:
    home = _home(environ)
    if home is None:
        return []
    if sys.platform == "win32":
        return [home / "pip" / name, Path(environ.get("APPDATA", home)) / "pip" / name]
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    if sys.platform == "darwin" and (support := home / "Library" / "Application Support" / "pip").is_dir():
        return [home / ".pip" / name, support / name]
    return [home / ".pip" / name, config / "pip" / name]


def _home(environ: Mapping[str, str]) -> Path | None:
    home = environ.get("USERPROFILE" if sys.platform == "win32" else "HOME")
    return Path(home) if home else None


def _netrc_path(environ: Mapping[str, str]) -> Path | None:
    if named := environ.get("NETRC"):
        return Path(named)
    home = _home(environ)
    candidates = [home / ".netrc", home / "_netrc"] if home else []
    return next((path for path in candidates if path.is_file()), None)


def _read_file(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        if not path.is_file() or path.stat().st_size > MAX_CONFIG_BYTES:
            return {}
        parser.read_string(path.read_text(encoding="utf-8"))
    except PermissionError:
        return {}
    except (configparser.Error, UnicodeDecodeError) as exc:
        raise SettingInvalid(
            f"pip's configuration file {path} cannot be read", why=str(exc), hint="run: pip config debug"
        ) from exc
    values: dict[str, str] = {}
    for section in SECTIONS:
        if parser.has_section(section):
            values.update({_key(name): value for name, value in parser.items(section)})
    return values


def _read_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """PIP_* settings; an empty one counts as not set, as in pip."""
    return {_key(name[4:]): value for name, value in environ.items() if name.startswith("PIP_") and value}


def _key(name: str) -> str:
    return name.strip().lower().replace("_", "-")


def _seconds(text: str | None) -> float:
    if text is None:
        return Transport().timeout_s
    try:
        return max(float(text), 1.0)
    except ValueError as exc:
        raise SettingInvalid(
            f"pip's timeout {text!r} is not a number of seconds", hint="run: pip config debug"
        ) from exc
