"""Keys in the database, and how soon a running server knows of a change."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gemstead.access.failure_store import KEPT_S, add_failures, list_failures
from gemstead.access.key_ring import LOOK_EVERY_S, KeyRing
from gemstead.access.key_store import KeyStore
from gemstead.access.records import KeyFields, KeyRecord
from gemstead.core.errors import NameUnknown, PolicyRefused
from gemstead.store.database import Database, open_database

PEPPER = b"p" * 32
FIELDS = KeyFields(
    name="laptop",
    owner="ada",
    groups=("staff", "ops"),
    scopes=("use", "metrics"),
    models=("gemma4:*",),
    tools=("search",),
    labels=("internal",),
    quota={"tokens_per_day": 1000},
    expires_at_s=500.0,
)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return open_database(tmp_path / "gemstead.db")


@pytest.fixture
def connection(database: Database) -> Iterator[sqlite3.Connection]:
    connection = database.raw()
    yield connection
    connection.close()


@pytest.fixture
def store(connection: sqlite3.Connection) -> KeyStore:
    return KeyStore(connection, lambda: PEPPER)


def create(store: KeyStore, name: str = "laptop", now_s: float = 1.0) -> str:
    return store.create(KeyFields(name=name), now_s=now_s, created_by="me")[0].id


def test_a_key_comes_back_as_it_was_made_without_its_secret(store: KeyStore, tmp_path: Path) -> None:
    key, record = store.create(FIELDS, now_s=100.0, created_by="me")
    assert store.list() == [record]
    assert record.fields == FIELDS
    caller = record.caller()
    assert (caller.key_id, caller.owner, caller.groups) == (key.id, "ada", ("staff", "ops"))
    assert (caller.scopes, caller.models, caller.tools) == ({"use", "metrics"}, ("gemma4:*",), ("search",))
    secret = key.text.split("_")[2].encode()
    assert all(secret not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_key_is_found_by_its_id_and_by_a_name_that_one_alone_has(store: KeyStore) -> None:
    first, other = create(store), create(store, "server")
    assert store.find(first).id == store.find("laptop").id == first
    second = create(store)
    with pytest.raises(NameUnknown) as caught:
        store.find("laptop")
    assert second in (caught.value.hint or "")
    store.revoke(second, now_s=2.0)
    assert store.find("laptop").id == first
    with pytest.raises(NameUnknown) as unknown:
        store.find("servr")
    assert unknown.value.nearest == "server"
    assert other != first


def test_a_revoked_key_stays_revoked_and_keeps_its_moment(store: KeyStore) -> None:
    key_id = create(store)
    assert store.revoke(key_id, now_s=5.0).state(5.0) == "revoked"
    assert store.revoke(key_id, now_s=9.0).revoked_at_s == 5.0
    with pytest.raises(PolicyRefused):
        store.rotate(key_id, overlap_s=1.0, now_s=6.0, created_by="me")


def test_a_rotated_key_goes_on_for_the_overlap_and_the_new_one_has_its_rights(store: KeyStore) -> None:
    key, _ = store.create(FIELDS, now_s=100.0, created_by="me")
    new, record = store.rotate("laptop", overlap_s=60.0, now_s=200.0, created_by="you")
    renewed = msgspec.structs.replace(FIELDS, expires_at_s=600.0)  # 400 s, as the old one had
    assert (record.fields, record.rotated_from) == (renewed, key.id)
    old = store.find(key.id)
    assert [old.state(at) for at in (259.0, 260.0)] == ["active", "expired"]
    assert store.find(new.id).state(499.0) == "active"


def test_an_overlap_never_makes_a_key_live_longer_than_it_was_to(store: KeyStore) -> None:
    key, _ = store.create(FIELDS, now_s=100.0, created_by="me")
    store.rotate(key.id, overlap_s=10_000.0, now_s=499.0, created_by="me")
    assert store.find(key.id).state(500.0) == "expired"


def test_a_change_that_fails_leaves_nothing_behind(store: KeyStore) -> None:
    create(store)
    before = store.change_number()
    with pytest.raises(NameUnknown):
        store.revoke("nobody", now_s=1.0)
    assert store.change_number() == before
    create(store, "another")
    assert store.change_number() == before + 1


def test_a_running_server_notices_each_change_of_another_process(database: Database, store: KeyStore) -> None:
    clock = [0.0]
    reading = database.raw()
    ring = KeyRing(KeyStore(reading, lambda: b""), lambda: PEPPER, clock=lambda: clock[0])
    assert not ring.has_keys()
    key_id = create(store)
    clock[0] += LOOK_EVERY_S
    assert ring.has_keys()
    assert ring.find(key_id) is not None
    new, _ = store.rotate(key_id, overlap_s=60.0, now_s=1.0, created_by="me")
    clock[0] += LOOK_EVERY_S
    assert ring.find(new.id) is not None
    store.revoke(new.id, now_s=2.0)
    assert LOOK_EVERY_S < 1.0
    clock[0] += LOOK_EVERY_S
    found, old = ring.find(new.id), ring.find(key_id)
    assert found is not None
    assert old is not None
    assert (found.record.state(3.0), old.record.state(3.0)) == ("revoked", "active")
    reading.close()


def test_between_two_looks_the_database_is_not_asked(database: Database, store: KeyStore) -> None:
    create(store)
    reading = database.raw()
    ring = KeyRing(KeyStore(reading, lambda: b""), lambda: PEPPER, clock=lambda: 0.0)
    assert ring.has_keys()
    reading.close()
    assert ring.find("nobody") is None


def test_a_database_that_is_gone_lets_nobody_in(database: Database, store: KeyStore) -> None:
    clock = [0.0]
    key_id = create(store)
    reading = database.raw()
    ring = KeyRing(KeyStore(reading, lambda: b""), lambda: PEPPER, clock=lambda: clock[0])
    assert ring.find(key_id) is not None
    reading.close()
    clock[0] += LOOK_EVERY_S
    with pytest.raises(sqlite3.Error):
        ring.find(key_id)


def test_the_last_use_is_written_once_a_minute_at_most(database: Database, store: KeyStore) -> None:
    key_id = create(store)
    reading = database.raw()
    ring = KeyRing(KeyStore(reading, lambda: b""), lambda: PEPPER, clock=lambda: 0.0)
    assert ring.find(key_id) is not None
    for at_s in (1000.0, 1001.0, 1059.0):
        ring.note_use(key_id, at_s)
    assert ring.take_uses() == {key_id: 1000.0}
    ring.note_use(key_id, 1061.0)
    store.note_uses(ring.take_uses())
    assert ring.take_uses() == {}
    assert store.find(key_id).last_used_at_s == 1061.0
    store.note_uses({key_id: 5.0})
    assert store.find(key_id).last_used_at_s == 1061.0
    reading.close()


def test_what_a_key_says_of_limits_and_labels_is_at_hand(database: Database, store: KeyStore) -> None:
    key, _ = store.create(FIELDS, now_s=1.0, created_by="me")
    reading = database.raw()
    ring = KeyRing(KeyStore(reading, lambda: b""), lambda: PEPPER)
    ring.find(key.id)
    assert (ring.quota(key.id), ring.labels(key.id)) == ({"tokens_per_day": 1000}, ("internal",))
    assert (ring.quota(None), ring.labels("nobody")) == ({}, ())
    reading.close()


def test_failures_add_up_and_old_ones_go(connection: sqlite3.Connection) -> None:
    add_failures(connection, Counter({(0, "192.0.2.0/24", "unknown"): 2}), now_s=10.0)
    add_failures(connection, Counter({(0, "192.0.2.0/24", "unknown"): 3, (0, "", "missing"): 1}), now_s=20.0)
    assert [(row.network, row.number) for row in list_failures(connection, 0.0)] == [("192.0.2.0/24", 5), ("", 1)]
    add_failures(connection, Counter({(7200, "", "missing"): 1}), now_s=KEPT_S + 10.0)
    assert [row.hour_s for row in list_failures(connection, 0.0)] == [7200]


def test_a_flood_of_networks_takes_bounded_rows(connection: sqlite3.Connection) -> None:
    flood = Counter({(0, f"10.{number // 256}.{number % 256}.0/24", "unknown"): 1 for number in range(5000)})
    add_failures(connection, flood, now_s=1.0)
    rows = list_failures(connection, 0.0)
    assert len(rows) <= 1001
    assert sum(row.number for row in rows) == 5000


def test_each_change_is_told_once_it_is_in_the_database(connection: sqlite3.Connection, database: Database) -> None:
    told: list[tuple[str, str, int]] = []
    other = database.raw()

    def on_change(change: str, record: KeyRecord) -> None:
        seen = other.execute("SELECT count(*) FROM keys WHERE id = ?", (record.id,)).fetchone()[0]
        told.append((change, record.id, seen))

    store = KeyStore(connection, lambda: PEPPER, on_change)
    first = create(store)
    second, _ = store.rotate(first, overlap_s=0.0, now_s=2.0, created_by="me")
    store.revoke(second.id, now_s=3.0)
    store.revoke(second.id, now_s=4.0)
    assert told == [("created", first, 1), ("rotated", second.id, 1), ("revoked", second.id, 1)]
    other.close()
