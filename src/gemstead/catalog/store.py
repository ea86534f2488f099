"""The artefact store: files lie under their digest, and a small record says which of them make up a model.

    blobs/sha256-<hex>          the bytes; equal files lie there once
    manifests/<name>.json       one model each
    views/<name>/<file name>    the same bytes under the names engines expect; made again when missing
    incoming/  quarantine/      half-fetched files; files that were not what they should be
    digests/  licences/         what was seen before, what was agreed to
    locks/

Every change is one rename: a process killed at any point leaves the store as it was before or after, never between.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from gemstead.catalog.entries import Catalog, Licence, load_catalog
from gemstead.catalog.licences import Acceptance, accept_licence, acceptance_of
from gemstead.catalog.locks import exclusive
from gemstead.catalog.manifests import Manifest, StoredFile, read_manifest, safe_file_name, write_manifest
from gemstead.catalog.names import ModelName, parse_name
from gemstead.catalog.partial import Reporter, set_aside, sync_folder
from gemstead.catalog.roles import Role
from gemstead.core.errors import DigestMismatch, FileDamaged, ModelMissing, NameUnknown
from gemstead.core.progress import Progress, no_progress
from gemstead.core.units import MIB

StoreChange: TypeAlias = Literal["pulled", "created", "removed"]


class StoreWatch(msgspec.Struct, frozen=True):
    """Who is told of changes, each before it is one: what raises keeps it from happening.

    A change that was told and did not happen after all is better than a model that nobody was told of.
    """

    on_model: Callable[[StoreChange, Manifest], object] = lambda _change, _manifest: None
    on_licence: Callable[[Licence], object] = lambda _licence: None


NOBODY = StoreWatch()


class Removal(msgspec.Struct, frozen=True):
    """What removing a model frees; files that other models use stay."""

    manifest: Manifest
    freed_bytes: int
    kept_bytes: int
    blobs: tuple[Path, ...]


class Store:
    """The store under `root`; folders appear when they are needed, so that looking at an empty store writes nothing."""

    def __init__(self, root: Path, catalog: Catalog | None = None, watch: StoreWatch = NOBODY) -> None:
        self.root = root
        self._watch = watch
        self.catalog = catalog or load_catalog()
        self.manifests, self.views = root / "manifests", root / "views"
        self.incoming, self.quarantine = root / "incoming", root / "quarantine"
        self.digests, self.licences, self.locks = root / "digests", root / "licences", root / "locks"

    def list(self) -> list[Manifest]:
        """Every model, by name. Raises: FileDamaged if a record is unreadable."""
        found = []
        for path in sorted(self.manifests.glob("[!.]*.json")):
            try:
                found.append(read_manifest(path))
            except FileNotFoundError:
                continue  # removed by another process since the listing
        return sorted(found, key=lambda manifest: manifest.name)

    def parse(self, text: str) -> ModelName:
        """A name as people type it; names in this store win. Raises: NameUnknown with the nearest valid name."""
        return parse_name(text, own_names=self.own_names(), catalog=self.catalog)

    def own_names(self) -> set[str]:
        """Names in this store that the catalogue does not have."""
        known = {model.name for model in self.catalog.models}
        return {manifest.name for manifest in self.list() if manifest.model not in known}

    def find(self, text: str) -> Manifest | None:
        """The model that `text` names, or None if it is not here. Without a quantization: the best liked one here.

        Raises: NameUnknown if neither this store nor the catalogue knows the name.
        """
        name = self.parse(text)
        fitting = [manifest for manifest in self.list() if _is_meant(manifest, name)]
        return min(fitting, key=self._liking, default=None)

    def require(self, text: str) -> Manifest:
        """As `find`. Raises: ModelMissing with the command that brings it; NameUnknown."""
        manifest = self.find(text)
        if manifest is None:
            name = self.parse(text)
            raise ModelMissing(f"{name} is not in the store", hint=_command_for(name))
        return manifest

    def blob(self, sha256: str) -> Path:
        return self.root / "blobs" / f"sha256-{sha256}"

    def has(self, sha256: str) -> bool:
        return self.blob(sha256).is_file()

    def is_complete(self, manifest: Manifest) -> bool:
        """Whether every file is there with its size; `verify` reads them through."""
        return all(
            self.has(file.sha256) and self.blob(file.sha256).stat().st_size == file.size_bytes
            for file in manifest.files
        )

    def path_of(self, manifest: Manifest, role: Role = "model") -> Path | None:
        """The file an engine opens: the first of that role, under its own name, beside its other parts.

        None if the model has no file of that role. Raises: ModelMissing if bytes are gone from the store.
        """
        folder = self._view(manifest)
        files = manifest.files_of(role)
        return folder / files[0].name if files else None

    def folder_of(self, manifest: Manifest) -> Path:
        """The folder with all files under their own names, for engines that open folders. Raises: ModelMissing."""
        return self._view(manifest)

    def add_blob(self, path: Path, sha256: str) -> None:
        """Moves a complete, verified, flushed file of this store's disk to its place; a known one is let go."""
        target = self.blob(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        sync_folder(target.parent)

    def publish(self, manifest: Manifest) -> Manifest:
        """Makes a model appear; its blobs must be there.

        Raises: FileDamaged if one is not (another process removed a model that shared it in this very moment).
        """
        with exclusive(self.locks / "store.lock"):
            if not self.is_complete(manifest):
                raise FileDamaged(f"files of {manifest.name} vanished meanwhile", hint="run the same command again")
            self._watch.on_model(_origin_of(manifest), manifest)
            write_manifest(self._manifest_path(manifest.name), manifest)
        self._view(manifest)
        return manifest

    def remove(self, text: str, *, is_dry_run: bool = False) -> Removal:
        """Removes a model, and of its files those that no other model uses. Raises: ModelMissing, NameUnknown."""
        with exclusive(self.locks / "store.lock"):
            manifest = self.require(text)
            used = {file.sha256 for other in self.list() if other.name != manifest.name for file in other.files}
            unused = {file.sha256: file.size_bytes for file in manifest.files if file.sha256 not in used}
            freed_bytes = sum(unused.values())
            blobs = tuple(self.blob(sha256) for sha256 in sorted(unused))
            if not is_dry_run:
                self._watch.on_model("removed", manifest)
                # The record goes first: a kill after it leaves unused bytes, never a record without bytes.
                self._manifest_path(manifest.name).unlink(missing_ok=True)
                shutil.rmtree(self.views / safe_file_name(manifest.name), ignore_errors=True)
                for blob in blobs:
                    blob.unlink(missing_ok=True)
        return Removal(manifest, freed_bytes, manifest.size_bytes - freed_bytes, blobs)

    def accept(self, licence: Licence) -> Acceptance:
        """The owner of this store agrees to a licence; an earlier agreement stays. Raises: FileDamaged."""
        if acceptance_of(self.licences, licence) is None:
            self._watch.on_licence(licence)
        return accept_licence(self.licences, licence)

    def verify(self, text: str, progress: Progress = no_progress) -> Manifest:
        """Reads every file through and compares digests. A file that differs is moved to quarantine.

        Raises: DigestMismatch; ModelMissing, also if a file is gone; NameUnknown.
        """
        manifest = self.require(text)
        report, done = Reporter(progress, f"verify {manifest.name}"), 0
        for file in manifest.files:
            if not self.has(file.sha256):
                raise self._gone(manifest, file)
            hasher = hashlib.sha256()
            with self.blob(file.sha256).open("rb", buffering=0) as blob:
                while chunk := blob.read(MIB):
                    hasher.update(chunk)
                    done += len(chunk)
                    report.bytes(done, manifest.size_bytes)
            if hasher.hexdigest() != file.sha256:
                raise self._damaged(manifest, file, hasher.hexdigest())
        report.close(manifest.size_bytes)
        return manifest

    def leftovers(self) -> tuple[Path, ...]:
        """What killed pulls left behind and quarantine: nothing needs it, the next pull may go on from some of it."""
        used = {self.blob(file.sha256) for manifest in self.list() for file in manifest.files}
        blobs = [path for path in (self.root / "blobs").glob("sha256-*") if path not in used]
        return tuple(sorted([*blobs, *self.incoming.glob("*"), *self.quarantine.glob("*")]))

    def _manifest_path(self, name: str) -> Path:
        return self.manifests / f"{safe_file_name(name)}.json"

    def _liking(self, manifest: Manifest) -> tuple[int, str]:
        """Sorts what a name without quantization may mean: in the catalogue's order, others after it."""
        try:
            preferred = self.catalog.model(manifest.model).preferred
        except NameUnknown:
            return 0, manifest.name
        tag = manifest.tag or ""
        return (preferred.index(tag) if tag in preferred else len(preferred)), manifest.name

    def _view(self, manifest: Manifest) -> Path:
        folder = self.views / safe_file_name(manifest.name)
        for file in manifest.files:
            blob, name = self.blob(file.sha256), folder / file.name
            if not blob.is_file():
                raise self._gone(manifest, file)
            if not (name.exists() and name.samefile(blob)):
                _link(blob, name)
        return folder

    def _gone(self, manifest: Manifest, file: StoredFile) -> ModelMissing:
        return ModelMissing(
            f"{file.name} of {manifest.name} is gone from the store", hint=f"gemstead models pull {manifest.name}"
        )

    def _damaged(self, manifest: Manifest, file: StoredFile, found: str) -> DigestMismatch:
        kept_at = set_aside(self.blob(file.sha256), self.quarantine)
        return DigestMismatch(
            f"{file.name} of {manifest.name} changed on the disk: its sha256 is {found}, expected {file.sha256}",
            why=f"it is kept at {kept_at}",
            hint=f"gemstead models pull {manifest.name}, and have the disk checked",
        )


def _origin_of(manifest: Manifest) -> StoreChange:
    return "created" if manifest.made_from is not None or manifest.source == "synthetic" else "pulled"


def _command_for(name: ModelName) -> str:
    if name.form == "weights":
        return f"gemstead models pull {name}"
    quant = f" --quant {name.tag}" if name.tag else ""
    return f"gemstead models synth {name.model}" + (" --tiny" if name.form == "tiny" else "") + quant


def _is_meant(manifest: Manifest, name: ModelName) -> bool:
    if name.is_own:
        return manifest.name == name.model
    is_model = manifest.model == name.model and manifest.form == name.form
    return is_model and name.tag in (None, manifest.tag)


def _link(blob: Path, name: Path) -> None:
    """Puts `blob` at `name` without a copy: a hard link, or a symbolic one where the file system has no hard links."""
    name.parent.mkdir(parents=True, exist_ok=True)
    temporary = name.with_name(f".{name.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        os.link(blob.resolve(), temporary)
    except OSError:
        temporary.symlink_to(blob.resolve())
    temporary.replace(name)
    temporary.unlink(missing_ok=True)  # renaming onto another link of the same file keeps both
