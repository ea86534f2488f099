"""The record of one model in the store: which files it consists of, where they came from, under which licence."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import msgspec

from gemstead.catalog.names import Form
from gemstead.catalog.partial import write_atomic
from gemstead.catalog.roles import Role
from gemstead.core.errors import FileDamaged, RequestInvalid
from gemstead.core.types import Sampling

SCHEMA_VERSION = 1


class StoredFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`name` is the publisher's file name (with folders, where the model has some); the bytes lie under the digest."""

    name: str
    role: Role
    sha256: str
    size_bytes: int


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a model says by itself where a request says nothing. `licence` is a text its maker added."""

    system: str | None = None
    sampling: Sampling = Sampling()
    wanted_context: int | None = None
    licence: str | None = None


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`name` is what people type and is unique; `model`, `tag` and `form` are its parts, as in `names.ModelName`.

    `place` says where it came from, for people. `licence` None: not known to gemstead. `stored_at` is UTC, ISO 8601.
    `is_digest_published` True: the digest was known before the files came, so that they are the publisher's own.
    `made_from` is the name of the model whose files these are, `base` that one's `model`: what the catalogue says of it
    counts here too.
    """

    name: str
    model: str
    format: str
    source: str
    place: str
    files: tuple[StoredFile, ...]
    stored_at: str
    quant: str | None = None
    tag: str | None = None
    form: Form = "weights"
    publisher: str | None = None
    revision: str | None = None
    licence: str | None = None
    is_digest_published: bool = False
    made_from: str | None = None
    base: str | None = None
    preset: Preset | None = None
    schema: int = SCHEMA_VERSION

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    def files_of(self, role: Role) -> list[StoredFile]:
        return [file for file in self.files if file.role == role]


def now_utc() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def safe_file_name(name: str) -> str:
    """`name` as one path component; distinct names stay distinct, except for case where a disk ignores it."""
    return quote(name, safe="-_.@")


def checked_file_name(name: str) -> str:
    """`name`, which a source chose, as a relative path.

    Raises: RequestInvalid if it would lead out of the folder it belongs to, here or on another system.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise RequestInvalid(f"the source names a file {name!r}: refused")
    return str(path)


def write_manifest(path: Path, manifest: Manifest) -> None:
    write_atomic(path, msgspec.json.format(msgspec.json.encode(manifest), indent=2))


def read_manifest(path: Path) -> Manifest:
    """Raises: FileDamaged; FileNotFoundError if another process removed it meanwhile."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.DecodeError as exc:
        raise FileDamaged(
            f"the record {path} is damaged", why=str(exc), hint=f"delete {path} and pull the model again"
        ) from exc
