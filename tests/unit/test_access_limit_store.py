import time
from collections.abc import Iterator

import pytest

from gemstead.access.buckets import MINUTE_US, Saved
from gemstead.access.limit_store import KEPT_US, PolicyVersions, SqliteLimits
from gemstead.access.limit_values import MAX_LIMIT
from gemstead.core.errors import LimitsUnavailable
from gemstead.store.database import Database, open_database
from policy_makers import toml_text

NOW_US = 1_800_000_000_000_000


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    return open_database(tmp_path_factory.mktemp("data") / "gemstead.db")


def spend(store: SqliteLimits, *rows: Saved) -> None:
    assert store.begin()
    store.write(rows)
    store.commit()


@pytest.fixture
def store(database: Database) -> Iterator[SqliteLimits]:
    store = SqliteLimits(database)
    yield store
    store.close()


def test_what_was_spent_is_found_again_and_written_over(database: Database, store: SqliteLimits) -> None:
    largest = 2 * MAX_LIMIT * MINUTE_US // 2
    spend(store, Saved("a", 1, NOW_US, ""), Saved("b", largest, NOW_US, "2027-01"))
    spend(store, Saved("a", 5, NOW_US + 1, ""))
    other = SqliteLimits(database)
    assert sorted(other.read(("a", "b", "c")), key=lambda row: row.bucket) == [
        Saved("a", 5, NOW_US + 1, ""),
        Saved("b", largest, NOW_US, "2027-01"),
    ]
    assert other.read(tuple(f"none{number}" for number in range(250))) == []
    assert {row.bucket for row in other.rows()} >= {"a", "b"}
    other.close()


def test_only_one_changes_it_at_a_time_and_nobody_waits_inside(database: Database, store: SqliteLimits) -> None:
    other = SqliteLimits(database)
    assert store.begin()
    assert not other.begin()
    store.write([Saved("a", 77, NOW_US, "")])
    store.rollback()
    assert other.begin()
    assert other.read(("a",)) != [Saved("a", 77, NOW_US, "")]
    other.rollback()
    other.rollback()
    other.close()


def test_rows_are_swapped_only_if_all_are_as_they_were_seen(database: Database, store: SqliteLimits) -> None:
    other = SqliteLimits(database)
    none_x, none_y = Saved("x", 0, 0, ""), Saved("y", 0, 0, "")
    x, y = Saved("x", 1, NOW_US, ""), Saved("y", 2, NOW_US, "2027-01")
    assert store.swap([none_x, none_y], [x, y])
    assert sorted(other.read(("x", "y")), key=lambda row: row.bucket) == [x, y]
    later = Saved("x", 5, NOW_US + 1, "")
    for stale in (none_x, Saved("x", 2, NOW_US, ""), Saved("x", 1, NOW_US + 1, ""), Saved("x", 1, NOW_US, "2027")):
        assert not other.swap([stale, y], [later, y])
    assert other.swap([y, x], [y, later])
    assert store.begin()
    assert not other.swap([later], [x])
    store.rollback()
    assert store.read(("x",)) == [later]
    other.close()


def test_what_is_older_than_any_month_is_dropped(store: SqliteLimits) -> None:
    now_us = time.time_ns() // 1000
    spend(store, Saved("old", 1, now_us - KEPT_US - 1, ""), Saved("new", 1, now_us, ""))
    store.tidy()
    names = {row.bucket for row in store.rows()}
    assert "old" not in names
    assert "new" in names


def test_a_database_that_cannot_be_written_is_told(database: Database, store: SqliteLimits) -> None:
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(LimitsUnavailable):
        store.begin()
    store.rollback()
    store._connection.execute("PRAGMA query_only = OFF")
    spend(store, Saved("a", 1, NOW_US, ""))


def test_every_version_of_the_policy_is_kept_and_the_same_one_once(database: Database) -> None:
    versions = PolicyVersions(database.raw())
    one, two = toml_text("version = 1"), toml_text("version = 1\n# changed")
    assert [versions.note(text, "f", 1.0) for text in (one, one, two, one)] == [True, False, True, True]
    assert [version.sha256 for version in versions.list()] == [one.sha256, two.sha256, one.sha256]
    assert versions.list()[1].text.endswith("# changed")
