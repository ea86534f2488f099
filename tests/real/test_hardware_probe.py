"""This machine, looked at for real."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from gemstead.hardware.probe import probe

pytestmark = pytest.mark.real


def test_this_machine_is_described_with_measured_bandwidth(tmp_path: Path) -> None:
    machine = probe(tmp_path / "not" / "yet")
    assert machine.origin == "probed"
    assert 1 <= machine.cpu.usable_cores <= machine.cpu.logical_cores
    assert machine.cpu.instruction_sets
    assert machine.memory.total_bytes == psutil.virtual_memory().total
    assert 0 < machine.memory.available.num_bytes <= machine.memory.total_bytes
    assert machine.memory.bandwidth is not None
    assert machine.memory.bandwidth.basis == "measured"
    assert 1e9 < machine.memory.bandwidth.value < 2e12
    assert machine.disk is not None
    assert machine.disk.free_bytes > 0
    assert machine.disk.path == str(tmp_path / "not" / "yet")


def test_without_bandwidth_the_probe_is_quick(tmp_path: Path) -> None:
    begin_s = time.perf_counter()
    machine = probe(tmp_path, measure_bandwidth=False)
    assert machine.memory.bandwidth is None
    assert time.perf_counter() - begin_s < 12  # the slowest driver's own time limit, and a margin
