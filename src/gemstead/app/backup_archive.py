"""A backup is one file: a compressed tar of databases, secrets and settings, sealed with age. Anybody's `age` opens it.

What comes out of one is looked at before it is believed: whoever has the public key can seal something.
"""

from __future__ import annotations

import re
import tarfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gemstead import __version__
from gemstead.app.backup_seal import Opener, Sealer, open_sealed, seal
from gemstead.core.errors import FileDamaged
from gemstead.core.moments import utc_text
from gemstead.store.digest import file_sha256

SCHEMA = "gemstead/backup/1"
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 16 * 1024 * 1024
MAX_FILES = 10_000
CHUNK_BYTES = 1024 * 1024
COMPRESSION = 6

DATABASES = {"gemstead.db": "gemstead", "evidence.db": "evidence", "content.db": "content"}
"""File -> lineage of schemas."""

_NAMES = re.compile(
    r"(?:gemstead|evidence|content)\.db|config/(?:gemstead|policy|report)\.toml|secrets(?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,120}){1,3}"
)
"""What a backup may hold; another name is refused, not written."""


class ArchivedFile(msgspec.Struct, frozen=True):
    name: str
    num_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What is in a backup. `schemas`: database -> id of its schema. `left_out` are sentences."""

    made_at: str
    made_by: str
    files: tuple[ArchivedFile, ...]
    schemas: dict[str, str]
    has_content: bool
    left_out: tuple[str, ...] = ()
    schema: str = SCHEMA

    @property
    def num_bytes(self) -> int:
        return sum(file.num_bytes for file in self.files)


def manifest_of(folder: Path, schemas: dict[str, str], left_out: tuple[str, ...]) -> Manifest:
    """Of everything in `folder`."""
    files = tuple(
        ArchivedFile(name, (folder / name).stat().st_size, file_sha256(folder / name)) for name in _files(folder)
    )
    return Manifest(
        made_at=utc_text(time.time()),
        made_by=f"gemstead {__version__}",
        files=files,
        schemas=schemas,
        has_content="content.db" in schemas,
        left_out=left_out,
    )


def pack(folder: Path, manifest: Manifest, tar_path: Path, target: Path, sealer: Sealer) -> None:
    """Writes what `manifest` names, sealed, to the new file `target`; `tar_path`, in a private folder, is put together
    first.
    """
    document = msgspec.json.format(msgspec.json.encode(manifest))
    with tarfile.open(tar_path, "x:gz", compresslevel=COMPRESSION) as tar:
        (folder / MANIFEST).write_bytes(document)
        for name in (MANIFEST, *(file.name for file in manifest.files)):
            tar.add(folder / name, arcname=name, recursive=False, filter=_anonymous)
        (folder / MANIFEST).unlink()
    seal(tar_path, target, sealer)


def unpack(sealed: Path, folder: Path, tar_path: Path, opener: Opener) -> Manifest:
    """Opens a backup into the empty `folder`, and compares every file with the manifest.

    Raises: FileDamaged, for the wrong passphrase or key, too.
    """
    open_sealed(sealed, tar_path, opener)
    try:
        with tarfile.open(tar_path, "r:gz") as tar:
            manifest = _manifest(tar)
            named = {file.name: file for file in manifest.files}
            for member in tar:
                _take(tar, member, named, folder)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as exc:
        if isinstance(exc, OSError) and exc.errno is not None:
            raise
        raise FileDamaged(f"the backup {sealed} is damaged", why=str(exc)) from exc
    for file in manifest.files:
        path = folder / file.name
        if not path.exists() or file_sha256(path) != file.sha256:
            raise FileDamaged(f"the backup {sealed} is damaged", why=f"{file.name} is not what its manifest says")
    return manifest


def _manifest(tar: tarfile.TarFile) -> Manifest:
    first = tar.next()
    if first is None or first.name != MANIFEST or not first.isreg() or first.size > MAX_MANIFEST_BYTES:
        raise FileDamaged("this is no backup of gemstead", why="it does not begin with a manifest")
    file = tar.extractfile(first)
    assert file is not None, "it is a regular file"
    try:
        manifest = msgspec.json.decode(file.read(), type=Manifest)
    except msgspec.DecodeError as exc:
        raise FileDamaged("this is no backup of gemstead", why=str(exc)) from exc
    if manifest.schema != SCHEMA:
        raise FileDamaged("this backup is of a newer gemstead", why=manifest.schema[:60], hint="update gemstead")
    if len(manifest.files) > MAX_FILES or not all(_NAMES.fullmatch(file.name) for file in manifest.files):
        raise FileDamaged("this backup holds files that none of ours does")
    return manifest


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, named: dict[str, ArchivedFile], folder: Path) -> None:
    """One file, never larger than the manifest says, and never but where its name, which was checked, puts it."""
    if member.name == MANIFEST:
        return
    known = named.get(member.name)
    if known is None or not member.isreg() or member.size != known.num_bytes:
        raise FileDamaged("the backup is damaged", why=f"{member.name[:80]!r} is not as its manifest says")
    source = tar.extractfile(member)
    assert source is not None, "it is a regular file"
    target = folder / known.name
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    target.touch(mode=0o600, exist_ok=False)
    with target.open("wb") as written:
        while chunk := source.read(CHUNK_BYTES):
            written.write(chunk)


def _files(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not path.is_symlink() and _NAMES.fullmatch(name):
            yield name


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The user of this machine is nobody's business there."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member
