"""Private files that open or sign something: made whole or not at all, and not read if others could read them."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from gemstead.core.errors import Missing, SettingInvalid

MAX_SECRET_BYTES = 65_536


def make_secret(path: Path, content: bytes) -> None:
    """Writes `content` to `path`, for its user alone, unless there is a file already: of two makers one wins.

    Raises: OSError.
    """
    draft = _draft(path, content)
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
    sync_folder(path.parent)


def replace_secret(path: Path, content: bytes) -> None:
    """Writes `content` to `path`, for its user alone, in the place of what is there. Raises: OSError."""
    _draft(path, content).replace(path)
    sync_folder(path.parent)


def read_secret(path: Path) -> bytes:
    """Raises: Missing if there is no file; SettingInvalid if it cannot be read, or others can read it."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES)
    except FileNotFoundError as exc:
        raise Missing(f"the secret {path} is gone", hint="restore it from a backup") from exc
    except OSError as exc:
        raise SettingInvalid(f"the secret {path} cannot be read: {exc.strerror}") from exc
    if os.name == "posix" and mode & 0o077:
        raise SettingInvalid(f"others can read the secret {path}", hint=f"chmod 600 {path}")
    return content


def sync_folder(folder: Path) -> None:
    """Makes what was created, renamed or removed in `folder` outlive a power cut. Nothing to do on Windows."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _draft(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return draft
