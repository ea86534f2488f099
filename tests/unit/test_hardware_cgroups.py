"""Control groups of both versions, nested, written to a folder as the kernel shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemstead.core.units import GIB
from gemstead.hardware.cgroups import MemoryLimit, cpu_quota, memory_limit

V2 = "0::/user.slice/app.service\n"
V1 = "12:cpu,cpuacct:/docker/abc\n8:memory:/docker/abc\n0::/\n"


def write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def test_without_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert memory_limit("", tmp_path) is None
    assert cpu_quota("", tmp_path) is None
    assert memory_limit(V2, tmp_path) is None
    assert cpu_quota(V1, tmp_path) is None


def test_version_2_limit_is_read_with_droppable_pages_free(tmp_path: Path) -> None:
    group = tmp_path / "user.slice" / "app.service"
    write(
        group, memory__max=4 * GIB, memory__current=3 * GIB, memory__stat=f"anon 5\ninactive_file {GIB}\nactive_file 0"
    )
    assert memory_limit(V2, tmp_path) == MemoryLimit(limit_bytes=4 * GIB, free_bytes=2 * GIB)


def test_an_ancestor_may_be_tighter(tmp_path: Path) -> None:
    write(tmp_path / "user.slice" / "app.service", memory__max="max", memory__current=0, cpu__max="max 100000")
    write(tmp_path / "user.slice", memory__max=2 * GIB, memory__current=GIB, cpu__max="150000 100000")
    assert memory_limit(V2, tmp_path) == MemoryLimit(limit_bytes=2 * GIB, free_bytes=GIB)
    assert cpu_quota(V2, tmp_path) == 1.5


def test_the_group_that_leaves_least_wins(tmp_path: Path) -> None:
    write(tmp_path / "user.slice" / "app.service", memory__max=2 * GIB, memory__current=0)
    write(tmp_path / "user.slice", memory__max=8 * GIB, memory__current=7 * GIB)
    assert memory_limit(V2, tmp_path) == MemoryLimit(limit_bytes=8 * GIB, free_bytes=GIB)


def test_inside_a_container_the_root_is_its_own_group(tmp_path: Path) -> None:
    write(tmp_path, memory__max=GIB, memory__current=0, cpu__max="200000 100000")
    assert memory_limit("0::/\n", tmp_path) == MemoryLimit(GIB, GIB)
    assert cpu_quota("0::/\n", tmp_path) == 2


def test_version_1_limits_are_read(tmp_path: Path) -> None:
    memory = tmp_path / "memory" / "docker" / "abc"
    stat = f"total_inactive_file {GIB // 2}\ntotal_active_file {GIB // 2}"
    write(memory, memory__limit_in_bytes=4 * GIB, memory__usage_in_bytes=2 * GIB, memory__stat=stat)
    write(tmp_path / "memory", memory__limit_in_bytes=9_223_372_036_854_771_712, memory__usage_in_bytes=5 * GIB)
    write(tmp_path / "cpu,cpuacct" / "docker" / "abc", cpu__cfs_quota_us=50_000, cpu__cfs_period_us=100_000)
    assert memory_limit(V1, tmp_path) == MemoryLimit(limit_bytes=4 * GIB, free_bytes=3 * GIB)
    assert cpu_quota(V1, tmp_path) == 0.5


def test_version_1_without_a_quota_writes_minus_one(tmp_path: Path) -> None:
    write(tmp_path / "cpu,cpuacct" / "docker" / "abc", cpu__cfs_quota_us=-1, cpu__cfs_period_us=100_000)
    assert cpu_quota(V1, tmp_path) is None


def test_a_version_1_path_from_outside_the_container_still_finds_the_mount(tmp_path: Path) -> None:
    write(tmp_path / "memory", memory__limit_in_bytes=GIB, memory__usage_in_bytes=0)
    assert memory_limit(V1, tmp_path) == MemoryLimit(GIB, GIB)


@pytest.mark.parametrize("text", ["", "max", "100000", "1 2 3", "x y", "100000 0"])
def test_a_quota_that_makes_no_sense_is_none(tmp_path: Path, text: str) -> None:
    write(tmp_path, cpu__max=text)
    assert cpu_quota("0::/\n", tmp_path) is None


def test_a_path_does_not_lead_out_of_the_mount(tmp_path: Path) -> None:
    write(tmp_path / "outside", memory__max=1, memory__current=0)
    mount = tmp_path / "mount"
    write(mount, memory__max=GIB, memory__current=0)
    assert memory_limit("0::/../outside\n", mount) == MemoryLimit(GIB, GIB)


def test_more_used_than_the_limit_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path, memory__max=GIB, memory__current=2 * GIB)
    assert memory_limit("0::/\n", tmp_path) == MemoryLimit(GIB, 0)
