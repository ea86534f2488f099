"""The content vault: a key for each person, and nothing readable without it or after it."""

from __future__ import annotations

import sqlite3
import sys
import types
from contextlib import closing
from pathlib import Path

import pytest

from gemstead.core.errors import FileDamaged, Missing, NameUnknown, SettingInvalid
from gemstead.evidence.vault.erasures import done_by, last_erasure, note_done
from gemstead.evidence.vault.key_copies import known_copies, put_keys, read_key_copy, write_key_copy
from gemstead.evidence.vault.master_key import KeySource, ensure_master_key, read_master_key
from gemstead.evidence.vault.subject import Subject, subject_of
from vaults import ALICE, BOB, DAY_MS, forms_of, place, places_of, vault_in

TEXT = "the merger with Xylophonia closes on Tuesday"


def change(folder: Path, sql: str) -> None:
    with closing(sqlite3.connect(folder / "content.db")) as connection, connection:
        connection.execute(sql)


def test_what_is_kept_opens_again_and_can_be_read_in_no_file(tmp_path: Path) -> None:
    with vault_in(tmp_path) as vault:
        digest = vault.keep(ALICE, place(), DAY_MS, TEXT.encode())
        (kept,) = vault.contents([vault.find("alice").id])
        assert (vault.text_of(kept).decode(), kept.sha256) == (TEXT, digest)
        names = {"text": TEXT.encode(), "name": b"alice", "word": b"Xylophonia"}
        assert places_of(names, tmp_path) == []


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE contents SET subject = (SELECT subject FROM contents WHERE opened = 2) WHERE opened = 1",
        "UPDATE contents SET opened = 9 WHERE opened = 1",
        "UPDATE contents SET exchange = 'req-2' WHERE opened = 1",
        "UPDATE contents SET label = 'public' WHERE opened = 1",
        "UPDATE contents SET at_ms = at_ms + 1 WHERE opened = 1",
        "UPDATE contents SET ciphertext = (SELECT ciphertext FROM contents WHERE opened = 3) WHERE opened = 1",
        "UPDATE contents SET ciphertext = substr(ciphertext, 1, 20) WHERE opened = 1",
        "UPDATE subjects SET wrapped_key = (SELECT max(wrapped_key) FROM subjects)",
    ],
)
def test_a_text_that_was_moved_or_changed_does_not_open(tmp_path: Path, sql: str) -> None:
    with vault_in(tmp_path) as vault:
        vault.keep(ALICE, place(1), DAY_MS, TEXT.encode())
        vault.keep(BOB, place(2), DAY_MS, TEXT.encode())
        vault.keep(ALICE, place(3), DAY_MS, TEXT.encode())
        change(tmp_path, sql)
        every = [vault.find(who).id for who in ("alice", "bob")]
        with pytest.raises(FileDamaged):
            list(map(vault.text_of, vault.contents(every)))


def test_the_same_word_below_two_owners_is_two_people_and_a_key_without_owner_stands_for_itself(tmp_path: Path) -> None:
    with vault_in(tmp_path) as vault:
        for opened, owner in enumerate(("shop", "desk")):
            vault.keep(subject_of(owner, "k1", "carol"), place(opened), DAY_MS, b"x")
        vault.keep(subject_of(None, "k2", None), place(5), DAY_MS, b"x")
        vault.keep(subject_of("shop", "k1", None), place(6), DAY_MS, b"x")
        assert [str(one.subject) for one in vault.subjects()] == ["desk/carol", "key:k2", "shop", "shop/carol"]
        with pytest.raises(NameUnknown, match="carol") as caught:
            vault.find("carol")
        assert "s-" in (caught.value.hint or "")
        assert vault.find("shop").num_below == 1
        assert vault.below(vault.find("shop").id) == [vault.find("shop/carol").id]
    assert subject_of(None, None, None) == Subject("anonymous")


def test_another_master_key_is_told_at_once(tmp_path: Path) -> None:
    with vault_in(tmp_path, "a" * 32) as vault:
        vault.keep(ALICE, place(), DAY_MS, b"x")
    with vault_in(tmp_path, "b" * 32) as vault, pytest.raises(SettingInvalid, match="master key"):
        vault.keep(ALICE, place(2), DAY_MS, b"x")


def test_a_master_key_that_is_gone_is_told_and_not_made_anew(tmp_path: Path) -> None:
    with vault_in(tmp_path) as vault:
        vault.keep(ALICE, place(), DAY_MS, b"x")
    (tmp_path / "secrets" / "content.key").unlink()
    with vault_in(tmp_path) as vault, pytest.raises(Missing):
        vault.subjects()
    assert not (tmp_path / "secrets" / "content.key").exists()


def test_after_an_erasure_neither_key_nor_text_is_in_any_file_and_others_are_untouched(tmp_path: Path) -> None:
    with vault_in(tmp_path) as vault:
        vault.keep(ALICE, place(1), DAY_MS, TEXT.encode() * 3000)
        vault.keep(BOB, place(2), DAY_MS, b"of bob")
        alice = vault.find("alice").id
        (kept,) = vault.contents([alice])
        needles = {
            "key": vault.wrapped_keys()[alice],
            **{f"ciphertext at {at}": kept.ciphertext[at : at + 32] for at in range(0, len(kept.ciphertext), 4096)},
            "id": alice.encode(),
        }
        assert len(places_of(needles, tmp_path)) >= len(needles)
        assert vault.erase([alice], 5) == 1
        assert vault.scrub()
        assert places_of(needles, tmp_path) == []
        with pytest.raises(FileDamaged, match="gone"):
            vault.text_of(kept)
        (left,) = vault.contents([vault.find("bob").id])
        assert vault.text_of(left) == b"of bob"
        vault.keep(ALICE, place(3), DAY_MS, b"later")
        assert vault.wrapped_keys()[alice] != needles["key"]


