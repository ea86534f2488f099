"""Checkpoints, rotation and expiry: what is signed, and what a ledger refuses to go on from."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from evidence_parts import (
    chain_break,
    checked,
    database_path,
    key_path,
    kinds,
    ledger_in,
    links,
    notes,
    query,
    record,
)
from gemstead.core.errors import FileDamaged
from gemstead.evidence import rotation
from gemstead.evidence.canonical import canonical
from gemstead.evidence.expiry import expirable, expire
from gemstead.evidence.identity import ensure_identity, read_identity
from gemstead.evidence.ledger import LedgerOptions
from gemstead.evidence.rotation import SIGNED_PREFIX, next_path, rotate_key


async def test_a_checkpoint_is_made_every_so_many_records_and_at_the_end(tmp_path: Path) -> None:
    with ledger_in(tmp_path, LedgerOptions(checkpoint_every=10)) as ledger:
        for number in range(25):
            await ledger.write(record(number))
    identity = read_identity(key_path(tmp_path))
    sizes = [checked(tmp_path, note, identity).size for note in notes(tmp_path)]
    assert sizes[-1] == 26
    assert len(sizes) == 3


def test_a_checkpoint_is_made_after_a_while_if_there_is_anything_new(tmp_path: Path) -> None:
    with ledger_in(tmp_path, LedgerOptions(checkpoint_s=0.0)) as ledger:
        ledger.write_now(record(1))
        ledger.named_key()  # comes after what the writer does on its own
        assert ledger.health().sealed_size == 2
        num_notes = len(notes(tmp_path))
        ledger.named_key()
    assert len(notes(tmp_path)) == num_notes


def test_one_that_is_asked_for_twice_is_the_same(tmp_path: Path) -> None:
    with ledger_in(tmp_path) as ledger:
        ledger.write_now(record(1))
        assert ledger.checkpoint_now() == ledger.checkpoint_now()
    assert len(notes(tmp_path)) == 1


def test_what_another_process_wrote_is_sealed_too(tmp_path: Path) -> None:
    identity = ensure_identity(key_path(tmp_path))
    with ledger_in(tmp_path) as one, ledger_in(tmp_path) as other:
        one.write_now(record(1))
        other.write_now(record(2))
        one.write_now(record(3))
        assert checked(tmp_path, one.checkpoint_now(), identity).size == 4


def test_checkpoints_go_to_a_file_that_was_named(tmp_path: Path) -> None:
    place = tmp_path / "elsewhere.txt"
    options = LedgerOptions(second_place=str(place), checkpoint_every=2)
    with ledger_in(tmp_path, options) as ledger:
        for number in range(4):
            ledger.write_now(record(number))
    delivered = ledger.health().second_place
    assert delivered is not None
    assert (delivered.waiting, delivered.failures, delivered.last_error) == (0, 0, None)
    assert place.read_text() == "".join(f"\n{note}" for note in notes(tmp_path))


def test_a_second_place_that_fails_holds_nobody_up_and_is_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("gemstead.evidence.ledger.DELIVERY_WAIT_S", 60.0)
    place = tmp_path / "missing" / "elsewhere.txt"
    with ledger_in(tmp_path, LedgerOptions(second_place=str(place))) as ledger:
        ledger.write_now(record(1))
        ledger.checkpoint_now()
        assert ledger.write_now(record(2)) == 2
    delivered = ledger.health().second_place
    assert delivered is not None
    assert (delivered.delivered, delivered.waiting) == (0, 2)
    assert delivered.failures > 0
    assert "elsewhere.txt" in (delivered.last_error or "")


@pytest.mark.parametrize("peaks", [b"", b"x" * 32, b"x" * 64, b"x" * 33])
def test_what_was_kept_of_the_tree_is_only_a_short_cut(tmp_path: Path, peaks: bytes) -> None:
    identity = ensure_identity(key_path(tmp_path))
    for number in range(2):
        with ledger_in(tmp_path) as ledger:
            ledger.write_now(record(number))
        query(tmp_path, "UPDATE checkpoints SET peaks = ?", peaks)
    with ledger_in(tmp_path) as ledger:
        ledger.write_now(record(9))
    assert [checked(tmp_path, note, identity).size for note in notes(tmp_path)] == [2, 3, 4]


CHANGES = {
    "a record since the last checkpoint": "UPDATE records SET record = '{}' WHERE position = 4",
    "the last record of the checkpoint left out": "DELETE FROM records WHERE position >= 2",
    "the last record of the checkpoint another": "UPDATE records SET hash = zeroblob(32) WHERE position = 2",
    "the note": "UPDATE checkpoints SET note = replace(note, 'head ', 'head A')",
    "the note's size": "UPDATE checkpoints SET size = 2",
    "its kind of value": "UPDATE checkpoints SET note = 7",
    "the first record": "UPDATE records SET record = '{}' WHERE position = 0",
    "what the first record says": """UPDATE records SET record = '{"kind":"evidence.begun"}' WHERE position = 0""",
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_ledger_does_not_go_on_from_records_that_were_changed(tmp_path: Path, name: str) -> None:
    with ledger_in(tmp_path) as ledger:
        ledger.write_now(record(1))
        ledger.write_now(record(2))
        ledger.checkpoint_now()
        ledger.write_now(record(3))
        ledger.write_now(record(4))
        ledger.write_now(record(5))
    query(tmp_path, "DELETE FROM checkpoints WHERE size > 3")
    query(tmp_path, CHANGES[name])
    with pytest.raises(FileDamaged), ledger_in(tmp_path):
        pass


def test_another_key_signs_from_the_record_on_that_names_it(tmp_path: Path) -> None:
    with ledger_in(tmp_path) as ledger:
        old = read_identity(key_path(tmp_path))
        before = ledger.checkpoint_now()
        new = rotate_key(ledger, key_path(tmp_path), now_ms=5)
        after = ledger.checkpoint_now()
        assert ledger.named_key() == new.public != old.public
    assert read_identity(key_path(tmp_path)).public == new.public
    assert not next_path(key_path(tmp_path)).exists()
    assert checked(tmp_path, before, old).size == 1
    assert checked(tmp_path, after, new).size == 2
    fields = json.loads(query(tmp_path, "SELECT record FROM records WHERE position = 1")[0][0])
    signature = base64.b64decode(fields.pop("signature"))
    Ed25519PublicKey.from_public_bytes(old.public).verify(signature, SIGNED_PREFIX + canonical(fields))
    with ledger_in(tmp_path) as ledger:
        assert ledger.write_now(record(1)) == 2


def test_a_running_server_takes_up_a_key_that_a_command_made(tmp_path: Path) -> None:
    with ledger_in(tmp_path) as server:
        with ledger_in(tmp_path) as command:
            new = rotate_key(command, key_path(tmp_path), now_ms=5)
        server.write_now(record(1))
        assert checked(tmp_path, server.checkpoint_now(), new).size == 3


def test_a_rotation_that_was_cut_off_is_finished_or_never_was(tmp_path: Path, monkeypatch) -> None:
    path = key_path(tmp_path)
    with ledger_in(tmp_path) as ledger:
        old = read_identity(path)
        with monkeypatch.context() as patched:
            patched.setattr(rotation, "rotation_record", lambda *_args: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                rotate_key(ledger, path, now_ms=5)
        assert checked(tmp_path, ledger.checkpoint_now(), old).size == 1
        with monkeypatch.context() as patched:
            patched.setattr(rotation, "_publish", lambda _path: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                rotate_key(ledger, path, now_ms=5)
        assert read_identity(path).public == old.public
    with ledger_in(tmp_path) as ledger:
        assert read_identity(path).public == ledger.named_key() != old.public
        newest = rotate_key(ledger, path, now_ms=6)
    assert checked(tmp_path, notes(tmp_path)[-1], newest).size == 3


async def test_records_past_their_retention_go_and_the_chain_still_holds(tmp_path: Path) -> None:
    identity = ensure_identity(key_path(tmp_path))
    path = database_path(tmp_path)
    with ledger_in(tmp_path) as ledger:
        for number in range(1200):
            await ledger.write({**record(number, at_ms=1_000 + number % 7), "text": f"unique-{number:06}"})
        await ledger.write({**record(-1, at_ms=9_000), "text": "young"})
        before = ledger.checkpoint_now()
        assert expirable(path, 500) is None
        found = expirable(path, 2_000)
        assert found is not None
        assert (found.first, found.last, found.num) == (1, 1200, 1200)
        done = await asyncio.to_thread(expire, path, ledger, before_ms=2_000, now_ms=10_000)
        assert done is not None
        assert done.is_log_clean
        assert await asyncio.to_thread(expire, path, ledger, before_ms=2_000, now_ms=10_001) is None
        text = await asyncio.to_thread(bytes_of_database, tmp_path)
        assert b"young" in text
        assert b"unique-" not in text
    assert chain_break(tmp_path) is None
    assert checked(tmp_path, before, identity).size == 1202
    assert [kind for kind in kinds(tmp_path) if kind] == ["evidence.begun", "tool.run", "evidence.expired"]
    with ledger_in(tmp_path) as ledger:
        assert ledger.write_now(record(1)) == 1203


def bytes_of_database(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("evidence.db*"))


def test_a_blank_is_never_there_without_the_record_that_names_it(tmp_path: Path, monkeypatch) -> None:
    with ledger_in(tmp_path) as ledger:
        ledger.write_now(record(1))
        monkeypatch.setattr("gemstead.evidence.expiry._blank", lambda *_args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            expire(database_path(tmp_path), ledger, before_ms=2_000, now_ms=3_000)
    assert kinds(tmp_path) == ["evidence.begun", "tool.run", "evidence.expired"]
    assert len(links(tmp_path)) == 3
