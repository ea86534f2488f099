"""What a machine can do at most, and remembering it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gemstead.core.figures import Figure
from gemstead.hardware import ceilings
from gemstead.hardware.ceilings import machine_fingerprint, measured_ceilings, with_ceilings
from gemstead.hardware.profiles import load_profile, with_rated_gpus
from gemstead.hardware.throughput import measure_matmul

MACHINE = load_profile("laptop-16gb")


@pytest.fixture
def measurements(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Fakes of both measurements that count themselves; each finds more than the one before."""
    taken: list[int] = []

    def fake_figure(*_: object) -> Figure:
        taken.append(1)
        return Figure(len(taken) * 1e9, "measured")

    monkeypatch.setattr(ceilings, "measure_bandwidth", fake_figure)
    monkeypatch.setattr(ceilings, "measure_matmul", fake_figure)
    return taken


def test_a_machine_is_measured_once(tmp_path: Path, measurements: list[int]) -> None:
    path = tmp_path / "new" / "ceilings.json"
    first = measured_ceilings(MACHINE, path)
    assert measured_ceilings(MACHINE, path) == first
    assert len(measurements) == 2


def test_measuring_again_replaces_what_was_remembered(tmp_path: Path, measurements: list[int]) -> None:
    path = tmp_path / "ceilings.json"
    measured_ceilings(MACHINE, path)
    again = measured_ceilings(MACHINE, path, is_fresh=True)
    assert len(measurements) == 4
    assert measured_ceilings(MACHINE, path) == again


def test_another_machine_with_the_same_folder_is_measured(tmp_path: Path, measurements: list[int]) -> None:
    path = tmp_path / "ceilings.json"
    measured_ceilings(MACHINE, path)
    fewer = msgspec.structs.replace(MACHINE, cpu=msgspec.structs.replace(MACHINE.cpu, usable_cores=2))
    assert machine_fingerprint(fewer) != machine_fingerprint(MACHINE)
    measured_ceilings(fewer, path)
    assert len(measurements) == 4


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"fingerprint": 3}', b"[]"])
def test_a_damaged_file_is_measured_over(tmp_path: Path, measurements: list[int], content: bytes) -> None:
    path = tmp_path / "ceilings.json"
    path.write_bytes(content)
    found = measured_ceilings(MACHINE, path)
    assert found.fingerprint == machine_fingerprint(MACHINE)
    assert msgspec.json.decode(path.read_bytes())["fingerprint"] == found.fingerprint


def test_a_folder_that_cannot_be_written_costs_only_the_memory(tmp_path: Path, measurements: list[int]) -> None:
    (tmp_path / "file").write_text("")
    assert measured_ceilings(MACHINE, tmp_path / "file" / "ceilings.json").bandwidth is not None


def test_what_was_not_measured_is_noted() -> None:
    bare = with_ceilings(MACHINE, ceilings.Ceilings("x", None, None))
    assert bare.cpu.matmul is None
    assert bare.memory.bandwidth is None
    assert len(bare.notes) == 2


def test_a_measured_product_is_a_plausible_rate() -> None:
    figure = measure_matmul(1)
    assert figure is not None
    assert 1e8 < figure.value < 1e13
    assert figure.basis == "measured"


def test_a_known_card_gets_its_rating_and_an_unknown_one_none() -> None:
    rated = load_profile("rtx-4090")
    (card,) = rated.gpus
    probed = msgspec.structs.replace(card, bandwidth=None, matmul=None)
    odd = msgspec.structs.replace(probed, name="NVIDIA Odd 1")
    found = with_rated_gpus(msgspec.structs.replace(rated, gpus=(probed, odd)))
    assert found.gpus[0].bandwidth is not None
    assert found.gpus[0].bandwidth.value == 1008e9
    assert found.gpus[0].matmul is not None
    assert found.gpus[1].bandwidth is None
