"""A file that is still arriving: its bytes so far, the note beside it, its publication, and how far it is."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from gemstead.core.progress import Progress, ProgressEvent
from gemstead.core.units import MIB

REPORT_INTERVAL_S = 0.1


class _Note(msgspec.Struct, frozen=True):
    """Which remote file a part belongs to, as far as its source told."""

    etag: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None


class PartFile:
    """`<target>.part` and `<target>.part.json`."""

    def __init__(self, target: Path) -> None:
        self.folder = target.parent
        self.path = target.with_name(target.name + ".part")
        self.note_path = target.with_name(target.name + ".part.json")
        self._note = self._read_note()

    @property
    def etag(self) -> str | None:
        """The strong validator of the remote file; weak ones (W/) do not vouch for bytes and are left out."""
        etag = self._note.etag
        return etag if etag is not None and etag.startswith('"') else None

    def usable_bytes(self, sha256: str | None, size_bytes: int | None) -> int:
        """How many bytes of the part belong to the file wanted; a part that cannot be vouched for is discarded."""
        if not self.path.exists():
            return 0
        have, note = self.path.stat().st_size, self._note
        is_same = note.sha256 == sha256 if sha256 and note.sha256 else self.etag is not None
        is_same = is_same and size_bytes in (None, note.size_bytes)
        if not is_same or (note.size_bytes is not None and have > note.size_bytes):
            self.discard()
            return 0
        return have

    def remember(self, etag: str | None, size_bytes: int | None, sha256: str | None) -> None:
        note = _Note(etag, size_bytes, sha256)
        if note != self._note or not self.note_path.exists():
            write_atomic(self.note_path, msgspec.json.encode(note))
            self._note = note

    @contextmanager
    def appending(self) -> Iterator[BinaryIO]:
        with self.path.open("ab", buffering=MIB) as file:
            yield file

    def rehash(self, size_bytes: int, report: Reporter) -> hashlib._Hash:
        """The running sha256 of the bytes already here."""
        hasher, done = hashlib.sha256(), 0
        with self.path.open("rb", buffering=0) as file:
            while chunk := file.read(MIB):
                hasher.update(chunk)
                done += len(chunk)
                report.bytes(done, size_bytes, note="checking what is already here")
        return hasher

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.forget()

    def forget(self) -> None:
        self.note_path.unlink(missing_ok=True)
        self._note = _Note()

    def quarantined(self, folder: Path) -> Path:
        """Moves the part where nothing resumes or opens it; returns where it is now."""
        kept_at = set_aside(self.path, folder)
        self.forget()
        return kept_at

    def _read_note(self) -> _Note:
        try:
            return msgspec.json.decode(self.note_path.read_bytes(), type=_Note)
        except (FileNotFoundError, msgspec.DecodeError):
            return _Note()


class Reporter:
    """Passes progress on, at most every `REPORT_INTERVAL_S` seconds, notes and the end always."""

    def __init__(self, progress: Progress, task: str) -> None:
        self.task = task
        self._progress = progress
        self._last_s = 0.0

    def bytes(self, done: int, total: int | None, note: str | None = None) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s >= REPORT_INTERVAL_S:
            self._last_s = now_s
            self._progress(ProgressEvent(self.task, done, total, note=note))

    def note(self, text: str, done: int, total: int | None) -> None:
        self._progress(ProgressEvent(self.task, done, total, note=text))

    def close(self, total: int) -> None:
        self._progress(ProgressEvent(self.task, total, total, is_done=True))


def hash_file(path: Path, report: Reporter | None = None) -> str:
    """The sha256 of a file, as hex. About 1 GB/s on one core with SHA instructions."""
    hasher, done = hashlib.sha256(), 0
    total = path.stat().st_size
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(MIB):
            hasher.update(chunk)
            done += len(chunk)
            if report is not None:
                report.bytes(done, total)
    return hasher.hexdigest()


def set_aside(path: Path, folder: Path) -> Path:
    """Moves a file that is not what it should be into quarantine; returns where it is now."""
    folder.mkdir(parents=True, exist_ok=True)
    kept_at = folder / f"{path.name.removesuffix('.part')}.{time.time_ns()}"
    path.replace(kept_at)
    return kept_at


def publish(path: Path, target: Path) -> None:
    """Makes `path` appear as `target` in one step, its bytes on the disk first."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.replace(target)
    sync_folder(target.parent)


def write_atomic(path: Path, content: bytes) -> None:
    """Replaces a small file in one step: a reader, or a crash, sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flushes a folder's entries where the system can (not on Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
