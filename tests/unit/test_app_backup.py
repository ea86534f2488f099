"""A backup is made while others write, opened and looked at before it is believed, and restored whole or not at all."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
from contextlib import closing, suppress
from pathlib import Path

import msgspec
import pytest

from gemstead.app.backup import Order, check_backup, create_backup, list_backups, plan_backup, write_content_keys
from gemstead.app.backup_archive import MANIFEST, manifest_of, pack
from gemstead.app.backup_seal import Opener, Sealer, new_identity, seal
from gemstead.app.content import opened_vault
from gemstead.app.restore import JOURNAL, STAGING, Journal, Move, restore
from gemstead.core.errors import FileDamaged, RequestInvalid, SettingInvalid
from gemstead.settings.load import Loaded, load_settings
from gemstead.store.database import check_whole, newest, open_database
from gemstead.store.snapshot import snapshot
from vaults import ALICE, BOB, DAY_MS, place, places_of

PASSPHRASE = "correct horse battery"
PRIVATE, PUBLIC = new_identity()
SEALER, OPENER = Sealer(recipients=(PUBLIC,)), Opener(identity=PRIVATE)
"""Keys, where it does not matter: a passphrase is slow on purpose."""


def loaded_in(folder: Path) -> Loaded:
    return load_settings(environ={"GEMSTEAD_DATA_DIR": str(folder), "GEMSTEAD_EVIDENCE_IS_ON": "on"})


@pytest.fixture
def old(tmp_path: Path) -> Loaded:
    """An installation with everything a backup takes."""
    loaded = loaded_in(tmp_path / "old")
    with closing(open_database(loaded.paths.database).raw()) as connection:
        connection.execute("UPDATE key_changes SET number = 7")
    (tmp_path / "old" / "policy.toml").write_text("version = 1\n")
    (tmp_path / "old" / "models").mkdir()
    (tmp_path / "old" / "models" / "weights.gguf").write_bytes(b"w" * 100)
    with opened_vault(loaded) as (vault, _connection):
        vault.keep(ALICE, place(1), 10 * DAY_MS, b"of alice")
        vault.keep(BOB, place(2), 10 * DAY_MS, b"of bob")
    return loaded


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_backup_comes_back_in_a_fresh_folder_without_who_was_erased_since(old: Loaded, tmp_path: Path) -> None:
    keys = tmp_path / "content.keys"
    made = create_backup(old, Order(tmp_path / "b.age", SEALER, OPENER, keys))
    assert (made.has_content, made.is_checked) == (True, True)
    assert [one.path for one in list_backups(old)] == [str(tmp_path / "b.age")]
    with opened_vault(old) as (vault, _connection):
        (wrapped,) = (vault.wrapped_keys()[one.id] for one in vault.subjects() if one.subject == BOB)
        vault.erase([vault.find("bob").id], 5)
    write_content_keys(old, keys)
    new = loaded_in(tmp_path / "new")
    (tmp_path / "new" / "models").mkdir(parents=True)
    done = restore(new, tmp_path / "b.age", OPENER, content_keys=keys)
    assert (done.has_content, done.num_lost) == (True, 1)
    with opened_vault(new) as (vault, _connection):
        (alice,) = vault.subjects()
        (text,) = vault.contents([alice.id])
        assert vault.text_of(text) == b"of alice"
    with closing(sqlite3.connect(new.paths.database)) as connection:
        assert connection.execute("SELECT number FROM key_changes").fetchone() == (7,)
    assert (tmp_path / "new" / "policy.toml").read_text() == "version = 1\n"
    assert not (tmp_path / "new" / STAGING).exists()
    assert places_of({"key": wrapped}, tmp_path / "new") == []
    for path in (new.paths.secrets / "content.key", new.paths.database, new.paths.content, new.paths.evidence):
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_without_a_key_file_the_content_stays_out_and_that_is_said(old: Loaded, tmp_path: Path) -> None:
    planned = plan_backup(old, Order(tmp_path / "b.age", SEALER))
    assert "content.db" not in dict(planned.files)
    made = create_backup(old, Order(tmp_path / "b.age", SEALER, OPENER))
    assert not made.has_content
    assert any("prompts and replies" in sentence for sentence in made.left_out)
    done = restore(loaded_in(tmp_path / "new"), tmp_path / "b.age", OPENER)
    assert not done.has_content
    assert not (tmp_path / "new" / "content.db").exists()


def test_no_key_of_the_content_is_in_a_backup_and_nothing_is_left_in_the_data_folder(
    old: Loaded, tmp_path: Path
) -> None:
    before = {path.name for path in old.paths.data.iterdir()}
    made = create_backup(old, Order(tmp_path / "b.age", SEALER, None, tmp_path / "content.keys"))
    assert not made.is_checked
    assert {path.name for path in old.paths.data.iterdir()} - before <= {"state", "evidence.db", "evidence.db.lock"}
    assert not list(tmp_path.glob("*.part"))
    manifest = check_backup(old, tmp_path / "b.age", OPENER)
    assert {"gemstead.db", "content.db", "config/policy.toml", "secrets/content.key"} <= {
        f.name for f in manifest.files
    }
    done = restore(loaded_in(tmp_path / "new"), tmp_path / "b.age", OPENER, is_dry_run=True)
    assert (done.is_dry_run, done.has_content) == (True, False)
    assert everything(tmp_path / "new") == {}


def test_a_file_that_is_there_is_never_replaced(old: Loaded, tmp_path: Path) -> None:
    (tmp_path / "b.age").write_bytes(b"mine")
    with pytest.raises(RequestInvalid, match="exists"):
        create_backup(old, Order(tmp_path / "b.age", SEALER, OPENER))
    assert (tmp_path / "b.age").read_bytes() == b"mine"


def test_a_folder_that_has_something_is_not_touched(old: Loaded, tmp_path: Path) -> None:
    create_backup(old, Order(tmp_path / "b.age", SEALER, OPENER))
    before = everything(old.paths.data)
    with pytest.raises(RequestInvalid, match="already"):
        restore(old, tmp_path / "b.age", OPENER)
    assert everything(old.paths.data) == before


def test_another_key_opens_nothing_and_nor_does_a_passphrase(old: Loaded, tmp_path: Path) -> None:
    create_backup(old, Order(tmp_path / "b.age", SEALER, OPENER))
    for other in (Opener(passphrase=PASSPHRASE), Opener(identity=new_identity()[0])):
        with pytest.raises(FileDamaged, match="does not open"):
            check_backup(old, tmp_path / "b.age", other)
    with pytest.raises(RequestInvalid, match="private key"):
        check_backup(old, tmp_path / "b.age", Opener(identity="AGE-SECRET-KEY-1NO"))


@pytest.mark.parametrize("place_of_flip", [0.02, 0.3, 0.6, 0.99])
def test_a_flipped_bit_is_found_and_nothing_is_restored(old: Loaded, tmp_path: Path, place_of_flip: float) -> None:
    sealed = tmp_path / "b.age"
    create_backup(old, Order(sealed, SEALER, OPENER))
    content = bytearray(sealed.read_bytes())
    content[int(len(content) * place_of_flip)] ^= 1
    sealed.write_bytes(bytes(content))
    new = loaded_in(tmp_path / "new")
    with pytest.raises(FileDamaged):
        restore(new, sealed, OPENER)
    assert everything(tmp_path / "new") == {}


def forged(folder: Path, name: str, content: bytes, kind: bytes = tarfile.REGTYPE, listed: int | None = None) -> Path:
    """What somebody seals who knows the public key, or the passphrase."""
    entry = {"name": name, "num_bytes": len(content) if listed is None else listed, "sha256": "0" * 64}
    manifest = {
        "schema": "gemstead/backup/1",
        "made_at": "",
        "made_by": "",
        "files": [entry],
        "schemas": {},
        "has_content": False,
    }
    with tarfile.open(folder / "tar", "w:gz") as tar:
        for inside, payload, typed in (
            (MANIFEST, json.dumps(manifest).encode(), tarfile.REGTYPE),
            (name, content, kind),
        ):
            member = tarfile.TarInfo(inside)
            member.size, member.type, member.linkname = len(payload), typed, "/etc/passwd"
            tar.addfile(member, io.BytesIO(payload))
    seal(folder / "tar", folder / "forged.age", SEALER)
    return folder / "forged.age"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../outside", tarfile.REGTYPE),
        ("/tmp/outside", tarfile.REGTYPE),
        ("secrets/../../outside", tarfile.REGTYPE),
        ("models/x.gguf", tarfile.REGTYPE),
        ("secrets/pepper", tarfile.SYMTYPE),
        ("secrets/pepper", tarfile.LNKTYPE),
        ("secrets/pepper", tarfile.FIFOTYPE),
    ],
)
def test_a_forged_backup_writes_nothing(tmp_path: Path, name: str, kind: bytes) -> None:
    sealed = forged(tmp_path, name, b"x", kind)
    with pytest.raises(FileDamaged):
        restore(loaded_in(tmp_path / "new"), sealed, OPENER)
    assert everything(tmp_path / "new") == {}
    assert not (tmp_path / "outside").exists()


def test_a_file_longer_than_its_manifest_says_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    with pytest.raises(FileDamaged):
        restore(loaded_in(tmp_path / "new"), forged(tmp_path, "secrets/pepper", b"x" * 5000, listed=10), OPENER)


def test_a_passphrase_that_is_too_short_is_refused(old: Loaded, tmp_path: Path) -> None:
    with pytest.raises(RequestInvalid, match="characters"):
        create_backup(old, Order(tmp_path / "b.age", Sealer(passphrase="short"), Opener(passphrase="short")))
    assert not (tmp_path / "b.age").exists()
    assert not list(old.paths.data.glob(".backup-*"))


def test_a_database_that_is_damaged_is_not_backed_up_as_if_it_were_good(old: Loaded, tmp_path: Path) -> None:
    with closing(sqlite3.connect(old.paths.content)) as connection, connection:
        connection.execute("DELETE FROM subjects")
    with pytest.raises(FileDamaged):
        create_backup(old, Order(tmp_path / "b.age", SEALER, OPENER, tmp_path / "content.keys"))
    assert not (tmp_path / "b.age").exists()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE records SET record = replace(record, 'admin', 'other') WHERE position = 1",
        "DELETE FROM records WHERE position = 1",
        "UPDATE alembic_version SET version_num = 'e9999_later'",
    ],
)
def test_a_backup_whose_evidence_was_changed_before_it_was_sealed_is_not_good(
    old: Loaded, tmp_path: Path, sql: str
) -> None:
    create_backup(old, Order(tmp_path / "first.age", SEALER, OPENER))
    (tmp_path / "files").mkdir()
    snapshot(old.paths.evidence, tmp_path / "files" / "evidence.db")
    with closing(sqlite3.connect(tmp_path / "files" / "evidence.db")) as connection, connection:
        connection.execute(sql)
    manifest = manifest_of(tmp_path / "files", {"evidence.db": newest("evidence")}, ())
    pack(tmp_path / "files", manifest, tmp_path / "tar", tmp_path / "changed.age", SEALER)
    with pytest.raises(FileDamaged):
        check_backup(old, tmp_path / "changed.age", OPENER)


def test_a_restore_that_was_cut_off_is_finished_and_until_then_no_server_starts(old: Loaded, tmp_path: Path) -> None:
    create_backup(old, Order(tmp_path / "b.age", SEALER, OPENER))
    new = loaded_in(tmp_path / "new")
    manifest = check_backup(old, tmp_path / "b.age", OPENER)
    staging = new.paths.data / STAGING
    (staging / "files" / "config").mkdir(parents=True)
    (staging / "files" / "config" / "policy.toml").write_text("version = 1\n")
    moves = (
        Move(str(staging / "files" / "secrets" / "pepper"), str(new.paths.secrets / "pepper")),
        Move(str(staging / "files" / "config" / "policy.toml"), str(new.paths.config / "policy.toml")),
    )
    (staging / JOURNAL).write_bytes(msgspec.json.encode(Journal(moves, manifest, has_content=False)))
    with pytest.raises(SettingInvalid, match="cut off"):
        open_database(new.paths.database)
    assert restore(new, tmp_path / "b.age", OPENER).is_finished
    check_whole(new.paths.data)
    assert (new.paths.config / "policy.toml").read_text() == "version = 1\n"
    assert not staging.exists()


@pytest.mark.parametrize("num_done", range(15))
def test_a_restore_that_dies_anywhere_is_nothing_or_is_finished_by_the_next(
    old: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_done: int
) -> None:
    create_backup(old, Order(tmp_path / "b.age", SEALER, OPENER))
    new = loaded_in(tmp_path / "new")
    left = iter(range(num_done))

    def die_later(_path: Path) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr("gemstead.app.restore.sync", die_later)
        restore(new, tmp_path / "b.age", OPENER)
    if not new.paths.database.exists() or (tmp_path / "new" / STAGING).exists():
        is_begun = (tmp_path / "new" / STAGING / JOURNAL).exists()
        assert is_begun or everything(tmp_path / "new") == {}
        assert restore(new, tmp_path / "b.age", OPENER).is_finished is is_begun
    found = everything(tmp_path / "new")
    assert {"gemstead.db", "evidence.db", "policy.toml", "secrets/content.key"} <= set(found)
    check_whole(new.paths.data)


def test_neither_passphrase_nor_private_key_is_in_a_repr() -> None:
    opener, sealer = Opener(passphrase=PASSPHRASE), Sealer(passphrase=PASSPHRASE)
    for one in (sealer, opener, OPENER, Order(Path("x"), sealer, opener), Order(Path("x"), sealer, OPENER)):
        assert PASSPHRASE not in repr(one)
        assert PRIVATE not in repr(one)
