"""GPUs of three makers, from text and files as their drivers give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemstead.core.units import GIB, MIB
from gemstead.hardware.amd import probe_amd
from gemstead.hardware.apple import parse_displays, parse_sysctl
from gemstead.hardware.nvidia import parse_held, parse_nvidia_smi
from gemstead.hardware.programs import ProbeFailed, read_program

HOST = (64 * GIB, 50 * GIB)


def test_every_nvidia_card_has_its_own_memory() -> None:
    text = "NVIDIA GeForce RTX 4090, 570.86.15, 24564, 23987\nNVIDIA GeForce RTX 3060, 570.86.15, 12288, 11900\n"
    first, second = parse_nvidia_smi(text, *HOST)
    assert (first.name, first.driver, first.vendor) == ("NVIDIA GeForce RTX 4090", "570.86.15", "nvidia")
    assert (first.total_bytes, first.available.num_bytes) == (24_564 * MIB, 23_987 * MIB)
    assert second.total_bytes == 12_288 * MIB
    assert not first.is_unified_memory


@pytest.mark.parametrize("unknown", ["[N/A]", "[Not Supported]"])
def test_an_nvidia_chip_without_memory_of_its_own_shares_the_machines(unknown: str) -> None:
    (chip,) = parse_nvidia_smi(f"Orin (nvgpu), 540.4.0, {unknown}, {unknown}\n", *HOST)
    assert chip.is_unified_memory
    assert (chip.total_bytes, chip.available.num_bytes) == HOST


def test_no_nvidia_line_is_no_gpu() -> None:
    assert parse_nvidia_smi("\n", *HOST) == ()


@pytest.mark.parametrize("text", ["No devices were found\n", "a, b, c\n", "a, b, c, d, e\n"])
def test_another_answer_of_nvidia_smi_is_a_note(text: str) -> None:
    with pytest.raises(ProbeFailed, match="not what was asked"):
        parse_nvidia_smi(text, *HOST)


def amd_card(drm: Path, name: str, **files: str) -> None:
    device = drm / name / "device"
    device.mkdir(parents=True)
    for file, content in files.items():
        (device / file).write_text(content + "\n")


def test_an_amd_card_has_its_own_memory(tmp_path: Path) -> None:
    amd_card(
        tmp_path,
        "card1",
        vendor="0x1002",
        device="0x744c",
        mem_info_vram_total=str(24 * GIB),
        mem_info_vram_used=str(GIB),
        mem_info_vram_vendor="hynix",
        mem_info_gtt_total=str(32 * GIB),
        mem_info_gtt_used="0",
    )
    (card,) = probe_amd(tmp_path, tmp_path / "no-version")
    assert card.name == "AMD GPU (device 0x744c)"
    assert (card.total_bytes, card.available.num_bytes) == (24 * GIB, 23 * GIB)
    assert (card.driver, card.is_unified_memory) == (None, False)


def test_an_amd_apu_uses_its_share_and_what_the_driver_maps(tmp_path: Path) -> None:
    amd_card(
        tmp_path,
        "card0",
        vendor="0x1002",
        product_name="Radeon 8060S",
        mem_info_vram_total=str(GIB),
        mem_info_vram_used=str(GIB // 2),
        mem_info_gtt_total=str(60 * GIB),
        mem_info_gtt_used=str(GIB),
    )
    (chip,) = probe_amd(tmp_path, tmp_path / "no-version")
    assert (chip.name, chip.is_unified_memory) == ("Radeon 8060S", True)
    assert (chip.total_bytes, chip.available.num_bytes) == (61 * GIB, 61 * GIB - GIB - GIB // 2)


def test_other_makers_and_damaged_files_are_no_amd_gpu(tmp_path: Path) -> None:
    amd_card(tmp_path, "card0", vendor="0x10de", mem_info_vram_total=str(GIB), mem_info_vram_used="0")
    amd_card(tmp_path, "card1", vendor="0x1002", mem_info_vram_total="many", mem_info_vram_used="0")
    assert probe_amd(tmp_path, tmp_path / "no-version") == ()
    assert probe_amd(tmp_path / "nowhere", tmp_path / "no-version") == ()


SYSCTL = """\
hw.ncpu: 10
hw.physicalcpu: 10
hw.memsize: 17179869184
hw.l2cachesize: 4194304
hw.perflevel0.physicalcpu: 4
hw.perflevel0.l2cachesize: 16777216
hw.perflevel1.physicalcpu: 6
hw.optional.arm64: 1
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_I8MM: 1
hw.optional.arm.FEAT_SVE: 0
hw.optional.arm.FEAT_BF16: 1
machdep.cpu.brand_string: Apple M4
"""


def test_a_mac_counts_its_performance_cores() -> None:
    cpu = parse_sysctl(SYSCTL, "arm64", 10)
    assert (cpu.model, cpu.physical_cores, cpu.usable_cores) == ("Apple M4", 10, 4)
    assert cpu.instruction_sets == ("bf16", "dotprod", "i8mm", "neon")
    assert cpu.last_level_cache_bytes == 16 * MIB


def test_a_mac_that_says_nothing_still_has_a_processor() -> None:
    cpu = parse_sysctl("", "arm64", 8)
    assert (cpu.model, cpu.physical_cores, cpu.usable_cores, cpu.instruction_sets) == (None, None, 8, ())


DISPLAYS = """\
{"SPDisplaysDataType": [{"_name": "Apple M4", "spdisplays_mtlgpufamilysupport": "spdisplays_metal3",
 "spdisplays_vendor": "sppci_vendor_Apple", "sppci_cores": "10", "sppci_model": "Apple M4"}]}
