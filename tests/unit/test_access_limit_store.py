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


def test_marks_are_found_again_and_written_over(database: Database) -> None:
    store = SqliteLimits(database.raw())
    largest = 2 * MAX_LIMIT * MINUTE_US // 2
    store.save([Saved("a", 1, NOW_US, ""), Saved("b", largest, NOW_US, "2027-01")])
    store.save([Saved("a", 5, NOW_US + 1, "")])
    rows = {row.bucket: row for row in SqliteLimits(database.raw()).load()}
    assert rows == {"a": Saved("a", 5, NOW_US + 1, ""), "b": Saved("b", largest, NOW_US, "2027-01")}


def test_marks_older_than_any_month_are_dropped(database: Database) -> None:
    store = SqliteLimits(database.raw())
    store.save([Saved("old", 1, NOW_US - KEPT_US - 1, ""), Saved("new", 1, NOW_US, "")])
    assert "old" not in {row.bucket for row in store.load()}


def test_a_database_that_cannot_be_written_is_told(database: Database) -> None:
    connection = database.raw()
    store = SqliteLimits(connection)
    connection.execute("PRAGMA query_only = ON")
    with pytest.raises(LimitsUnavailable):
        store.save([Saved("a", 1, NOW_US, "")])
    connection.execute("PRAGMA query_only = OFF")
    store.save([Saved("a", 1, NOW_US, "")])


def test_every_version_of_the_policy_is_kept_and_the_same_one_once(database: Database) -> None:
    versions = PolicyVersions(database.raw())
    one, two = toml_text("version = 1"), toml_text("version = 1\n# changed")
    assert [versions.note(text, "f", 1.0) for text in (one, one, two, one)] == [True, False, True, True]
    assert [version.sha256 for version in versions.list()] == [one.sha256, two.sha256, one.sha256]
    assert versions.list()[1].text.endswith("# changed")
