"""The installer, whole, with a source archive small enough to build in seconds: real index page, cmake and compiler."""

import hashlib
import io
import os
import shutil
import tarfile
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from gemstead.core.errors import DigestMismatch, EngineMissing
from gemstead.core.progress import ProgressEvent, no_progress
from gemstead.engines import llama_cpp_build, llama_cpp_source
from gemstead.engines.kinds.llama_cpp import ENGINE
from gemstead.engines.llama_cpp_receipt import FOLDER
from gemstead.engines.llama_cpp_source import ARCHIVE_NAME, RELEASE, SOURCE_PREFIX

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is missing"),
    pytest.mark.skipif(shutil.which("c++") is None, reason="a C++ compiler is missing"),
]

CMAKE = """
cmake_minimum_required(VERSION 3.18)
project(small CXX)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
add_executable(llama-server main.cpp)
target_compile_definitions(llama-server PRIVATE COMMIT="${LLAMA_BUILD_COMMIT}")
foreach(name llama-bench llama-perplexity llama-quantize)
  add_executable(${name} bench.cpp)
endforeach()
"""
MAIN = '#include <cstdio>\nint main() { std::puts("version: 0.5.0-dev (build 0, commit " COMMIT ")"); }\n'
BROKEN = "int main() { return no_such_name; }\n"


class Index:
    """A folder that pip would look into, holding one source archive; the pinned digest is made to be its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        folder.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(folder),
        }

    def publish(self, main: str) -> None:
        files = {
            "CMakeLists.txt": CMAKE,
            "main.cpp": main,
            "bench.cpp": "int main() { return 0; }",
            "LICENSE": "MIT",
            "models/ggml-vocab-gemma-4.gguf": "vocabulary",
            "models/ggml-vocab-gemma-4.gguf.inp": "texts",
            "models/ggml-vocab-gemma-4.gguf.out": "tokens",
            "models/templates/google-gemma-4-31B-it.jinja": "template",
            "docs/unneeded.md": "unneeded",
        }
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz") as tar:
            for name, text in files.items():
                member = tarfile.TarInfo(SOURCE_PREFIX + name)
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text.encode()))
        (self.folder / ARCHIVE_NAME).write_bytes(content.getvalue())
        digest = hashlib.sha256(content.getvalue()).hexdigest()
        for module in (llama_cpp_source, llama_cpp_build):
            self._monkeypatch.setattr(module, "ARCHIVE_SHA256", digest)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    return Index(tmp_path / "index", monkeypatch)


def test_it_is_built_once_and_then_found(tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.publish(MAIN)
    seen: list[ProgressEvent] = []
    built = ENGINE.install(tmp_path, index.environ, seen.append)
    assert (built.version, built.origin) == ("0.5.0-dev", f"built from {RELEASE}")
    assert ENGINE.find(None, tmp_path) == built
    kept = {str(path.relative_to(tmp_path / FOLDER)) for path in (tmp_path / FOLDER).rglob("*") if path.is_file()}
    assert kept == {".install.lock"} | {
        f"{RELEASE}/{name}"
        for name in (
            *("bin/llama-server", "bin/llama-bench", "bin/llama-perplexity", "bin/llama-quantize"),
            *("install.json", "LICENSE", "build.log"),
            *("models/ggml-vocab-gemma-4.gguf.inp", "models/ggml-vocab-gemma-4.gguf.out"),
            *("models/ggml-vocab-gemma-4.gguf", "models/templates/google-gemma-4-31B-it.jinja"),
        )
    }
    assert any(event.total for event in seen if event.unit in ("steps", "percent"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ENGINE.install(tmp_path, {}, no_progress) == built


def test_an_installation_of_old_gains_the_reference_files_and_is_not_built_again(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.publish(MAIN)
    built = ENGINE.install(tmp_path, index.environ, no_progress)
    models = tmp_path / FOLDER / RELEASE / "models"
    lost = [models / f"ggml-vocab-gemma-4.gguf{suffix}" for suffix in (".inp", ".out")]
    for path in lost:
        path.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    notes: list[str | None] = []
    out_of_reach = {**index.environ, "PIP_FIND_LINKS": str(tmp_path / "nowhere")}
    assert ENGINE.install(tmp_path, out_of_reach, lambda event: notes.append(event.note)) == built
    assert any(note and note.startswith("what is here stays as it is") for note in notes)
    assert ENGINE.install(tmp_path, index.environ, no_progress) == built
    assert [path.read_text() for path in lost] == ["texts", "tokens"]
    assert not (tmp_path / FOLDER / f"work-{RELEASE}").exists()


def test_an_installation_of_old_is_built_anew_for_the_programs_it_lacks(tmp_path: Path, index: Index) -> None:
    index.publish(MAIN)
    built = ENGINE.install(tmp_path, index.environ, no_progress)
    lost = built.program.with_name("llama-perplexity")
    lost.unlink()
    notes: list[str | None] = []
    out_of_reach = {**index.environ, "PIP_FIND_LINKS": str(tmp_path / "nowhere")}
    assert ENGINE.install(tmp_path, out_of_reach, lambda event: notes.append(event.note)) == built
    assert any(note and note.startswith("what is here stays as it is") for note in notes)
    ENGINE.install(tmp_path, index.environ, no_progress)
    assert lost.is_file()


def test_an_archive_with_another_digest_is_refused(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.publish(MAIN)
    monkeypatch.setattr(llama_cpp_source, "ARCHIVE_SHA256", "0" * 64)
    with pytest.raises(DigestMismatch):
        ENGINE.install(tmp_path, index.environ, no_progress)
    assert not (tmp_path / FOLDER / RELEASE).exists()


def test_a_compiler_error_is_shown_and_the_next_try_goes_on_from_there(tmp_path: Path, index: Index) -> None:
    index.publish(BROKEN)
    with pytest.raises(EngineMissing, match=r"build llama\.cpp failed") as failed:
        ENGINE.install(tmp_path, index.environ, no_progress)
    assert "no_such_name" in str(failed.value.why)
    work = tmp_path / FOLDER / f"work-{RELEASE}"
    assert "no_such_name" in (work / "build.log").read_text()
    (work / "source" / "main.cpp").write_text(MAIN)
    (index.folder / ARCHIVE_NAME).unlink()
    assert ENGINE.install(tmp_path, index.environ, no_progress).version == "0.5.0-dev"
    assert not work.exists()


def test_a_build_tree_from_another_place_is_made_anew(tmp_path: Path, index: Index) -> None:
    index.publish(BROKEN)
    with pytest.raises(EngineMissing):
        ENGINE.install(tmp_path / "old", index.environ, no_progress)
    (tmp_path / "old").rename(tmp_path / "new")
    (tmp_path / "new" / FOLDER / f"work-{RELEASE}" / "source" / "main.cpp").write_text(MAIN)
    assert ENGINE.install(tmp_path / "new", index.environ, no_progress).version == "0.5.0-dev"


def test_a_second_installation_waits_for_the_first(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.publish(MAIN)
    monkeypatch.setattr(llama_cpp_build, "LOCK_POLL_S", 0.05)
    (tmp_path / FOLDER).mkdir()
    notes: list[str | None] = []
    versions: list[str] = []
    second = threading.Thread(
        target=lambda: versions.append(
            ENGINE.install(tmp_path, index.environ, lambda event: notes.append(event.note)).version
        )
    )
    with FileLock(tmp_path / FOLDER / ".install.lock"):
        second.start()
        second.join(0.3)
        assert second.is_alive()
        assert "another gemstead is building it; waiting" in notes
    second.join(60)
    assert versions == ["0.5.0-dev"]
