"""Named machines."""

from __future__ import annotations

import pytest

from gemstead.core.errors import NameUnknown
from gemstead.core.units import GIB
from gemstead.hardware.bandwidth import measure_bandwidth
from gemstead.hardware.linux import named_instruction_sets
from gemstead.hardware.profiles import load_profile, profile_names


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_is_a_whole_machine_with_its_source(name: str) -> None:
    machine = load_profile(name)
    assert (machine.name, machine.origin) == (name, "profile")
    assert machine.source is not None
    assert ", read 2026-" in machine.source
    assert 0 < machine.memory.available.num_bytes < machine.memory.total_bytes
    assert machine.memory.bandwidth is not None
    assert 10e9 < machine.memory.bandwidth.value < 5000e9
    assert machine.cpu.instruction_sets == named_instruction_sets(machine.cpu.instruction_sets)
    for gpu in machine.gpus:
        assert 0 < gpu.available.num_bytes <= gpu.total_bytes


def test_a_graphics_card_keeps_its_own_memory_apart() -> None:
    machine = load_profile("rtx-4090")
    (card,) = machine.own_memory_gpus
    assert card.total_bytes == 24 * GIB
    assert not machine.has_unified_memory


def test_a_macs_gpu_shares_the_memory() -> None:
    machine = load_profile("macbook-pro-m4-16gb")
    assert machine.own_memory_gpus == ()
    assert machine.has_unified_memory


def test_an_unknown_machine_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(NameUnknown) as unknown:
        load_profile("rtx4090")
    assert unknown.value.nearest == "rtx-4090"
    assert unknown.value.param == "on"


def test_bandwidth_needs_room_to_be_measured() -> None:
    assert measure_bandwidth(1, None, 100_000_000) is None
