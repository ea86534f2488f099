"""Which llama-server this machine has: the one the user set, the one gemstead built, or one on PATH."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
from pathlib import Path

import msgspec

from gemstead.core.errors import EngineMissing
from gemstead.engines.base import Installation
from gemstead.engines.llama_cpp_receipt import FOLDER, INSTALL_HINT, KIND, read_installation
from gemstead.engines.llama_cpp_source import RELEASE
from gemstead.store.digest import file_sha256

logger = logging.getLogger(__name__)

FIRST_GOOD_BUILD = 8702
"""Before it Gemma 4 may answer `<unused24>` for ever, or quantize its KV cache badly (llama.cpp #21321, #21513)."""
VERSION_TIMEOUT_S = 30.0
"""A first run from a cold disk, with a GPU library to load, takes seconds."""


class ProgramVersion(msgspec.Struct, frozen=True):
    """What `llama-server --version` says. `build` is None where the program was built without its history."""

    text: str
    build: int | None

    @property
    def is_too_old(self) -> bool:
        return self.build is not None and self.build < FIRST_GOOD_BUILD


def find(program: str | None, engines_dir: Path) -> Installation | None:
    """The llama-server to use, None if there is none.

    Raises: EngineMissing if `program`, which the user set, does not work or is too old for Gemma 4, or if the one
    built here does not suit this machine any more.
    """
    if program is not None:
        return _set_by_user(program)
    return read_installation(engines_dir / FOLDER / RELEASE) or _on_path()


def read_version(program: Path) -> ProgramVersion:
    """Raises: EngineMissing if the program does not run or is no llama-server."""
    try:
        result = subprocess.run(
            [str(program), "--version"], capture_output=True, timeout=VERSION_TIMEOUT_S, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise EngineMissing(f"{program} does not run: {exc}", hint=INSTALL_HINT) from exc
    version = parse_version(result.stdout + result.stderr)
    if version is None:
        raise EngineMissing(
            f"{program} does not tell a llama.cpp version",
            why=(result.stderr or result.stdout).strip()[:500] or f"exit status {result.returncode}",
            hint=INSTALL_HINT,
        )
    return version


def parse_version(output: str) -> ProgramVersion | None:
    """`version: 0.5.0-dev (build 11434, commit 0c1e570)`, or as it was until mid 2026: `version: 8702 (59199408)`.

    A program that has a version number in the new form is newer than every build refused here, whatever its build
    number says: that counts the history it was built from, which a source archive has not.
    """
    if match := re.search(r"version: (\d+\.\d+\S*)(?: \(([^)]*)\))?", output):
        return ProgramVersion(match[1], None)
    if match := re.search(r"version: b?(\d+)(?: \(([^)]*)\))?", output):
        number = int(match[1])
        return ProgramVersion(f"b{number}", number if number > 1 else None)
    return None


def _set_by_user(program: str) -> Installation:
    path = shutil.which(program)
    if path is None:
        raise EngineMissing(
            f"there is no program {program!r}", hint="unset engine.program, or name a llama-server that can be run"
        )
    version = read_version(Path(path))
    if version.is_too_old:
        raise EngineMissing(f"{path} is {version.text}, Gemma 4 needs b{FIRST_GOOD_BUILD} or newer", hint=INSTALL_HINT)
    return Installation(KIND, Path(path).absolute(), version.text, "set by engine.program", file_sha256(Path(path)))


def _on_path() -> Installation | None:
    """A llama-server on PATH; one that is too old or broken is passed over, and the log says so."""
    path = shutil.which("llama-server")
    if path is None:
        return None
    try:
        version = read_version(Path(path))
    except EngineMissing as exc:
        logger.warning("passed over: %s", exc.what)
        return None
    if version.is_too_old:
        logger.warning("passed over: %s is %s, Gemma 4 needs b%d or newer", path, version.text, FIRST_GOOD_BUILD)
        return None
    return Installation(KIND, Path(path).absolute(), version.text, "on PATH", file_sha256(Path(path)))
