"""The file of results: appended only, and readable whatever happened to its writers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench_parts import records
from gemstead.bench.store import ResultStore, new_run_id
from gemstead.core.errors import NameUnknown, RequestInvalid


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path)


def fill(store: ResultStore, run: str, *, is_finished: bool = True) -> None:
    for record in records(run, {128: [20.0, 21.0], 512: [18.0]}, is_finished=is_finished):
        store.append(record)


def test_what_was_appended_is_read_back_whole(store: ResultStore) -> None:
    fill(store, "one")
    assert store.read().records == records("one", {128: [20.0, 21.0], 512: [18.0]})


def test_an_empty_store_has_no_results(store: ResultStore) -> None:
    assert store.read().runs == []


def test_appending_never_changes_what_is_there(store: ResultStore) -> None:
    fill(store, "one")
    before = store.path.read_bytes()
    fill(store, "two")
    assert store.path.read_bytes().startswith(before)


def test_a_run_without_an_end_knows_what_is_missing(store: ResultStore) -> None:
    store.append(records("one", {})[0])
    store.append(records("one", {128: [20.0]})[1])
    run = store.find_run("one")
    assert run.end is None
    assert run.missing == (512,)


def test_a_line_cut_by_a_crash_costs_that_line_only(store: ResultStore) -> None:
    fill(store, "one")
    with store.path.open("ab") as file:
        file.write(b'{"kind":"point","run":"two","prompt_to')
    assert store.read().num_skipped == 1
    fill(store, "three")
    results = store.read()
    assert [run.start.run for run in results.runs] == ["one", "three"]
    assert results.num_skipped == 1
    assert all(run.end for run in results.runs)


def test_lines_of_a_later_gemstead_and_rubbish_are_skipped_and_counted(store: ResultStore) -> None:
    fill(store, "one")
    with store.path.open("ab") as file:
        file.write(b'{"kind":"hologram","schema":99}\n[1]\n\xff\xfe\n\n')
    assert store.read().num_skipped == 3
    assert len(store.read().runs) == 1


WRITER = """
import sys
from pathlib import Path
from bench_parts import records
from gemstead.bench.store import ResultStore
store = ResultStore(Path(sys.argv[1]))
print("writing", flush=True)
while True:
    for record in records("killed", {128: [20.0] * 300, 512: [18.0] * 300}):
        store.append(record)
"""


def test_a_writer_killed_in_the_middle_leaves_a_file_that_reads_and_grows_on(store: ResultStore) -> None:
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store.path.parents[1])],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
    )
    with writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        while not store.path.exists() or store.path.stat().st_size < 100_000:
            assert writer.poll() is None
        writer.send_signal(signal.SIGKILL)
    assert store.read().num_skipped <= 1
    fill(store, "after")
    results = store.read()
    assert results.num_skipped <= 1
    assert [run.start.run for run in results.runs] == ["killed", "after"]


def test_a_run_is_found_by_the_beginning_of_its_id(store: ResultStore) -> None:
    fill(store, "20261124-a")
    fill(store, "20261125-b")
    assert store.find_run("20261125").start.run == "20261125-b"
    assert store.find_run("last").start.run == "20261125-b"
    with pytest.raises(RequestInvalid, match="2 runs begin"):
        store.find_run("2026")
    with pytest.raises(NameUnknown):
        store.find_run("1999")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "bench").write_text("in the way")
    with pytest.raises(RequestInvalid):
        ResultStore(tmp_path).append(records("one", {})[0])


def test_ids_of_runs_do_not_repeat() -> None:
    assert len({new_run_id() for _ in range(50)}) > 40
