"""The secret that the hashes of keys are made with, outside the database: who has only that can check no key."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from gemstead.core.errors import Missing, SettingInvalid
from gemstead.store.secret_file import make_secret

PEPPER_BYTES = 32
MIN_PEPPER_CHARS = 32
"""Of a pepper that comes out of the environment."""


def read_pepper(path: Path, given: str | None = None) -> bytes:
    """The pepper of the settings or the environment if there is one, else that of the file.

    Raises: Missing if there is no file; SettingInvalid if others can read it, or what was given is short.
    """
    if given is not None:
        return _given(given)
    try:
        mode, content = stat.S_IMODE(path.stat().st_mode), path.read_bytes()
    except FileNotFoundError as exc:
        raise Missing(
            f"the pepper {path} is gone",
            why="the keys were hashed with it: without it none can be checked",
            hint="restore it from a backup, or set GEMSTEAD_ACCESS_PEPPER; else every key has to be made anew",
        ) from exc
    except OSError as exc:
        raise SettingInvalid(f"the pepper {path} cannot be read: {exc.strerror}") from exc
    if os.name == "posix" and mode & 0o077:
        raise SettingInvalid(f"others can read the pepper {path}", hint=f"chmod 600 {path}")
    if len(content) < PEPPER_BYTES:
        raise SettingInvalid(f"the pepper {path} is damaged: {len(content)} bytes", hint="restore it from a backup")
    return content


def ensure_pepper(path: Path, given: str | None = None) -> bytes:
    """As `read_pepper`, but makes the file if there is none: before the first key. Of two makers one wins."""
    if given is not None:
        return _given(given)
    if not path.exists():
        make_secret(path, secrets.token_bytes(PEPPER_BYTES))
    return read_pepper(path)


def _given(text: str) -> bytes:
    if len(text) < MIN_PEPPER_CHARS:
        raise SettingInvalid(
            f"access.pepper has {len(text)} characters, fewer than {MIN_PEPPER_CHARS}", hint="openssl rand -hex 32"
        )
    return text.encode()
