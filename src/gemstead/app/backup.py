"""Makes a backup of everything but models, while a server runs or not, and looks at it as a restore would."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from gemstead.app.backup_archive import DATABASES, Manifest, manifest_of, pack, unpack
from gemstead.app.backup_seal import Opener, Sealer, sync
from gemstead.app.evidence import write_event
from gemstead.app.governance import policy_path
from gemstead.core.errors import FileDamaged, NameUnknown, RequestInvalid, SettingInvalid
from gemstead.evidence import records
from gemstead.evidence.canonical import Value
from gemstead.evidence.vault.key_copies import forget_copy, known_copies, write_key_copy
from gemstead.settings.load import Loaded
from gemstead.settings.paths import Paths
from gemstead.store.database import open_database, revisions
from gemstead.store.digest import file_sha256
from gemstead.store.snapshot import check_database, schema_version, snapshot, snapshot_without

LIST_FILE = "backups.jsonl"
STAGING = ".backup-"


class Made(msgspec.Struct, frozen=True):
    """A backup that was made, as it is noted in the state folder. `sha256` is of the sealed file."""

    path: str
    made_at: str
    sha256: str
    num_bytes: int
    has_content: bool
    is_checked: bool = False
    """Whether it was opened again and compared; without the private key only what went in was looked at."""
    left_out: tuple[str, ...] = ()


class Order(msgspec.Struct, frozen=True):
    """What to make. `content_keys` is where the keys of the content go; None: the content is left out.

    `opener` None: nothing here can open what is sealed, so it cannot be looked at again.
    """

    target: Path
    sealer: Sealer
    opener: Opener | None = None
    content_keys: Path | None = None


class Planned(msgspec.Struct, frozen=True):
    """What a backup would hold: names and sizes before it is compressed."""

    files: tuple[tuple[str, int], ...]
    left_out: tuple[str, ...]


def plan_backup(loaded: Loaded, order: Order) -> Planned:
    """Raises: RequestInvalid where it could not be made."""
    _check_target(order.target)
    paths = loaded.paths
    found = [(name, paths.data / name) for name in DATABASES]
    if order.content_keys is None:
        found = [one for one in found if one[0] != "content.db"]
    every = [*found, *_plain_files(loaded)]
    return Planned(
        tuple((name, path.stat().st_size) for name, path in every if path.exists()), _left_out(loaded, order)
    )


def create_backup(loaded: Loaded, order: Order) -> Made:
    """Writes the backup whole or not at all, looks at it, and notes it in the evidence.

    Raises: RequestInvalid if the file is there; FileDamaged for a database that is; EvidenceUnavailable.
    """
    _check_target(order.target)
    paths = loaded.paths
    with _staging(paths) as folder:
        files = folder / "files"
        files.mkdir(mode=0o700)
        schemas = _copy_databases(loaded, order, files)
        for name, path in _plain_files(loaded):
            _copy(path, files / name)
        check_files(files, schemas)
        manifest = manifest_of(files, schemas, _left_out(loaded, order))
        draft = order.target.with_name(f"{order.target.name}.{secrets.token_hex(4)}.part")
        try:
            pack(files, manifest, folder / "backup.tar.gz", draft, order.sealer)
            if order.opener is not None:
                check_sealed(draft, order.opener, folder / "check")
            sync(draft)
            draft.replace(order.target)
            sync(order.target.parent)
        finally:
            draft.unlink(missing_ok=True)
    made = Made(
        path=str(order.target.absolute()),
        made_at=manifest.made_at,
        sha256=file_sha256(order.target),
        num_bytes=order.target.stat().st_size,
        has_content=manifest.has_content,
        is_checked=order.opener is not None,
        left_out=manifest.left_out,
    )
    _note(loaded, made)
    return made


def check_backup(loaded: Loaded, sealed: Path, opener: Opener) -> Manifest:
    """Opens it, compares every file with its manifest, and looks through every database.

    Raises: FileDamaged; RequestInvalid.
    """
    if not sealed.is_file():
        raise RequestInvalid(f"there is no file {sealed}", hint="gemstead backup list")
    with _staging(loaded.paths) as folder:
        return check_sealed(sealed, opener, folder / "check")


def check_sealed(sealed: Path, opener: Opener, folder: Path) -> Manifest:
    """As `check_backup`, in a folder of the caller's."""
    files = folder / "files"
    files.mkdir(parents=True, mode=0o700)
    manifest = unpack(sealed, files, folder / "backup.tar.gz", opener)
    check_files(files, manifest.schemas)
    return manifest


def check_files(folder: Path, schemas: dict[str, str]) -> None:
    """Raises: FileDamaged for a database that is damaged, not of its lineage, or whose chain does not verify."""
    for name in schemas:
        path = folder / name
        check_database(path)
        found = schema_version(path)
        if found not in revisions(DATABASES[name]):  # type: ignore[arg-type]
            raise FileDamaged(f"{name} is of a newer gemstead", why=found[:60], hint="update gemstead")
    if "evidence.db" in schemas:
        check_evidence(folder / "evidence.db")


