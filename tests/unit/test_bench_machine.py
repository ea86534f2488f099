"""Noise, memory and energy, read from made-up counters."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from bench_parts import QUIET
from gemstead.bench.energy import CardSamples, PowerTrace, rapl_counters
from gemstead.bench.memory import MemoryReading, peak_of, read_memory
from gemstead.bench.noise import CpuTimes, LoopTimes, noise_between, time_loop


def test_a_quiet_machine_has_no_reasons() -> None:
    assert QUIET.is_quiet


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"loop_after": LoopTimes(0.002, 0.2)}, "varies"),
        ({"loop_after": LoopTimes(0.003, 0.01)}, "after than before"),
        ({"others_share": 0.3}, "other programs"),
        ({"steal_share": 0.05}, "hypervisor"),
    ],
)
def test_each_disturbance_is_a_reason_not_to_trust(change: dict[str, object], word: str) -> None:
    noise = msgspec.structs.replace(QUIET, **change)
    assert len(noise.reasons) == 1
    assert word in noise.reasons[0]


def test_a_core_of_two_speeds_says_nothing_about_work_done_on_a_gpu() -> None:
    unsteady = msgspec.structs.replace(QUIET, loop_before=LoopTimes(0.002, 0.6), loop_after=LoopTimes(0.003, 0.6))
    assert len(unsteady.reasons) == 2
    assert msgspec.structs.replace(unsteady, is_on_gpu=True).is_quiet
    assert not msgspec.structs.replace(unsteady, is_on_gpu=True, others_share=0.5).is_quiet


def test_our_own_work_is_not_noise() -> None:
    before = CpuTimes(0.0, busy_s=10.0, steal_s=1.0, total_s=100.0, own_s=5.0)
    after = CpuTimes(10.0, busy_s=28.0, steal_s=2.0, total_s=120.0, own_s=21.0)
    noise = noise_between(before, after, (LoopTimes(1, 0), LoopTimes(1, 0)), None)
    assert noise.others_share == pytest.approx(0.1)
    assert noise.steal_share == pytest.approx(0.05)


def test_a_fixed_loop_takes_time() -> None:
    assert time_loop().median_s > 0


def test_memory_is_read_as_the_kernel_writes_it(tmp_path: Path) -> None:
    process = tmp_path / "42"
    process.mkdir()
    (process / "status").write_text("Name:\tengine\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t3\n")
    rollup = "0-1 ---p 00000000 00:00 0    [rollup]\nPss:   512 kB\nSwapPss:  8 kB\n"
    (process / "smaps_rollup").write_text(rollup)
    assert read_memory(42, tmp_path) == MemoryReading(1 << 20, 2 << 20, 512 << 10, 8 << 10)
    (process / "smaps_rollup").write_text(f"{rollup}Pss_Anon:  300 kB\nPss_File:  200 kB\nPss_Shmem:  12 kB\n")
    reading = read_memory(42, tmp_path)
    assert reading is not None
    assert (reading.anon_bytes, reading.file_bytes, reading.shmem_bytes) == (300 << 10, 200 << 10, 12 << 10)
    assert read_memory(43, tmp_path) is None


def test_this_process_has_memory() -> None:
    reading = read_memory(os.getpid())
    assert reading is not None
    assert reading.rss_bytes > 1 << 20


def test_the_peak_takes_the_highest_of_each() -> None:
    readings = [MemoryReading(5, 9, None, None), MemoryReading(7, 8, 3, None)]
    assert peak_of(readings) == MemoryReading(7, 9, 3, None)
    assert peak_of([]) is None


def test_energy_between_two_moments_is_straight_between_samples() -> None:
    trace = PowerTrace([0.0, 1.0, 3.0], [0.0, 10.0, 50.0])
    assert trace.energy_j(0.5, 2.0) == pytest.approx(25.0)
    assert trace.energy_j(0.0, 3.0) == pytest.approx(50.0)
    assert trace.energy_j(-0.1, 1.0) is None
    assert trace.energy_j(1.0, 3.1) is None
    assert PowerTrace([], []).energy_j(0.0, 0.0) is None


def rapl(root: Path, folder: str, name: str, energy_uj: int) -> Path:
    zone = root / folder
    zone.mkdir()
    (zone / "name").write_text(f"{name}\n")
    (zone / "max_energy_range_uj").write_text("1000000\n")
    (zone / "energy_uj").write_text(f"{energy_uj}\n")
    return zone


def test_a_counter_that_starts_again_goes_on(tmp_path: Path) -> None:
    zone = rapl(tmp_path, "intel-rapl:0", "package-0", 900_000)
    (counter,) = rapl_counters(tmp_path)
    (zone / "energy_uj").write_text("100000")
    assert counter.joules() == pytest.approx(0.2, abs=1e-5)


def test_parts_that_are_counted_in_the_package_are_left_out(tmp_path: Path) -> None:
    for folder, name in (
        ("intel-rapl:0", "package-0"),
        ("intel-rapl:0:0", "core"),
        ("intel-rapl:0:1", "dram"),
        ("intel-rapl:1", "psys"),
    ):
        rapl(tmp_path, folder, name, 1)
    assert len(rapl_counters(tmp_path)) == 2
    assert rapl_counters(tmp_path / "none") == []


def test_cards_are_added_up_each_from_its_own_samples() -> None:
    cards = CardSamples()
    assert cards.take("0, 100.0, 1000", 0.0) == (0.0, 0.0)
    assert cards.take("1, 50.0, 500", 0.0) == (0.0, 0.0)
    assert cards.take("0, 200.0, 1100", 1.0) == (1.0, 100.0)
    assert cards.take("1, 50.0, 500", 2.0) == (2.0, 200.0)
    assert cards.used_bytes == 1600 << 20


@pytest.mark.parametrize("line", ["", "0, [N/A], 5", "0, 1", "No devices were found"])
def test_a_card_that_tells_no_power_gives_no_sample(line: str) -> None:
    assert CardSamples().take(line, 0.0) is None
