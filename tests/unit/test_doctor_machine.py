"""Machine, memory, disk and clock: each check with a sound and an unsound machine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from doctor_parts import NOW_S, add, look, machine, plan_of, raising, server, subject, worst
from fake_engine import small_plan
from gemstead.core.errors import DoesNotFit
from gemstead.core.units import GIB, MIB
from gemstead.doctor.checks.disk import DiskSpeed, judge_speed, measure_speed
from gemstead.doctor.subject import MemoryHistory


def test_a_sound_machine_is_one_line(tmp_path: Path) -> None:
    (finding,) = look("machine", subject(tmp_path))
    assert (finding.severity, finding.what) == ("ok", "16 GiB memory, 4 usable cores")
    assert finding.evidence["instruction_sets"] == "avx2"


def test_too_little_memory_is_a_warning(tmp_path: Path) -> None:
    found = worst(look("machine", subject(tmp_path, machine=machine(total_bytes=2 * GIB))))
    assert (found.severity, found.fix) == ("warning", "gemstead plan")


def test_swapped_out_memory_is_a_warning(tmp_path: Path) -> None:
    found = worst(look("machine", subject(tmp_path, memory_history=MemoryHistory(8 * GIB, 4 * GIB))))
    assert (found.severity, found.what) == ("warning", "4 GiB are in swap")
    little = look("machine", subject(tmp_path, memory_history=MemoryHistory(8 * GIB, 100 * MIB)))
    assert worst(little).severity == "ok"


def test_a_processor_without_avx2_is_a_warning(tmp_path: Path) -> None:
    found = worst(look("machine", subject(tmp_path, machine=machine(sets=("sse4_2", "avx")))))
    assert (found.severity, found.what) == ("warning", "the processor lacks avx2")


def test_what_the_probe_could_not_find_out_is_a_note(tmp_path: Path) -> None:
    found = worst(look("machine", subject(tmp_path, machine=machine(notes=("the GPU did not answer",)))))
    assert (found.severity, found.what) == ("note", "the GPU did not answer")


def test_a_plan_that_fits_shows_need_and_room(tmp_path: Path) -> None:
    (finding,) = look("memory", subject(tmp_path))
    assert finding.severity == "ok"
    assert "gemma4:e2b-q4_0 at context 8192" in finding.what


def test_a_plan_that_does_not_fit_is_an_error_with_the_nearest_command(tmp_path: Path) -> None:
    refusal = DoesNotFit("3 GiB too much", missing_bytes=3 * GIB, hint="use --context 4096")
    (finding,) = look("memory", subject(tmp_path, plan=raising(refusal)))
    assert (finding.severity, finding.fix) == ("error", "gemstead up --context 4096")
    assert finding.evidence["missing_bytes"] == 3 * GIB


def test_no_room_beside_a_running_server_is_only_a_note(tmp_path: Path) -> None:
    refusal = DoesNotFit("3 GiB too much", missing_bytes=3 * GIB)
    (finding,) = look("memory", subject(tmp_path, plan=raising(refusal), servers=lambda: (server(),)))
    assert finding.severity == "note"


def test_kills_by_the_kernel_are_told_with_a_smaller_plan(tmp_path: Path) -> None:
    killed = subject(tmp_path, memory_history=MemoryHistory(0, 0, num_oom_kills=2))
    found = worst(look("memory", killed))
    assert found.severity == "warning"
    assert found.fix == "gemstead up --model gemma4:e2b-q4_0 --context 4096 --kv q8_0"


def test_disk_space_and_speed_are_measured_and_nothing_is_left(tmp_path: Path) -> None:
    findings = look("disk", subject(tmp_path / "not" / "made" / "yet"))
    assert findings[0].severity == "ok"
    assert list(tmp_path.iterdir()) == []
    speed = measure_speed(tmp_path)
    assert speed.written_bytes_per_s > 0
    assert speed.read_bytes_per_s > 0
    assert list(tmp_path.iterdir()) == []


def test_a_model_larger_than_the_disk_is_a_warning(tmp_path: Path) -> None:
    huge = plan_of(small_plan(download_bytes=1 << 60))
    assert look("disk", subject(tmp_path, plan=huge))[0].severity == "warning"


def test_a_full_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gemstead.doctor.checks.disk.free_bytes", lambda _folder: 100 * MIB)
    (finding,) = look("disk", subject(tmp_path))
    assert (finding.severity, finding.what.split()[:2]) == ("error", ["100", "MiB"])


def test_a_slow_disk_says_how_long_loading_takes() -> None:
    slow = judge_speed(DiskSpeed(20 * MIB, 30 * MIB, is_read_cached=False), 3 * GIB)
    assert slow.severity == "warning"
    assert slow.why == "loading 3 GiB takes about 1 min 42 s"
    assert judge_speed(DiskSpeed(400 * MIB, 500 * MIB, is_read_cached=False), 3 * GIB).severity == "ok"


def test_a_clock_before_gemma_4_is_an_error(tmp_path: Path) -> None:
    (finding,) = look("clock", subject(tmp_path, now_s=datetime(2020, 1, 1, tzinfo=UTC).timestamp()))
    assert finding.severity == "error"


def test_a_model_stored_in_the_future_is_a_warning(tmp_path: Path) -> None:
    examined = subject(tmp_path)
    add(examined.store, "mine:1b", stored_at="2026-11-24T14:00:00+00:00")
    (finding,) = look("clock", examined)
    assert finding.severity == "warning"
    assert "2.0 hours later" in finding.what


def test_a_right_clock_is_fine(tmp_path: Path) -> None:
    examined = subject(tmp_path)
    add(examined.store, "mine:1b")
    (finding,) = look("clock", examined)
    assert (finding.severity, finding.what) == ("ok", "the clock says 2026-11-24T12:00:00+00:00")
    assert examined.now_s == NOW_S
