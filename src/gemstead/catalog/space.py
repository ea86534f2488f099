"""Disk space: asked before bytes are written, and told in the same words when it runs out all the same."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gemstead.core.errors import DiskFull
from gemstead.core.units import format_bytes

MOVE_HINT = "free space there, or keep everything on a larger disk: set GEMSTEAD_DATA_DIR=/path/on/larger/disk"


def free_bytes(folder: Path) -> int:
    """Bytes this user may still write where `folder` is, or where it will be once it is made."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def require_space(folder: Path, needed_bytes: int, purpose: str) -> None:
    """Raises: DiskFull if fewer than `needed_bytes` are free under `folder`."""
    free = free_bytes(folder)
    if free < needed_bytes:
        raise DiskFull(
            f"{purpose} needs {format_bytes(needed_bytes)} more on {folder}, {format_bytes(free)} are free",
            missing_bytes=needed_bytes - free,
            why=f"missing: {needed_bytes - free} bytes",
            hint=MOVE_HINT,
        )


@contextmanager
def disk_full_named(folder: Path, missing_bytes: int) -> Iterator[None]:
    """Inside, "no space left" becomes DiskFull; `missing_bytes` is what was still to come at most."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(
            f"the disk of {folder} is full", missing_bytes=missing_bytes, why=str(exc), hint=MOVE_HINT
        ) from exc
