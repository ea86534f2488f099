"""Brings a backup back into a fresh folder: looked at first, and then whole or not at all."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from pathlib import Path

import msgspec

from gemstead.app.backup import check_files
from gemstead.app.backup_archive import DATABASES, Manifest, unpack
from gemstead.app.backup_seal import Opener, sync
from gemstead.app.evidence import write_event
from gemstead.app.servers import running_servers
from gemstead.core.errors import AlreadyRunning, FileDamaged, RequestInvalid
from gemstead.evidence import records
from gemstead.evidence.vault.key_copies import put_keys, read_key_copy
from gemstead.settings.load import Loaded
from gemstead.settings.paths import Paths
from gemstead.store.database import RESTORE_JOURNAL, open_database

STAGING, JOURNAL = RESTORE_JOURNAL.parts


class Restored(msgspec.Struct, frozen=True):
    """What was brought back, or would be. `num_lost`: people whose key the key file does not have: they were erased."""

    manifest: Manifest
    has_content: bool
    num_lost: int = 0
    is_dry_run: bool = False
    is_finished: bool = False
    """True: a restore that had been cut off was ended; this backup was not looked at."""


class Move(msgspec.Struct, frozen=True):
    source: str
    target: str


class Journal(msgspec.Struct, frozen=True):
    """Written once everything is there and good: from then on a restore that is cut off is finished, not undone."""

    moves: tuple[Move, ...]
    manifest: Manifest
    has_content: bool


def restore(
    loaded: Loaded, sealed: Path, opener: Opener, *, content_keys: Path | None = None, is_dry_run: bool = False
) -> Restored:
    """Without `content_keys` the content that is in the backup is left out: nothing would open it.

    Raises: AlreadyRunning while a server of this folder runs; RequestInvalid if there is anything already;
    FileDamaged for a backup that is not what it says.
    """
    paths = loaded.paths
    _check_stopped(paths)
    staging = paths.data / STAGING
    if (staging / JOURNAL).exists():
        return _finish_cut(loaded, staging)
    if not sealed.is_file():
        raise RequestInvalid(f"there is no file {sealed}", hint="gemstead backup list")
    _check_fresh(paths)
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True, mode=0o700)
    try:
        files = staging / "files"
        files.mkdir(mode=0o700)
        manifest = unpack(sealed, files, staging / "backup.tar.gz", opener)
        (staging / "backup.tar.gz").unlink()
        check_files(files, manifest.schemas)
        has_content, num_lost = _settle_content(files, manifest, content_keys)
        if is_dry_run:
            return Restored(manifest, has_content, num_lost, is_dry_run=True)
        journal = Journal(_moves(paths, files), manifest, has_content)
        _write_journal(staging, journal)
        _finish(staging, journal)
    finally:
        if not (staging / JOURNAL).exists():
            shutil.rmtree(staging, ignore_errors=True)
    _note(loaded, manifest)
    return Restored(manifest, has_content, num_lost)


def _check_stopped(paths: Paths) -> None:
    if servers := running_servers(paths.servers):
        raise AlreadyRunning(f"a server runs on port {servers[0].port}", hint="gemstead stop --all")


def _check_fresh(paths: Paths) -> None:
    places = [
        *(paths.data / name for name in DATABASES),
        paths.secrets,
        paths.settings_file,
        paths.config / "policy.toml",
        paths.config / "report.toml",
    ]
    there = [path for path in places if path.exists() and not (path.is_dir() and not any(path.iterdir()))]
    if there:
        raise RequestInvalid(
            f"there is something already: {', '.join(str(path) for path in there[:5])}",
            why="a restore never mixes with what is there",
            hint="set GEMSTEAD_DATA_DIR to a new folder, or move these away",
        )


def _settle_content(files: Path, manifest: Manifest, content_keys: Path | None) -> tuple[bool, int]:
    """Whether content comes back, and of how many people it does not any more. Raises: SettingInvalid, FileDamaged."""
    path = files / "content.db"
    if not manifest.has_content or content_keys is None:
        path.unlink(missing_ok=True)
        return False, 0
    copy = read_key_copy(content_keys)
    with closing(open_database(path, "content").raw()) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("BEGIN IMMEDIATE")
        num_lost = put_keys(connection, copy)
        connection.execute("DELETE FROM key_copies")
        connection.execute("INSERT INTO key_copies VALUES (?, ?)", (str(content_keys.absolute()), copy.written_at_ms))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for beside in ("content.db-wal", "content.db-shm", "content.db.lock"):
        (files / beside).unlink(missing_ok=True)
    return True, num_lost


def _moves(paths: Paths, files: Path) -> tuple[Move, ...]:
    """Secrets before the databases that need them; the one with the keys last."""
    found = [path for path in sorted(files.rglob("*")) if path.is_file()]
    order = {"secrets": 0, "config": 1, "content.db": 2, "evidence.db": 3, "gemstead.db": 4}
    moves = []
    for path in sorted(found, key=lambda one: order[one.relative_to(files).parts[0]]):
        inside = path.relative_to(files)
        home = paths.config if inside.parts[0] == "config" else paths.data
        name = Path(*inside.parts[1:]) if inside.parts[0] == "config" else inside
        moves.append(Move(str(path), str(home / name)))
    return tuple(moves)


def _write_journal(staging: Path, journal: Journal) -> None:
    for move in journal.moves:
        sync(Path(move.source))
    draft = staging / "journal.draft"
    draft.write_bytes(msgspec.json.encode(journal))
    sync(draft)
    draft.replace(staging / JOURNAL)
    sync(staging)


def _finish(staging: Path, journal: Journal) -> None:
    """Moves what is not in place yet; done twice it is the same."""
    for move in journal.moves:
        source, target = Path(move.source), Path(move.target)
        if not source.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            source.replace(target)
        except OSError:
            # Settings may lie on another disk than data.
            draft = target.with_name(f"{target.name}.part")
            shutil.copy2(source, draft)
            draft.replace(target)
        sync(target.parent)
    shutil.rmtree(staging)


def _finish_cut(loaded: Loaded, staging: Path) -> Restored:
    try:
        journal = msgspec.json.decode((staging / JOURNAL).read_bytes(), type=Journal)
    except msgspec.DecodeError as exc:
        raise FileDamaged(f"{staging / JOURNAL} is damaged", why=str(exc), hint=f"remove {staging}") from exc
    _finish(staging, journal)
    _note(loaded, journal.manifest)
    return Restored(journal.manifest, journal.has_content, is_finished=True)


def _note(loaded: Loaded, manifest: Manifest) -> None:
    """The chain goes on where the backup was made: checkpoints made later and kept elsewhere show the gap."""
    write_event(
        loaded, records.event("admin.restored", time.time(), made_at=manifest.made_at, made_by=manifest.made_by)
    )