def check_evidence(path: Path) -> None:
    """Raises: FileDamaged unless chain, tree and checkpoints are what they say."""
    from gemstead.evidence.verify import Unreadable, examine

    try:
        report = examine(path)
    except Unreadable as exc:
        raise FileDamaged("evidence.db cannot be read", why=str(exc)) from exc
    if not report.is_clean:
        raise FileDamaged(
            "the evidence does not verify", why=str(report.findings[0])[:300], hint="gemstead evidence verify"
        )


def list_backups(loaded: Loaded) -> list[Made]:
    """Those that were made here, oldest first, whether or not they are still where they were put.

    Raises: SettingInvalid, FileDamaged if the list cannot be read.
    """
    path = loaded.paths.state / LIST_FILE
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise SettingInvalid(f"{path} cannot be read: {exc.strerror}") from exc
    try:
        return [msgspec.json.decode(line, type=Made) for line in lines if line.strip()]
    except msgspec.DecodeError as exc:
        raise FileDamaged(f"{path} is damaged", why=str(exc), hint=f"remove {path}: it is only a list") from exc


def _check_target(target: Path) -> None:
    if target.exists():
        raise RequestInvalid(f"{target} exists", param="file", hint="choose a new file")
    if not target.parent.is_dir():
        raise RequestInvalid(f"the folder {target.parent} does not exist", param="file")


def _copy_databases(loaded: Loaded, order: Order, files: Path) -> dict[str, str]:
    """The evidence last: it then tells of everything that the others hold."""
    paths, schemas = loaded.paths, {}
    for name in ("gemstead.db", "content.db", "evidence.db"):
        source = paths.data / name
        if not source.exists() or (name == "content.db" and order.content_keys is None):
            continue
        open_database(source, DATABASES[name])  # type: ignore[arg-type]
        try:
            if name == "content.db":
                snapshot_without(source, files / name, "subjects", "wrapped_key")
            else:
                snapshot(source, files / name)
        except sqlite3.Error as exc:
            raise FileDamaged(f"{source} cannot be copied", why=str(exc)) from exc
        schemas[name] = schema_version(files / name)
    if order.content_keys is not None and "content.db" in schemas:
        write_content_keys(loaded, order.content_keys)
    return schemas


def write_content_keys(loaded: Loaded, target: Path) -> int:
    """Writes the keys that open the content of every backup, in place of those it had; gives their number.

    Raises: SettingInvalid.
    """
    with closing(open_database(loaded.paths.content, "content").raw()) as connection:
        try:
            return write_key_copy(connection, target, round(time.time() * 1000))
        except OSError as exc:
            raise SettingInvalid(f"the key file {target} cannot be written: {exc.strerror}") from exc


def forget_content_keys(loaded: Loaded, target: Path) -> None:
    """Raises: NameUnknown for a file that keys were never written to."""
    with closing(open_database(loaded.paths.content, "content").raw()) as connection:
        if not forget_copy(connection, target):
            raise NameUnknown("key file", str(target), [str(path) for path in known_copies(connection)])


def _plain_files(loaded: Loaded) -> Iterator[tuple[str, Path]]:
    """Secrets, settings, policy: where they lie in a backup, and here."""
    folder = loaded.paths.secrets
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file() and not path.is_symlink() and path.suffix != ".lock":
            yield f"secrets/{path.relative_to(folder).as_posix()}", path
    report = loaded.paths.config / "report.toml"
    for name, path in (
        ("gemstead.toml", loaded.paths.settings_file),
        ("policy.toml", policy_path(loaded)),
        ("report.toml", report),
    ):
        if path.is_file():
            yield f"config/{name}", path


def _left_out(loaded: Loaded, order: Order) -> tuple[str, ...]:
    left = ["models and engines: gemstead models pull, gemstead engine install"]
    if order.content_keys is None and loaded.paths.content.exists():
        left.append("prompts and replies that are kept: --content-keys FILE takes them along")
    content = loaded.settings.content
    if content.master_key is not None or content.key_from == "keyring":
        left.append("the master key of the content: it is in the environment or the keyring, not in the data folder")
    if loaded.settings.policy.file is not None:
        left.append(
            "where the policy lies: it comes back as policy.toml beside the settings, whose policy.file is another"
        )
    if loaded.settings.access.pepper is not None:
        left.append("the pepper of the access keys: it is in the settings or the environment")
    return tuple(left)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copyfile(source, target)
    target.chmod(0o600)


@contextmanager
def _staging(paths: Paths) -> Iterator[Path]:
    """A private folder beside the databases: what is put there is as safe as they are, and goes with the block."""
    paths.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(prefix=STAGING, dir=paths.data))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _note(loaded: Loaded, made: Made) -> None:
    """Without its path in the evidence: that may name a person."""
    fields: dict[str, Value] = {"sha256": made.sha256, "num_bytes": made.num_bytes, "has_content": made.has_content}
    write_event(loaded, records.event("admin.backup_created", time.time(), **fields))
    path = loaded.paths.state / LIST_FILE
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    with path.open("ab") as file:
        file.write(msgspec.json.encode(made) + b"\n")
