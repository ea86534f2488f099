"""What /proc/cpuinfo and the kernel's processor folder say."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemstead.hardware.linux import count_cores, last_level_cache_bytes, parse_cache_size, parse_cpuinfo
from gemstead.hardware.probe import usable_cores

INTEL = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
physical id\t: 0
core id\t\t: 0
cpu cores\t: 2
flags\t\t: fpu sse4_2 avx f16c avx2 fma bmi2 avx512f avx512bw avx512_bf16 avx512_vnni amx_bf16 amx_tile amx_int8

processor\t: 1
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
physical id\t: 0
core id\t\t: 0
flags\t\t: fpu sse4_2 avx

processor\t: 2
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
physical id\t: 0
core id\t\t: 1
flags\t\t: fpu sse4_2 avx

processor\t: 3
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
physical id\t: 1
core id\t\t: 1
flags\t\t: fpu sse4_2 avx
"""

RASPBERRY_PI = """\
processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU part\t: 0xd0b

processor\t: 1
Features\t: fp asimd asimdhp asimddp

Revision\t: d04171
Serial\t\t: 0000000000000000
Model\t\t: Raspberry Pi 5 Model B Rev 1.1
"""


def test_intel_flags_and_cores_are_read() -> None:
    cpu = parse_cpuinfo(INTEL)
    assert cpu.model == "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz"
    assert {"avx2", "avx512f", "avx512_vnni", "amx_int8", "amx_tile", "f16c", "fma"} <= set(cpu.instruction_sets)
    assert "fpu" not in cpu.instruction_sets
    assert cpu.num_processors == 4
    assert cpu.cores == {0: ("0", "0"), 1: ("0", "0"), 2: ("0", "1"), 3: ("1", "1")}


def test_arm_features_get_the_common_spelling() -> None:
    cpu = parse_cpuinfo(RASPBERRY_PI)
    assert cpu.model == "Raspberry Pi 5 Model B Rev 1.1"
    assert cpu.instruction_sets == ("dotprod", "fp16", "neon")
    assert cpu.num_processors == 2
    assert cpu.cores == {}


@pytest.mark.parametrize("text", ["", "\n\n\n", "garbage", "processor : x\nflags\n", ":::\n\n:"])
def test_senseless_text_gives_an_empty_description(text: str) -> None:
    cpu = parse_cpuinfo(text)
    assert (cpu.model, cpu.instruction_sets, cpu.num_processors) == (None, (), 0)


def test_threads_of_one_core_count_once(tmp_path: Path) -> None:
    cores = parse_cpuinfo(INTEL).cores
    assert count_cores(range(4), cores, tmp_path) == 3
    assert count_cores([0, 1], cores, tmp_path) == 1
    assert count_cores([0, 9], cores, tmp_path) is None


def write_topology(folder: Path, name: str, siblings: dict[int, str]) -> None:
    for number, text in siblings.items():
        topology = folder / f"cpu{number}" / "topology"
        topology.mkdir(parents=True)
        (topology / name).write_text(text + "\n")


@pytest.mark.parametrize("name", ["core_cpus_list", "thread_siblings_list"])
def test_the_kernels_own_topology_comes_first(tmp_path: Path, name: str) -> None:
    write_topology(tmp_path, name, {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"})
    assert count_cores(range(4), {}, tmp_path) == 2
    assert count_cores([0, 2], {}, tmp_path) == 1


@pytest.mark.parametrize(
    ("cores", "quota", "expected"), [(8, None, 8), (8, 4.0, 4), (8, 2.5, 2), (8, 0.5, 1), (2, 16.0, 2)]
)
def test_a_quota_takes_whole_cores_off(cores: int, quota: float | None, expected: int) -> None:
    assert usable_cores(cores, quota) == expected


def test_the_largest_cache_is_the_last_level(tmp_path: Path) -> None:
    for index, size in enumerate(("32K", "32K", "512K", "32768K")):
        cache = tmp_path / "cpu0" / "cache" / f"index{index}"
        cache.mkdir(parents=True)
        (cache / "size").write_text(size + "\n")
    assert last_level_cache_bytes(tmp_path) == 32 * 1024**2
    assert last_level_cache_bytes(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("text", "size"), [("512K", 512 * 1024), ("32M", 32 * 1024**2), ("", None), ("x", None), ("7", None)]
)
def test_cache_sizes_are_read_or_left_unknown(text: str, size: int | None) -> None:
    assert parse_cache_size(text) == size
