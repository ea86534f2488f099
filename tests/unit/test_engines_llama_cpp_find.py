import platform
from pathlib import Path

import msgspec
import pytest

from gemstead.core.errors import EngineMissing
from gemstead.engines.llama_cpp_find import find, parse_version
from gemstead.engines.llama_cpp_receipt import FOLDER, PROGRAM_NAME, RECEIPT_NAME, Receipt, write_receipt
from gemstead.engines.llama_cpp_source import RELEASE
from gemstead.store.digest import file_sha256


def install(engines: Path, **changes: object) -> Path:
    """An installation as the builder leaves it, with a shell script for a program."""
    folder = engines / FOLDER / RELEASE
    program = folder / PROGRAM_NAME
    program.parent.mkdir(parents=True)
    say(program, "version: 0.5.0-dev (build 0, commit 0c1e570)")
    found = program.stat()
    receipt = Receipt(
        version="0.5.0-dev",
        release=RELEASE,
        source_sha256="0" * 64,
        program_sha256=file_sha256(program),
        size_bytes=found.st_size,
        modified_ns=found.st_mtime_ns,
        flags=(),
        compiler="cc 1",
        architecture=platform.machine(),
        instruction_sets=(),
        built_at="2026-11-24T00:00:00+00:00",
    )
    write_receipt(folder, msgspec.structs.replace(receipt, **changes))
    return program


def say(program: Path, text: str) -> None:
    """A program that prints `text` to stderr, where llama-server prints its version."""
    program.write_text(f"#!/bin/sh\necho '{text}' >&2\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("output", "text", "build"),
    [
        ("version: 0.5.0-dev (build 1, commit 0c1e570)\nbuilt with GNU 12.2.0", "0.5.0-dev", None),
        ("version: 0.4.2 (build 11434, commit abc)", "0.4.2", None),
        ("version: 8701 (59199408)\nbuilt with cc", "b8701", 8701),
        ("version: b11434 (abc)", "b11434", 11434),
        ("version: 0 (unknown)", "b0", None),
        ("ggml_cuda_init: found 1 CUDA devices\nversion: 10107 (abc)", "b10107", 10107),
    ],
)
def test_every_form_of_version_is_read(output: str, text: str, build: int | None) -> None:
    version = parse_version(output)
    assert version is not None
    assert (version.text, version.build) == (text, build)


def test_builds_before_gemma_4_worked_are_too_old() -> None:
    assert [parse_version(f"version: {build} (x)").is_too_old for build in (8701, 8702)] == [True, False]  # type: ignore[union-attr]


@pytest.mark.parametrize("output", ["", "ollama version is 0.20", "version: unknown"])
def test_what_is_no_llama_cpp_version_is_none(output: str) -> None:
    assert parse_version(output) is None


def test_a_built_program_is_found_with_its_digest(tmp_path: Path) -> None:
    program = install(tmp_path)
    found = find(None, tmp_path)
    assert found is not None
    assert (found.program, found.version, found.digest) == (program, "0.5.0-dev", file_sha256(program))


def test_a_moved_program_with_the_same_bytes_is_still_good(tmp_path: Path) -> None:
    install(tmp_path, modified_ns=1)
    assert find(None, tmp_path) is not None


def test_a_program_that_was_changed_is_refused(tmp_path: Path) -> None:
    say(install(tmp_path), "something else")
    with pytest.raises(EngineMissing, match="is not the program that was built here"):
        find(None, tmp_path)


def test_a_program_built_for_another_cpu_must_be_rebuilt(tmp_path: Path) -> None:
    install(tmp_path, instruction_sets=("avx9000",))
    with pytest.raises(EngineMissing, match="another CPU") as missing:
        find(None, tmp_path)
    assert missing.value.why == "this machine lacks avx9000"
    assert "rebuild" in str(missing.value.hint)


def test_a_program_built_for_another_architecture_must_be_rebuilt(tmp_path: Path) -> None:
    install(tmp_path, architecture="pdp11")
    with pytest.raises(EngineMissing, match="another CPU"):
        find(None, tmp_path)


@pytest.mark.parametrize("content", ["", "{", '{"version": 3}'])
def test_a_damaged_receipt_is_refused(tmp_path: Path, content: str) -> None:
    (install(tmp_path).parent.parent / RECEIPT_NAME).write_text(content)
    with pytest.raises(EngineMissing, match="is damaged"):
        find(None, tmp_path)


def test_a_program_on_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    say(tmp_path / "llama-server", "version: 9000 (abc)")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = find(None, tmp_path / "engines")
    assert found is not None
    assert (found.version, found.origin) == ("b9000", "on PATH")


@pytest.mark.parametrize("says", ["version: 8000 (abc)", "not at all"])
def test_an_old_or_broken_program_on_path_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, says: str
) -> None:
    say(tmp_path / "llama-server", says)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert find(None, tmp_path / "engines") is None
    assert "passed over" in caplog.text


def test_nothing_at_all_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find(None, tmp_path) is None


def test_the_program_the_user_set_wins_and_must_work(tmp_path: Path) -> None:
    install(tmp_path)
    mine = tmp_path / "mine"
    say(mine, "version: 9000 (abc)")
    found = find(str(mine), tmp_path)
    assert found is not None
    assert found.program == mine
    say(mine, "version: 8000 (abc)")
    with pytest.raises(EngineMissing, match="needs b8702"):
        find(str(mine), tmp_path)
    with pytest.raises(EngineMissing, match="no program"):
        find(str(tmp_path / "absent"), tmp_path)
