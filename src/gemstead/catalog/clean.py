"""Takes out of the store what nothing needs: half-fetched files, quarantine, bytes without a record."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import msgspec

from gemstead.catalog.locks import exclusive
from gemstead.catalog.store import Store

_STAGED_BY = re.compile(r"(?:import|synth)-(\d+)")
"""Folders in `incoming/` that belong to one process; the others belong to who holds the lock of their name."""


class Cleaning(msgspec.Struct, frozen=True):
    """`kept` are leftovers that a process is working on now."""

    removed: tuple[Path, ...]
    freed_bytes: int
    kept: tuple[Path, ...]


def clean_store(store: Store, *, is_dry_run: bool = False) -> Cleaning:
    """Removes every leftover that no process works on. A cut pull starts from the beginning afterwards."""
    if not store.root.exists():
        return Cleaning((), 0, ())
    with exclusive(store.locks / "store.lock"):
        leftovers = store.leftovers()
        busy = {path for path in leftovers if path.parent == store.incoming and _is_in_work(store, path)}
        if busy:
            # A file that has arrived lies among the blobs before its model is published.
            busy |= {path for path in leftovers if path.parent not in (store.incoming, store.quarantine)}
        removed = tuple(path for path in leftovers if path not in busy)
        freed_bytes = sum(size_bytes_of(path) for path in removed)
        if not is_dry_run:
            for path in removed:
                _remove(path)
    return Cleaning(removed, freed_bytes, tuple(sorted(busy)))


def size_bytes_of(path: Path) -> int:
    """Of a file, or of everything in a folder; what vanishes meanwhile counts nothing."""
    try:
        files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
        return sum(one.stat().st_size for one in files)
    except FileNotFoundError:
        return 0


def _is_in_work(store: Store, staged: Path) -> bool:
    from filelock import FileLock, Timeout

    if match := _STAGED_BY.fullmatch(staged.name):
        import psutil

        return psutil.pid_exists(int(match[1]))
    try:
        with FileLock(store.locks / f"{staged.name}.lock", timeout=0):
            return False
    except Timeout:
        return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
