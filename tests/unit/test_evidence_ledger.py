"""The ledger: what it acknowledges is in the chain, whoever else writes, whatever fails."""

from __future__ import annotations

import asyncio
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from gemstead.core.errors import EvidenceUnavailable, FileDamaged
from gemstead.evidence import writer as writer_module
from gemstead.evidence.appender import Appender
from gemstead.evidence.chain import first_break
from gemstead.evidence.identity import ensure_identity, new_identity, read_identity
from gemstead.evidence.ledger import LedgerOptions
from gemstead.evidence.tree import root_of
from gemstead.store.database import open_database

REFUSING = "CREATE TRIGGER refusing BEFORE INSERT ON records BEGIN SELECT RAISE(ABORT, 'no room'); END"


def test_a_chain_begins_with_who_signs_it(tmp_path: Path) -> None:
    identity = ensure_identity(key_path(tmp_path))
    with ledger_in(tmp_path):
        pass
    text = query(tmp_path, "SELECT record FROM records")[0][0]
    assert identity.origin in text
    assert identity.verifier_key.split("+", 2)[0] == identity.origin
    assert kinds(tmp_path) == ["evidence.begun"]
    assert stat.S_IMODE(key_path(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE(database_path(tmp_path).stat().st_mode) == 0o600


@pytest.mark.parametrize("durability", ["process", "power"])
async def test_many_who_write_at_once_each_get_a_position_of_their_own(tmp_path: Path, durability) -> None:
    with ledger_in(tmp_path, LedgerOptions(durability)) as ledger:
        positions = await asyncio.gather(*(ledger.write(record(n)) for n in range(200)))
    assert sorted(positions) == list(range(1, 201))
    assert chain_break(tmp_path) is None
    for number, position in enumerate(positions):
        assert query(tmp_path, "SELECT json_extract(record, '$.n') FROM records WHERE position = ?", position) == [
            (number,)
        ]


def test_threads_and_the_loop_share_one_chain(tmp_path: Path) -> None:
    with ledger_in(tmp_path) as ledger:
        threads = [threading.Thread(target=lambda: [ledger.write_now(record(n)) for n in range(20)]) for _ in range(4)]
        for thread in threads:
            thread.start()

        async def write() -> None:
            for n in range(20):
                await ledger.write(record(n))

        asyncio.run(write())
        for thread in threads:
            thread.join()
    assert len(links(tmp_path)) == 101
    assert chain_break(tmp_path) is None


def test_two_ledgers_on_one_chain_follow_each_other(tmp_path: Path) -> None:
    """A command beside a running server."""
    identity = ensure_identity(key_path(tmp_path))
    with ledger_in(tmp_path) as server:
        server.write_now(record(1))
        with ledger_in(tmp_path) as command:
            assert command.write_now(record(2)) == 2
        assert server.write_now(record(3)) == 3
        assert server.health().size == 4
    assert chain_break(tmp_path) is None
    assert [checked(tmp_path, note, identity).size for note in notes(tmp_path)] == [3, 4]


def test_a_chain_that_is_opened_again_goes_on(tmp_path: Path) -> None:
    for number in range(5):
        with ledger_in(tmp_path) as ledger:
            assert ledger.write_now(record(number)) == number + 1
    assert chain_break(tmp_path) is None


def test_what_came_in_before_the_end_is_written_and_nothing_after_it(tmp_path: Path) -> None:
    async def write_and_close() -> list[object]:
        with ledger_in(tmp_path) as ledger:
            writes = [asyncio.ensure_future(ledger.write(record(n))) for n in range(50)]
            await asyncio.sleep(0)
            ledger.close()
            late = asyncio.ensure_future(ledger.write(record(99)))
            return await asyncio.gather(*writes, late, return_exceptions=True)

    *written, late = asyncio.run(write_and_close())
    assert sorted(written) == list(range(1, 51))
    assert isinstance(late, EvidenceUnavailable)
    assert len(links(tmp_path)) == 51


async def test_a_caller_who_gives_up_does_not_take_the_record_along(tmp_path: Path) -> None:
    with ledger_in(tmp_path) as ledger:
        write = asyncio.ensure_future(ledger.write(record(7)))
        await asyncio.sleep(0)
        write.cancel()
        await asyncio.wait([write])
    assert len(links(tmp_path)) == 2


async def test_when_nothing_can_be_written_everyone_hears_it_and_the_next_try_is_a_new_one(tmp_path: Path) -> None:
    with ledger_in(tmp_path) as ledger:
        await ledger.write(record(0))
        query(tmp_path, REFUSING)
        refused = await asyncio.gather(*(ledger.write(record(n)) for n in range(9)), return_exceptions=True)
        assert all(isinstance(error, EvidenceUnavailable) and "no room" in error.what for error in refused)
        assert len({id(error) for error in refused}) == 9
        health = ledger.health()
        assert (health.size, health.last_error is None) == (2, False)
        query(tmp_path, "DROP TRIGGER refusing")
        assert await ledger.write(record(1)) == 2
        assert ledger.health().last_error is None
    assert chain_break(tmp_path) is None


async def test_what_no_record_can_hold_is_refused_before_it_goes_in(tmp_path: Path) -> None:
    with ledger_in(tmp_path) as ledger:
        with pytest.raises(ValueError, match="record"):
            await ledger.write({"v": 1.5})  # type: ignore[dict-item]
        assert await ledger.write(record(0)) == 1


async def test_who_finds_no_room_waits_for_it_and_not_for_ever(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(writer_module, "MAX_WAITING", 0)
    monkeypatch.setattr("gemstead.evidence.ledger.ROOM_TIMEOUT_S", 0.0)
    with ledger_in(tmp_path) as ledger:
        with pytest.raises(EvidenceUnavailable, match="too much waits"):
            await ledger.write(record(0))
        with pytest.raises(EvidenceUnavailable, match="too much waits"):
            ledger.write_now(record(0))


def test_a_bug_in_the_writer_leaves_nobody_waiting(tmp_path: Path, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(threading, "excepthook", seen.append)
    with ledger_in(tmp_path) as ledger:
        monkeypatch.setattr(Appender, "append", lambda *_args, **_options: 1 / 0)
        for number in range(2):
            with pytest.raises(EvidenceUnavailable):
                ledger.write_now(record(number))
    assert seen[0].exc_type is ZeroDivisionError


def test_another_key_than_the_chains_is_refused(tmp_path: Path) -> None:
    with ledger_in(tmp_path) as ledger:
        ledger.write_now(record(1))
    key_path(tmp_path).unlink()
    with pytest.raises(FileDamaged, match="not the key"), ledger_in(tmp_path):
        pass


def test_a_key_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    path = key_path(tmp_path)
    secret = ensure_identity(path).file_text().decode()
    assert read_identity(path).origin == ensure_identity(path).origin
    for content in ("", secret[:-9], secret.replace("gemstead", "another"), secret.replace("PRIVATE", "PUBLIC")):
        path.write_text(content)
        with pytest.raises(FileDamaged) as caught:
            read_identity(path)
        assert caught.value.__cause__ is None
    path.chmod(0o644)
    with pytest.raises(Exception, match="others can read"):
        read_identity(path)


def test_a_secret_is_not_in_what_an_identity_shows_of_itself(tmp_path: Path) -> None:
    identity = new_identity(tmp_path / "key")
    secret = identity.file_text().decode().strip().rsplit("+", 1)[1]
    assert secret not in repr(identity)
    assert secret not in identity.verifier_key


@settings(max_examples=15, deadline=None)  # each opens a database
@given(st.lists(st.integers(1, 150), max_size=5), st.booleans())
def test_however_records_are_grouped_the_chain_is_the_same(tmp_path_factory, sizes: list[int], is_full: bool) -> None:
    folder = tmp_path_factory.mktemp("groups")
    appender = Appender(open_database(database_path(folder), "evidence"))
    number, leaves = 0, []
    for size in sizes:
        group = appender.append([f'{{"n":{number + n}}}'.encode() for n in range(size)], is_full=is_full)
        assert (group.first, group.head.size) == (number, number + size)
        assert appender.is_unsynced is not is_full
        number += size
        leaves += group.leaves
    appender.sync()
    assert not appender.is_unsynced
    appender.close()
    found = links(folder)
    assert first_break(found) is None
    assert root_of([link.leaf for link in found]) == root_of(leaves)
