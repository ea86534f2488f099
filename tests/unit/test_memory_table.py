"""The memory table: what counts as held, what is measured again, and how it is written."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.memory_table.report import report
from benchmarks.memory_table.rows import Cell, Predicted, Row, append_row, read_rows
from benchmarks.pages import with_table
from gemstead.bench.memory import MemoryReading
from gemstead.core.units import MIB
from gemstead.engines.llama_cpp_buffers import Buffers

PREDICTED = Predicted(
    mapped_bytes=2000 * MIB,
    cold_bytes=900 * MIB,
    repacked_bytes=900 * MIB,
    kv_cache_bytes=100 * MIB,
    compute_bytes=100 * MIB,
    runtime_bytes=100 * MIB,
)
REPORTED = Buffers(
    mapped_bytes=2000 * MIB,
    repacked_bytes=900 * MIB,
    kv_full_bytes=60 * MIB,
    kv_sliding_bytes=40 * MIB,
    output_bytes=MIB,
    compute_bytes=100 * MIB,
    is_complete=True,
)


def row(anon_mib: int = 1200, file_mib: int = 2010, slots: int = 1, context: int = 4096) -> Row:
    pss_bytes = (anon_mib + file_mib) * MIB
    reading = MemoryReading(pss_bytes, pss_bytes=pss_bytes, anon_bytes=anon_mib * MIB, file_bytes=file_mib * MIB)
    cell = Cell("e2b", "q4_0", context, slots)
    return Row(cell, PREDICTED, REPORTED, reading, "1", "a processor | 2 cores", "2026-11-24T13:00:00+00:00")


def test_the_error_is_of_everything_predicted_over_everything_held() -> None:
    assert row().error == pytest.approx(3200 / 3210 - 1)


def test_dropped_pages_of_the_file_are_held_against_the_plan_that_counts_them() -> None:
    dropped = row(file_mib=1200)
    assert dropped.dropped_bytes == 800 * MIB
    assert dropped.held_bytes == 3200 * MIB
    assert "3,200 *" in report([dropped])
    assert "*" not in report([row()])


def test_the_table_says_how_many_loads_are_within_the_goal_and_which_is_farthest_off() -> None:
    text = report([row(), row(anon_mib=1400, slots=4)], [(Cell("31b", "q8_0", 4096, 1), "it does not fit")])
    assert text.startswith("1 of 2 loads within 3%")
    assert "the farthest off is -6.2%" in text
    assert "31b q8_0, 4,096 x 1: it does not fit" in text
    assert "| E2B Q4_0 | 4,096 x 4 |" in text


def test_nothing_measured_is_told() -> None:
    assert report([]) == "Nothing is measured yet.\n"


def test_of_two_rows_of_a_cell_the_newer_counts(tmp_path: Path) -> None:
    path = tmp_path / "bench" / "rows.jsonl"
    older, newer = row(), row(anon_mib=1300)
    for one in (older, row(slots=4), newer):
        append_row(path, one)
    assert read_rows(path) == {newer.cell: newer, row(slots=4).cell: row(slots=4)}
    assert read_rows(tmp_path / "none.jsonl") == {}


def test_a_table_goes_between_its_marks_and_nowhere_else() -> None:
    page = "before\n<!-- memory -->\nold\n<!-- end of memory -->\nafter\n"
    assert with_table(page, "memory", "new\n") == page.replace("old", "new")
    with pytest.raises(ValueError, match="no marks for points"):
        with_table(page, "points", "new\n")


def test_a_row_survives_being_written() -> None:
    assert msgspec.json.decode(msgspec.json.encode(row()), type=Row) == row()
