"""This machine, looked at for real."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from gemstead.hardware.ceilings import measured_ceilings
from gemstead.hardware.probe import probe

pytestmark = pytest.mark.real


def test_this_machine_is_described(tmp_path: Path) -> None:
    machine = probe(tmp_path / "not" / "yet")
    assert machine.origin == "probed"
    assert 1 <= machine.cpu.usable_cores <= machine.cpu.logical_cores
    assert machine.cpu.instruction_sets
    assert machine.memory.total_bytes == psutil.virtual_memory().total
    assert 0 < machine.memory.available.num_bytes <= machine.memory.total_bytes
    assert machine.disk is not None
    assert machine.disk.free_bytes > 0
    assert machine.disk.path == str(tmp_path / "not" / "yet")


def test_the_probe_is_quick_and_measures_nothing(tmp_path: Path) -> None:
    begin_s = time.perf_counter()
    machine = probe(tmp_path)
    assert machine.memory.bandwidth is None
    assert machine.cpu.matmul is None
    assert time.perf_counter() - begin_s < 12  # the slowest driver's own time limit, and a margin


def test_ceilings_are_measured_once_and_remembered(tmp_path: Path) -> None:
    machine, path = probe(tmp_path), tmp_path / "ceilings.json"
    measured = measured_ceilings(machine, path)
    assert measured.bandwidth is not None
    assert measured.matmul is not None
    assert 1e9 < measured.bandwidth.value < 2e12
    assert 1e9 < measured.matmul.value < 1e14
    assert measured_ceilings(machine, path) == measured
    assert measured_ceilings(machine, path, is_fresh=True) != measured
