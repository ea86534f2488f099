"""The parts of a download that need no network: local files, parts on the disk, retries, messages."""

import errno
import hashlib
from pathlib import Path

import httpx2
import pytest

from gemstead.catalog import space
from gemstead.catalog.download import RemoteFile, RetryPolicy, download
from gemstead.catalog.partial import PartFile, write_atomic
from gemstead.catalog.space import disk_full_named, require_space
from gemstead.catalog.transport import Hints, is_loopback, raise_for_status, split_url, without_secrets
from gemstead.core.errors import (
    DigestMismatch,
    DiskFull,
    SourceError,
    SourceForbidden,
    SourceNotFound,
    SourceUnauthorized,
    SourceUnreachable,
)
from gemstead.core.progress import ProgressEvent

CONTENT = bytes(range(256)) * 8192
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def local(path: Path, **known: object) -> RemoteFile:
    return RemoteFile(url=path.as_uri(), name=path.name, **known)  # type: ignore[arg-type]


def test_a_local_file_is_copied_with_its_digest(tmp_path: Path) -> None:
    source = tmp_path / "a b#%.gguf"
    source.write_bytes(CONTENT)
    events: list[ProgressEvent] = []
    target = tmp_path / "out" / "a.gguf"
    assert download(local(source, sha256=SHA256), target, progress=events.append) == SHA256
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["a.gguf"]
    assert events[-1] == ProgressEvent("download a b#%.gguf", len(CONTENT), len(CONTENT), is_done=True)


def test_a_local_file_with_another_digest_or_size_is_refused(tmp_path: Path) -> None:
    source, target = tmp_path / "a.gguf", tmp_path / "out" / "a.gguf"
    source.write_bytes(CONTENT)
    with pytest.raises(DigestMismatch, match="sha256"):
        download(local(source, sha256="0" * 64), target)
    assert [path.read_bytes() for path in (target.parent / "quarantine").iterdir()] == [CONTENT]
    with pytest.raises(DigestMismatch, match="bytes"):
        download(local(source, size_bytes=1), target)
    assert not target.exists()


def test_a_local_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match=r"none\.gguf"):
        download(local(tmp_path / "none.gguf"), tmp_path / "out")


def part_of(tmp_path: Path, etag: str | None, size_bytes: int | None, sha256: str | None) -> PartFile:
    part = PartFile(tmp_path / "f.gguf")
    part.path.write_bytes(b"half")
    part.remember(etag, size_bytes, sha256)
    return PartFile(tmp_path / "f.gguf")


@pytest.mark.parametrize(
    ("etag", "size", "sha256", "wanted_sha256", "wanted_size", "usable"),
    [
        ('"v1"', 8, None, None, 8, 4),
        ('"v1"', 8, None, None, None, 4),
        (None, 8, "a", "a", 8, 4),
        ('"v1"', 8, "a", "b", 8, 0),
        ('"v1"', 8, None, None, 9, 0),
        ('W/"v1"', 8, None, None, 8, 0),
        (None, 8, None, None, 8, 0),
        (None, None, None, None, None, 0),
        ('"v1"', 3, None, None, 3, 0),
    ],
)
def test_a_part_is_used_only_if_something_vouches_for_it(
    tmp_path: Path,
    etag: str | None,
    size: int | None,
    sha256: str | None,
    wanted_sha256: str | None,
    wanted_size: int | None,
    usable: int,
) -> None:
    part = part_of(tmp_path, etag, size, sha256)
    assert part.usable_bytes(wanted_sha256, wanted_size) == usable
    assert part.path.exists() == (usable > 0)


@pytest.mark.parametrize("note", [None, b"", b"{", b"[1]", b'{"etag": 3}'])
def test_a_part_without_a_sound_note_is_not_trusted(tmp_path: Path, note: bytes | None) -> None:
    part = part_of(tmp_path, '"v1"', 8, None)
    part.note_path.unlink() if note is None else part.note_path.write_bytes(note)
    assert PartFile(tmp_path / "f.gguf").usable_bytes(None, 8) == 0


def test_a_small_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.json"
    write_atomic(path, b"1")
    write_atomic(path, b"2")
    assert path.read_bytes() == b"2"
    assert list(path.parent.iterdir()) == [path]


def test_delays_double_up_to_a_bound_and_the_server_is_obeyed() -> None:
    retry = RetryPolicy(first_delay_s=1, max_delay_s=8)
    for attempt, most_s in ((1, 1), (2, 2), (4, 8), (50, 8)):
        assert most_s / 2 <= retry.delay_s(attempt, None) <= most_s
    assert retry.delay_s(1, 7.0) == 7.0


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, SourceUnauthorized),
        (403, SourceForbidden),
        (404, SourceNotFound),
        (410, SourceNotFound),
        (429, SourceUnreachable),
        (500, SourceUnreachable),
        (418, SourceError),
    ],
)
def test_a_status_becomes_the_error_it_means_without_secrets(status: int, expected: type[SourceError]) -> None:
    url = "https://user:secret@host.example/f.gguf?signature=secret"
    hints = Hints("unauthorized", "forbidden", "not found", "unreachable")
    with pytest.raises(expected) as caught:
        raise_for_status(httpx2.Response(status, headers={"Retry-After": "9999"}), url, hints)
    assert type(caught.value) is expected
    assert str(status) in caught.value.what
    assert "secret" not in caught.value.what + str(caught.value.why)
    assert caught.value.retry_after_s in (None, 120.0)


def test_a_good_status_is_no_error() -> None:
    raise_for_status(httpx2.Response(206), "https://host.example/f", Hints())


def test_addresses_are_shown_without_secrets() -> None:
    assert without_secrets("https://u:p@[::1]:8/x?k=v#f") == "https://[::1]:8/x"
    assert "secret" not in repr(RemoteFile("https://u:secret@h/x?secret", "x", headers={"Authorization": "secret"}))


@pytest.mark.parametrize("url", ["http://[bad", "http://host:99999999/x", "http://host:port/"])
def test_a_malformed_address_is_an_error_of_the_source(url: str) -> None:
    with pytest.raises(SourceError, match="is not an address"):
        split_url(url)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_missing_space_is_told_in_bytes_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "free_bytes", lambda _: 10)
    with pytest.raises(DiskFull) as caught:
        require_space(tmp_path, 25, "pull x")
    assert caught.value.missing_bytes == 15
    assert "GEMSTEAD_DATA_DIR" in (caught.value.hint or "")
    require_space(tmp_path, 10, "pull x")


def test_space_of_a_folder_to_come_is_that_of_its_parent(tmp_path: Path) -> None:
    assert space.free_bytes(tmp_path / "not" / "yet") > 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_is_named(tmp_path: Path, number: int) -> None:
    with pytest.raises(DiskFull, match="is full"), disk_full_named(tmp_path, 5):
        raise OSError(number, "no space")


def test_other_failures_of_the_disk_are_not_called_full(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), disk_full_named(tmp_path, 5):
        raise PermissionError(errno.EACCES, "no")
