"""The verifier: what is as it was written passes, and every change of it is found where it is."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.tamper_suite.bundle_changes import BUNDLE_CHANGES
from benchmarks.tamper_suite.case import Case, Change, tried
from benchmarks.tamper_suite.changes import AT, CHANGES
from benchmarks.tamper_suite.original import CUTS, EXPIRED, ROTATED, SIZE, Original, make, record_at, write_exchange
from gemstead.evidence import tree, verify
from gemstead.evidence.appender import Appender
from gemstead.evidence.canonical import canonical
from gemstead.evidence.identity import ensure_identity
from gemstead.evidence.ledger import LedgerOptions, opened_ledger
from gemstead.store.database import open_database

EVERY = (*CHANGES, *BUNDLE_CHANGES)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return make(tmp_path_factory.mktemp("evidence"))


def elsewhere(original: Original) -> list[tuple[str, str]]:
    return [("elsewhere.txt", original.elsewhere.read_text())]


def test_what_was_not_changed_is_as_it_was_written(original: Original) -> None:
    report = verify.examine(original.database, original.key, elsewhere(original), 0, is_deep=True)
    assert report.findings == []
    assert (report.num_records, report.covered, report.is_key_known) == (SIZE, SIZE, True)
    assert (report.cuts, report.num_cuts) == (list(CUTS), len(CUTS))
    assert [position for position, _ in report.keys] == [0, ROTATED]
    assert report.expired == [(1, EXPIRED)]
    assert "as it was written" in verify.told(report)


@pytest.mark.parametrize("name", ["whole.zip", "part.zip"])
def test_a_bundle_is_checked_against_checkpoints_kept_elsewhere(original: Original, name: str) -> None:
    report = verify.examine(original.data / name, original.key, elsewhere(original))
    assert report.findings == []
    assert report.covered == SIZE
    assert report.num_records == (SIZE if name == "whole.zip" else report.num_records)


@pytest.mark.parametrize("change", EVERY, ids=lambda change: change.name.replace(" ", "_"))
def test_a_change_is_detected_and_its_position_named(original: Original, change: Change, tmp_path: Path) -> None:
    verdict = tried(original, change, tmp_path / "case")
    assert verdict.is_detected
    assert verdict.is_located, verdict


def test_there_are_many_kinds_of_change() -> None:
    assert len({change.name for change in EVERY}) == len(EVERY) >= 60


@pytest.mark.parametrize("column", ["record", "hash", "leaf"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_is_found(original: Original, tmp_path: Path, column: str, data: st.DataObject) -> None:
    positions = st.integers(1, EXPIRED) if column == "leaf" else st.integers(EXPIRED + 1, SIZE - 1)
    position, number = data.draw(positions), data.draw(st.integers(0, 10_000))
    with closing(sqlite3.connect(original.database)) as connection:
        connection.text_factory = bytes
        (old,) = connection.execute(f"SELECT {column} FROM records WHERE position = ?", (position,)).fetchone()
    new = bytearray(old)
    number %= 8 * len(old)
    new[number // 8] ^= 1 << number % 8
    copy = tmp_path / "copy.db"
    # In the file itself, as a disk or a forger would.
    copy.write_bytes(original.database.read_bytes().replace(old, bytes(new)))
    report = verify.examine(copy, original.key)
    assert any(
        finding.position is not None and finding.position <= position <= (finding.last or finding.position)
        for finding in report.findings
    )


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=3000),
    st.sampled_from((".db", ".zip", ".json")),
    st.sampled_from((b"", b"SQLite format 3\0", b"PK\3\4", b"{")),
)
def test_a_file_of_anything_is_refused_in_words(tmp_path: Path, content: bytes, suffix: str, start: bytes) -> None:
    path = tmp_path / f"any{suffix}"
    path.write_bytes(start + content)
    with suppress(verify.Unreadable):
        assert not verify.examine(path).is_clean


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(("evidence.db", "whole.zip", "part.zip")), st.floats(0, 1), st.binary(min_size=1, max_size=64))
def test_a_file_with_any_bytes_overwritten_is_examined_or_refused(
    original: Original, tmp_path: Path, name: str, place: float, content: bytes
) -> None:
    whole = bytearray((original.data / name).read_bytes())
    start = int(place * (len(whole) - 1))
    whole[start : start + len(content)] = content
    path = tmp_path / name
    path.write_bytes(whole)
    with suppress(verify.Unreadable):
        verify.examine(path, original.key)


@pytest.fixture
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "BLOCK", 4)


@pytest.mark.usefixtures("_small_blocks")
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 70), st.data())
def test_tree_and_proofs_by_blocks_are_those_of_the_tree(size: int, data: st.DataObject) -> None:
    leaves = [tree.leaf_hash(bytes([n])) for n in range(size)]
    blocks = [leaves[start : start + verify.BLOCK] for start in range(0, size, verify.BLOCK)]
    walk, growing = verify.Walk(range(1, size + 1)), tree.GrowingTree()
    for number, block in enumerate(blocks):
        walk.add([(number * verify.BLOCK + at, None, leaf, leaf) for at, leaf in enumerate(block)])
    walk.finish()
    for number, leaf in enumerate(leaves, 1):
        growing.append(leaf)
        peaks, _ = walk.points[number]
        assert peaks is not None
        assert tuple(peaks) == growing.peaks
        assert verify.folded(peaks) == growing.root()
    proofs = verify.Proofs(walk.blocks, size, blocks.__getitem__)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert proofs.inclusion(index) == tree.inclusion_proof(leaves, index)
    assert proofs.consistency(old) == tree.consistency_proof(leaves, old)


@pytest.mark.parametrize("changed", [None, 1, 1023, 1024, 2500])
def test_a_chain_that_is_shared_out_gives_the_same_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: int | None
) -> None:
    path = tmp_path / "evidence.db"
    appender = Appender(open_database(path, "evidence"))
    appender.append([canonical(record_at(EXPIRED + 1 + number)) for number in range(3000)], is_full=False)
    appender.close()
    if changed is not None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE records SET hash = zeroblob(32) WHERE position = ?", (changed,))
    alone = verify.examine(path)
    monkeypatch.setattr(verify, "MIN_SHARE", 1000)
    monkeypatch.setattr(verify.os, "cpu_count", lambda: 3)
    with closing(verify.opened(path)) as connection:
        shared = verify._walked_quickly(connection, [1024, 1500, 2048, 3000])
        once = verify._walked(connection, [1024, 1500, 2048, 3000], verify.Report(""))
    assert verify.examine(path) == alone
    if changed is not None:
        assert shared is None
        return
    assert shared is not None
    for walk in (shared, once):
        walk.finish()
    assert (shared.size, shared.head, shared.blocks, shared.open) == (once.size, once.head, once.blocks, once.open)
    assert shared.points == once.points


def test_a_proof_stands_alone_and_is_checked_offline(original: Original, tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    for position in (0, 5, AT, ROTATED, SIZE - 1):
        path.write_text(json.dumps(verify.prove(original.database, position)))
        assert verify.examine(path, original.key).findings == []
    path.write_text(json.dumps(verify.prove(original.database, AT)))
    other = "another+00000000+AAAA"
    assert [finding.kind for finding in verify.examine(path, other).findings] == ["key"]
    with pytest.raises(verify.Unreadable, match="no checkpoint covers"):
        verify.prove(original.database, SIZE)


def test_a_key_that_came_later_is_known_too(original: Original) -> None:
    later = verify.examine(original.database).keys[-1][1]
    assert verify.examine(original.database, later).is_key_known


def test_records_that_no_checkpoint_covers_are_told_when_they_are_too_many(original: Original, tmp_path: Path) -> None:
    case = Case(original, tmp_path / "case", knows_elsewhere=False)
    case.sql("DELETE FROM checkpoints WHERE size > 64")
    assert verify.examine(case.database, None, (), SIZE).findings == []
    (found,) = verify.examine(case.database, None, (), 100).findings
    assert (found.kind, found.position, found.last) == ("uncovered", 64, SIZE - 1)


def test_an_index_that_says_other_than_the_records_is_found_by_a_deep_look(original: Original, tmp_path: Path) -> None:
    content = original.database.read_bytes()
    name = f"req_{(AT - 1) // 2:06}".encode()
    start = next(found.start() for found in re.finditer(rb'(?<!")' + name, content))
    path = tmp_path / "evidence.db"
    path.write_bytes(content[:start] + b"req_999999" + content[start + len(name) :])
    assert verify.examine(path).findings == []
    assert "index" in {finding.kind for finding in verify.examine(path, is_deep=True).findings}


def test_it_reads_what_a_running_writer_has_only_in_its_log(tmp_path: Path) -> None:
    identity = ensure_identity(tmp_path / "secrets" / "evidence.key")
    path = tmp_path / "evidence.db"
    with opened_ledger(path, identity, LedgerOptions()) as ledger:
        for position in range(1, 31):
            write_exchange(ledger, position)
        assert path.with_name("evidence.db-wal").stat().st_size > 0
        report = verify.examine(path, identity.verifier_key)
        assert (report.findings, report.num_records, report.covered) == ([], 31, 0)
        ledger.checkpoint_now()
        assert verify.examine(path, identity.verifier_key).covered == 31


def test_the_documented_table_lists_every_change() -> None:
    page = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text(encoding="utf-8")
    assert [change.name for change in EVERY if f"| {change.name} |" not in page] == []
    assert f"{len(EVERY)} kinds of change: {len(EVERY)} detected" in page


def test_it_reads_a_copy_in_a_folder_that_cannot_be_written(original: Original, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    shutil.copy(original.database, tmp_path / "evidence.db")
    tmp_path.chmod(0o500)
    try:
        assert verify.examine(tmp_path / "evidence.db").findings == []
    finally:
        tmp_path.chmod(0o700)


def test_it_stands_alone(original: Original, tmp_path: Path) -> None:
    """One file, the standard library and cryptography, in the syntax of Python 3.9."""
    source = Path(verify.__file__).read_text()
    nodes = list(ast.walk(ast.parse(source, feature_version=(3, 9))))
    names = {alias.name.partition(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {(node.module or "").partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
    assert names - sys.stdlib_module_names - {"__future__"} == {"cryptography"}
    program = tmp_path / "verify.py"
    program.write_text(source)
    argv = [sys.executable, "-I", str(program), str(original.database), "--key", original.key]
    done = subprocess.run([*argv, "--checkpoint", str(original.elsewhere)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    case = Case(original, tmp_path / "case", knows_elsewhere=False)
    case.edit(AT, model="another")
    done = subprocess.run([*argv[:3], str(case.database), "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout)["findings"][0]["position"] == AT
    done = subprocess.run([*argv[:3], str(tmp_path / "none.db")], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
