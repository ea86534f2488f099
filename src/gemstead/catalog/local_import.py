"""Takes model files that are already on this machine into the store: copied, linked, or moved."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from gemstead.catalog.download import RemoteFile, download
from gemstead.catalog.entries import Artefact, ModelEntry
from gemstead.catalog.gguf import GgufFile, read_gguf
from gemstead.catalog.gguf_check import read_as
from gemstead.catalog.manifests import Manifest, StoredFile, now_utc
from gemstead.catalog.names import ModelName, check_own_name
from gemstead.catalog.partial import Reporter, hash_file
from gemstead.catalog.roles import Role
from gemstead.catalog.sources.file import model_files
from gemstead.catalog.store import Store
from gemstead.core.errors import DigestMismatch, NameUnknown, RequestInvalid
from gemstead.core.progress import Progress, no_progress

How: TypeAlias = Literal["copy", "link", "move"]
"""`link` takes no second copy: the bytes stay shared with the file given (a hard link; a symbolic one across disks).
`move` removes the file given once the model is published."""


class ImportRequest(msgspec.Struct, frozen=True):
    """`path` is a GGUF file, one part of a split one, or a folder with one model. `name` is the store's name for it:
    one of the owner's choice, or one of the catalogue for a file that was fetched by other means.

    `accepts_new_digest`: a file named like a published one is taken though its digest differs.
    """

    path: Path
    name: str
    how: How = "copy"
    mmproj: Path | None = None
    accepts_new_digest: bool = False


def import_model(store: Store, request: ImportRequest, progress: Progress = no_progress) -> Manifest:
    """Checks, digests and publishes the files of `request`.

    Raises: FileDamaged if a file is no sound GGUF; RequestInvalid if it is a projector or drafter, or the name is
    malformed or taken; SourceNotFound; DigestMismatch if it is not the published file its name says; DiskFull.
    """
    parts = model_files(request.path.expanduser())
    gguf = read_as(parts[0], "model")
    for part in parts[1:]:
        read_gguf(part)
    name = _target_name(store, request, gguf)
    sources: list[tuple[Path, Role]] = [(part, "model") for part in parts]
    if request.mmproj is not None:
        read_as(request.mmproj, "mmproj")
        sources.append((request.mmproj, "mmproj"))
    # A pid is not unique for ever: what an earlier process of this number left is swept away first.
    staging = store.incoming / f"import-{os.getpid()}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        files = tuple(_stage(path, role, staging, request.how, progress) for path, role in sources)
        manifest = _manifest(store, request, name, gguf, files)
        _require_free(store, manifest.name)
        for file in files:
            store.add_blob(staging / file.name, file.sha256)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    store.publish(manifest)
    if request.how == "move":
        for path, _ in sources:
            path.unlink()
    return manifest


def _target_name(store: Store, request: ImportRequest, gguf: GgufFile) -> ModelName:
    """Raises: RequestInvalid if the name is taken, malformed, or means a model of another architecture."""
    try:
        name = store.parse(request.name)
    except NameUnknown:
        name = ModelName(check_own_name(request.name, store.catalog), is_own=True)
    _require_free(store, str(name))
    family = "gemma4" if name.model.startswith("gemma4:") else None
    if family and gguf.architecture != family:
        raise RequestInvalid(
            f"{request.path.name} is no {family} model: its architecture is {gguf.architecture}",
            param="name",
            hint="import it under a name of your own",
        )
    return name


def _require_free(store: Store, name: str) -> None:
    if any(found.name == name for found in store.list()):
        raise RequestInvalid(
            f"the name {name} is taken", param="name", hint=f"choose another, or run: gemstead models rm {name}"
        )


def _stage(path: Path, role: Role, staging: Path, how: How, progress: Progress) -> StoredFile:
    """One file on the store's disk, with its digest; the file given stays untouched."""
    task, staged = f"import {path.name}", staging / path.name
    if how == "copy":
        remote = RemoteFile(url=path.resolve().as_uri(), name=path.name, size_bytes=path.stat().st_size)
        sha256 = download(remote, staged, progress=progress, task=task)
    else:
        report = Reporter(progress, task)
        sha256 = hash_file(path, report)
        report.close(path.stat().st_size)
        _link_or_else(path, staged, how)
    return StoredFile(path.name, role, sha256, staged.stat().st_size)


def _link_or_else(path: Path, staged: Path, how: How) -> None:
    """A hard link costs nothing; across disks a link becomes symbolic, and a move has to copy."""
    try:
        os.link(path.resolve(), staged)
    except OSError:
        if how == "link":
            staged.symlink_to(path.resolve())
        else:
            shutil.copyfile(path, staged)


def _manifest(
    store: Store, request: ImportRequest, name: ModelName, gguf: GgufFile, files: Sequence[StoredFile]
) -> Manifest:
    entry, artefact = _published(store, request, name, files[0])
    quant = artefact.quant if artefact else gguf.quant
    is_weights = not name.is_own and name.form == "weights"
    tag = name.tag or (artefact.tag if artefact else quant.lower() if quant and is_weights else None)
    full = name if name.is_own else ModelName(name.model, tag, name.form)
    return Manifest(
        name=str(full),
        model=full.model,
        tag=full.tag,
        form=full.form,
        format="gguf",
        quant=quant,
        source="file",
        place=str(request.path.expanduser().resolve()),
        publisher=artefact.publisher if artefact else None,
        licence=entry.licence if entry else None,
        files=tuple(files),
        stored_at=now_utc(),
        is_digest_published=artefact is not None and artefact.sha256 == files[0].sha256,
    )


def _published(
    store: Store, request: ImportRequest, name: ModelName, file: StoredFile
) -> tuple[ModelEntry | None, Artefact | None]:
    """What the catalogue knows about this file: by its digest, else by its name under a catalogue name.

    Raises: DigestMismatch if the file is named like a published one and differs from it.
    """
    if (recognised := store.catalog.recognise(file.sha256)) is not None:
        return recognised
    if name.is_own or name.form != "weights":
        return None, None
    entry = store.catalog.model(name.model)
    named = next((artefact for artefact in entry.artefacts if artefact.file == file.name), None)
    if named is not None and named.sha256 is not None and not request.accepts_new_digest:
        raise DigestMismatch(
            f"{file.name} is not the file {named.publisher} published: its sha256 is {file.sha256}, "
            f"expected {named.sha256}",
            why="it is damaged, or a newer or older upload",
            hint="fetch it again, or import it with --accept-new-digest",
        )
    return entry, named
