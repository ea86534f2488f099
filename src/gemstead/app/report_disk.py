"""What documents say of the disk: whether the system encrypts it, and which of our files others can get at."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from gemstead.report.facts import DiskFacts
from gemstead.settings.paths import Paths

BLOCK_DEVICES = Path("/sys/dev/block")
ENCRYPTED_PREFIX = "CRYPT-"
"""How the device mapper names what cryptsetup opened. Source: cryptsetup, lib/libdevmapper.c (DM_UUID_PREFIX)."""
MAX_DEPTH = 8

FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def disk_facts(path: Path, devices: Path = BLOCK_DEVICES) -> DiskFacts:
    """Whether the device below `path`, or one that it lies on, is opened by dm-crypt (Linux).

    Not seen: encryption by the drive itself, by the host of a virtual machine, or by the file system (fscrypt, ZFS).
    """
    while not path.exists() and path != path.parent:
        path = path.parent
    if sys.platform != "linux":
        return DiskFacts(None, "")
    device = path.stat().st_dev
    folder = devices / f"{os.major(device)}:{os.minor(device)}"
    if not folder.exists():
        return DiskFacts(None, "")
    try:
        name = folder.resolve().name
        return DiskFacts(_is_encrypted(folder, MAX_DEPTH), f"dm-crypt, {name}")
    except OSError:
        return DiskFacts(None, "")


def _is_encrypted(device: Path, depth: int) -> bool:
    """All that a device lies on has to be: half a disk in the open is in the open."""
    uuid = device / "dm" / "uuid"
    if uuid.is_file() and uuid.read_text(errors="replace").startswith(ENCRYPTED_PREFIX):
        return True
    below = list((device / "slaves").glob("*")) if depth else []
    return bool(below) and all(_is_encrypted(one, depth - 1) for one in below)


def open_to_others(paths: Paths) -> Iterator[str]:
    """Folders of ours that others can write, and private files that they can do anything with."""
    if not hasattr(os, "getuid"):
        return
    folders = (paths.data, paths.models, paths.models / "blobs", paths.engines, paths.config, paths.servers)
    for folder in dict.fromkeys(folders):
        mode = _mode(folder)
        if mode is not None and mode & OTHERS_MAY_WRITE and not mode & stat.S_ISVTX:
            yield str(folder)
    for path in (paths.database, paths.evidence, paths.content, *sorted(paths.secrets.rglob("*"))):
        mode = _mode(path)
        if mode is not None and stat.S_ISREG(mode) and mode & FOR_OTHERS:
            yield str(path)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except OSError:
        return None