"""


@pytest.mark.parametrize(("memory_gib", "share"), [(16, 2 / 3), (32, 2 / 3), (64, 3 / 4)])
def test_a_macs_gpu_may_use_a_part_of_the_memory(memory_gib: int, share: float) -> None:
    (chip,) = parse_displays(DISPLAYS, memory_gib * GIB, 60 * GIB)
    assert (chip.name, chip.vendor, chip.is_unified_memory) == ("Apple M4", "apple", True)
    assert chip.total_bytes == int(memory_gib * GIB * share)
    assert chip.available.basis == "assumed"


def test_a_foreign_gpu_in_a_mac_is_left_out() -> None:
    text = '{"SPDisplaysDataType": [{"sppci_model": "Radeon Pro 560X", "spdisplays_vendor": "sppci_vendor_amd"}]}'
    assert parse_displays(text, *HOST) == ()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"SPDisplaysDataType": 5}'])
def test_something_else_than_its_json_is_a_note(text: str) -> None:
    with pytest.raises(ProbeFailed, match="something else"):
        parse_displays(text, *HOST)


def test_a_program_that_is_missing_fails_or_hangs_is_a_sentence() -> None:
    with pytest.raises(ProbeFailed, match="is not installed"):
        read_program(["no-such-program-at-all"])
    with pytest.raises(ProbeFailed, match="ls failed: ls:"):
        read_program(["ls", "/no/such/folder"])
    with pytest.raises(ProbeFailed, match=r"sleep did not answer within 0\.05 s"):
        read_program(["sleep", "5"], timeout_s=0.05)


def test_what_a_program_prints_is_read_whatever_its_bytes() -> None:
    assert read_program(["printf", r"a\377b"]) == "a\ufffdb"


def test_what_one_process_holds_is_summed_over_its_cards() -> None:
    text = "5610, 19442\n77, 300\n5610, 512\n"
    assert parse_held(text, 5610) == (19442 + 512) << 20


@pytest.mark.parametrize("text", ["", "77, 300\n", "5610, [N/A]\n", "No devices were found\n", "5610\n"])
def test_a_process_that_is_not_listed_or_has_no_size_holds_nobody_knows_what(text: str) -> None:
    assert parse_held(text, 5610) is None