def test_what_is_due_goes_with_the_key_of_whom_nothing_is_left(tmp_path: Path) -> None:
    with vault_in(tmp_path) as vault:
        vault.keep(ALICE, place(1, label="secret"), 10, b"x")
        vault.keep(BOB, place(2, label="public"), 10, b"x")
        vault.keep(BOB, place(3, at_ms=5_000, label="public"), 9_999, b"x")
        assert vault.due(5) == {}
        assert vault.due(10) == {"secret": 1, "public": 1}
        assert vault.due(10, label="public") == {"public": 1}
        assert vault.due(5, before_ms=5_001) == {"secret": 1, "public": 2}
        assert vault.expire(10) == {"secret": 1, "public": 1}
        assert [str(one.subject) for one in vault.subjects()] == ["bob"]
        assert vault.expire(10) == {}


def test_an_erasure_is_seen_by_number_and_by_whom_it_has_reached(tmp_path: Path) -> None:
    with vault_in(tmp_path) as vault:
        connection = vault._connection
        assert last_erasure(connection) == 0
        vault.erase([], 5)
        first = last_erasure(connection)
        note_done(connection, first, 17)
        note_done(connection, first, 17)
        assert done_by(connection, first) == {17}
        vault.erase([], 6)
        assert done_by(connection, last_erasure(connection)) == set()


def test_the_key_file_of_backups_loses_an_erased_person_and_is_remembered(tmp_path: Path) -> None:
    file = tmp_path / "elsewhere.keys"
    with vault_in(tmp_path) as vault:
        connection = vault._connection
        vault.keep(ALICE, place(1), DAY_MS, b"x")
        vault.keep(BOB, place(2), DAY_MS, b"x")
        assert write_key_copy(connection, file, 1) == 2
        alice, bob = vault.find("alice").id, vault.find("bob").id
        assert set(read_key_copy(file).keys) == {alice, bob}
        vault.erase([alice], 2)
        assert known_copies(connection) == [file]
        with file.open("rb") as old:
            write_key_copy(connection, file, 2)
            assert old.read().strip(b"\0") == b""
        assert set(read_key_copy(file).keys) == {bob}
        # As a backup holds it: everybody, and no key.
        vault.keep(ALICE, place(3), DAY_MS, b"x")
        connection.execute("UPDATE subjects SET wrapped_key = x''")
        assert put_keys(connection, read_key_copy(file)) == 1
        assert [str(one.subject) for one in vault.subjects()] == ["bob"]
        connection.execute("UPDATE vault SET master_key = 'another'")
        with pytest.raises(FileDamaged, match="another installation"):
            put_keys(connection, read_key_copy(file))


def test_a_subject_restored_without_its_key_is_not_given_another_one(tmp_path: Path) -> None:
    with vault_in(tmp_path) as vault:
        vault.keep(ALICE, place(1), DAY_MS, b"x")
        change(tmp_path, "UPDATE subjects SET wrapped_key = x''")
        with pytest.raises(FileDamaged, match="gone"):
            vault.keep(ALICE, place(2), DAY_MS, b"x")


def test_the_master_key_is_private_made_once_and_never_in_a_repr(tmp_path: Path) -> None:
    source = KeySource(tmp_path / "secrets" / "content.key")
    with pytest.raises(Missing):
        read_master_key(source)
    made = ensure_master_key(source)
    assert read_master_key(source).fingerprint == ensure_master_key(source).fingerprint == made.fingerprint
    assert source.path.stat().st_mode & 0o777 == 0o600
    assert "x" * 32 not in repr(KeySource(source.path, given="x" * 32))
    source.path.write_bytes(b"short")
    with pytest.raises(SettingInvalid, match="damaged"):
        read_master_key(source)
    source.path.chmod(0o644)
    with pytest.raises(SettingInvalid, match="others"):
        read_master_key(source)
    with pytest.raises(SettingInvalid, match="characters"):
        read_master_key(KeySource(source.path, given="short"))


def test_without_the_keyring_package_the_setting_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SettingInvalid) as caught:
        ensure_master_key(KeySource(tmp_path / "content.key", "keyring"))
    assert "pip install" in (caught.value.hint or "")


def test_a_keyring_keeps_the_master_key_under_the_path_of_the_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[tuple[str, str], str] = {}

    class KeyringError(Exception):
        pass

    errors = types.SimpleNamespace(KeyringError=KeyringError)
    keyring = types.SimpleNamespace(
        errors=errors,
        get_password=lambda service, name: kept.get((service, name)),
        set_password=lambda service, name, value: kept.__setitem__((service, name), value),
    )
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    source = KeySource(tmp_path / "content.key", "keyring")
    with pytest.raises(Missing):
        read_master_key(source)
    assert ensure_master_key(source).fingerprint == read_master_key(source).fingerprint
    assert list(kept) == [("gemstead", str(source.path))]
    assert not source.path.exists()

    def locked(_service: str, _name: str) -> str:
        raise KeyringError("it is locked")

    monkeypatch.setattr(keyring, "get_password", locked)
    with pytest.raises(SettingInvalid, match="keyring"):
        read_master_key(source)


def test_the_search_for_a_text_finds_it_in_every_form(tmp_path: Path) -> None:
    """The erasure suite looks for nothing: so the way it looks has to be shown to find something."""
    text = 'Zürich says "42" to canary-7f3a9'
    for name, form in forms_of(text).items():
        (tmp_path / "file").write_bytes(b"before " + form + b" after")
        assert places_of(forms_of(text), tmp_path), name
