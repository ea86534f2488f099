"""Every database, of every schema there ever was, is brought up and keeps what it has."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest

from gemstead.store.database import Database, Lineage, _migrate, newest, open_database, revisions
from gemstead.store.snapshot import check_database, schema_version

LINEAGES: tuple[Lineage, ...] = get_args(Lineage)
EVERY = [(lineage, revision) for lineage in LINEAGES for revision in revisions(lineage)]

FILLED: dict[str, tuple[str, ...]] = {
    "gemstead": ("UPDATE key_changes SET number = 7",),
    "evidence": ('INSERT INTO records (position, record, hash) VALUES (0, \'{"kind":"x"}\', zeroblob(32))',),
    "content": (
        "INSERT INTO subjects VALUES ('s-1', NULL, x'01', x'02', 3)",
        "INSERT INTO contents VALUES (1, 's-1', 4, 'req-4', 5, 'secret', 6, x'07')",
        "INSERT INTO erasures (at_ms) VALUES (8)",
    ),
}
"""Valid at the first schema of each; every later one has to keep it."""

KEPT: dict[str, dict[str, tuple[object, ...]]] = {
    "gemstead": {"SELECT number FROM key_changes": (7,)},
    "evidence": {"SELECT position, record FROM records": (0, '{"kind":"x"}')},
    "content": {
        "SELECT id, name, wrapped_key FROM subjects": ("s-1", b"\x01", b"\x02"),
        "SELECT subject, opened, exchange, ciphertext FROM contents": ("s-1", 4, "req-4", b"\x07"),
        "SELECT number, at_ms FROM erasures": (1, 8),
    },
}


@pytest.mark.parametrize(("lineage", "revision"), EVERY)
def test_a_database_of_every_earlier_schema_keeps_what_it_has(tmp_path: Path, lineage: Lineage, revision: str) -> None:
    database = Database(tmp_path / "some.db")
    _migrate(database, revision, lineage)
    with closing(database.raw()) as connection:
        for sql in FILLED[lineage]:
            connection.execute(sql)
    with closing(open_database(database.path, lineage).raw()) as connection:
        for sql, row in KEPT[lineage].items():
            assert connection.execute(sql).fetchall() == [row]
    assert schema_version(database.path) == newest(lineage)
    check_database(database.path)


@pytest.mark.parametrize("lineage", LINEAGES)
def test_the_scripts_of_a_lineage_follow_each_other_in_the_order_of_their_names(lineage: Lineage) -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from gemstead.store.database import FOLDERS, SCRIPTS

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("version_locations", str(SCRIPTS / FOLDERS[lineage]))
    config.set_main_option("path_separator", "newline")
    walked = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert list(reversed(walked)) == revisions(lineage)


def test_a_database_of_another_lineage_is_not_touched(tmp_path: Path) -> None:
    from gemstead.core.errors import SettingInvalid

    open_database(tmp_path / "content.db", "content")
    with pytest.raises(SettingInvalid):
        open_database(tmp_path / "content.db", "evidence")
    with closing(sqlite3.connect(tmp_path / "content.db")) as connection:
        assert connection.execute("SELECT count(*) FROM contents").fetchone() == (0,)
