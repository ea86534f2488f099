"""Kills for want of memory, as the kernel counts them in both versions of control groups."""

from __future__ import annotations

from pathlib import Path

from gemstead.hardware.cgroups import oom_kills


def test_kills_of_our_own_group_are_counted(tmp_path: Path) -> None:
    group = tmp_path / "user.slice" / "app.service"
    group.mkdir(parents=True)
    (group / "memory.events").write_text("low 0\nhigh 3\nmax 9\noom 2\noom_kill 2\noom_group_kill 0\n")
    (tmp_path / "memory.events").write_text("oom_kill 40\n")
    assert oom_kills("0::/user.slice/app.service\n", tmp_path) == 2


def test_version_1_counts_them_too(tmp_path: Path) -> None:
    group = tmp_path / "memory" / "docker" / "abc"
    group.mkdir(parents=True)
    (group / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    assert oom_kills("8:memory:/docker/abc\n", tmp_path) == 1


def test_where_the_system_does_not_tell_it_is_unknown(tmp_path: Path) -> None:
    assert oom_kills("", tmp_path) is None
    assert oom_kills("0::/app\n", tmp_path) is None
