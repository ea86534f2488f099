"""Digests seen before: the first pull of a file whose digest nobody published records it, later pulls are compared.

One small file per record, so that processes never rewrite each other's. Records outlive the models they came with.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from gemstead.catalog.manifests import now_utc
from gemstead.catalog.partial import write_atomic
from gemstead.core.errors import FileDamaged


class DigestRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`place` and `file` as the source names them; `revision` None: the source has none."""

    place: str
    file: str
    revision: str | None
    sha256: str
    recorded_at: str = ""


def recall_digest(folder: Path, place: str, file: str, revision: str | None) -> str | None:
    """The sha256 recorded for this file in this state, or None. Raises: FileDamaged if the record is unreadable."""
    path = _path(folder, place, file, revision)
    try:
        return msgspec.json.decode(path.read_bytes(), type=DigestRecord).sha256
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as exc:
        raise FileDamaged(f"the record {path} is damaged", why=str(exc), hint=f"delete {path}") from exc


def record_digest(folder: Path, place: str, file: str, revision: str | None, sha256: str) -> None:
    """Keeps, or with a new digest replaces, the record."""
    record = DigestRecord(place, file, revision, sha256, now_utc())
    write_atomic(_path(folder, place, file, revision), msgspec.json.encode(record))


def _path(folder: Path, place: str, file: str, revision: str | None) -> Path:
    identity = msgspec.json.encode([place, file, revision])
    return folder / f"{hashlib.sha256(identity).hexdigest()[:32]}.json"
