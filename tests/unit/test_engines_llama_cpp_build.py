import io
import sys
import tarfile
from pathlib import Path

import pytest

from gemstead.core.errors import EngineMissing, FileDamaged, ToolMissing
from gemstead.core.figures import BytesFigure
from gemstead.core.progress import ProgressEvent, no_progress
from gemstead.core.units import GIB
from gemstead.engines import build_tools
from gemstead.engines.build_run import run_build, step_of
from gemstead.engines.build_tools import BuildTools, find_build_tools, num_jobs
from gemstead.engines.llama_cpp_build import FLAGS, build_flags
from gemstead.engines.llama_cpp_references import is_reference
from gemstead.engines.llama_cpp_source import is_built_from, unpack
from gemstead.hardware.snapshot import Cpu, Gpu, Machine, Memory

FREE = BytesFigure(8 * GIB, "assumed")
TOOLS = BuildTools("cmake", "Ninja", "ninja", "c++", nvcc="/usr/local/cuda/bin/nvcc")


def machine(*gpus: Gpu) -> Machine:
    return Machine("box", "profile", Cpu(None, "x86_64", 2, 2, 2), Memory(8 * GIB, FREE), gpus)


def archive(path: Path, *members: tarfile.TarInfo, content: bytes = b"hello") -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_cuda_is_built_only_where_gpu_and_compiler_are_both_there() -> None:
    nvidia = Gpu("H100", "nvidia", 80 * GIB, FREE)
    assert build_flags(TOOLS, machine()) == FLAGS
    assert "-DGGML_CUDA=ON" in build_flags(TOOLS, machine(nvidia))
    assert build_flags(BuildTools("cmake", "Ninja", "ninja", "c++", nvcc=None), machine(nvidia)) == FLAGS
    assert build_flags(TOOLS, machine(Gpu("Radeon", "amd", GIB, FREE))) == FLAGS


@pytest.mark.parametrize(
    ("cores", "free_bytes", "jobs"), [(8, 64 * GIB, 8), (8, 6 * GIB, 3), (8, GIB, 1), (1, 64 * GIB, 1)]
)
def test_jobs_are_bounded_by_cores_and_by_memory(cores: int, free_bytes: int, jobs: int) -> None:
    assert num_jobs(cores, free_bytes) == jobs


def test_progress_is_read_from_ninja_and_from_make() -> None:
    ninja = step_of("[12/206] Building CXX object src/CMakeFiles/llama.dir/llama.cpp.o\n", "t")
    assert ninja == ProgressEvent("t", 12, 206, unit="steps", note="llama.cpp.o")
    make = step_of("[  7%] Building C object ggml/src/CMakeFiles/ggml-base.dir/ggml.c.o", "t")
    assert make == ProgressEvent("t", 7, 100, unit="percent", note="ggml.c.o")
    assert step_of("-- Found Threads: TRUE", "t") is None


def test_missing_tools_are_named_with_the_command_that_brings_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    for name in ("c++", "apt-get"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(ToolMissing, match="cmake and ninja") as missing:
        find_build_tools()
    assert missing.value.hint == f"{tmp_path / 'python'} -m pip install cmake ninja"
    (tmp_path / "c++").unlink()
    with pytest.raises(ToolMissing, match=r"C\+\+ compiler") as missing:
        find_build_tools()
    if sys.platform == "linux":
        assert missing.value.hint == "sudo apt-get install -y cmake ninja-build g++"


def test_tools_installed_beside_python_are_found_and_make_serves_without_ninja(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = tmp_path / "venv"
    beside.mkdir()
    for path in (beside / "cmake", tmp_path / "make", tmp_path / "g++"):
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(build_tools.sys, "executable", str(beside / "python"))
    tools = find_build_tools()
    assert (tools.cmake, tools.generator) == (str(beside / "cmake"), "Unix Makefiles")
    assert tools.nvcc is None


def test_a_failed_step_shows_its_last_lines_and_keeps_its_log(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    script = "import sys; print('error: no such header'); sys.exit(3)"
    with pytest.raises(EngineMissing, match="exit status 3") as failed:
        run_build((sys.executable, "-c", script), {}, log, no_progress, "build it")
    assert failed.value.why == "error: no such header"
    assert "no such header" in log.read_text()


def test_a_step_reports_its_progress(tmp_path: Path) -> None:
    seen: list[ProgressEvent] = []
    run_build((sys.executable, "-c", "print('[1/2] a.o\\n[2/2] b')"), {}, tmp_path / "log", seen.append, "t")
    assert [(event.done, event.total) for event in seen] == [(1, 2), (2, 2)]


def test_only_what_the_build_needs_is_unpacked(tmp_path: Path) -> None:
    source = archive(
        tmp_path / "a.tar.gz", member("p/vendor/CMakeLists.txt"), member("p/vendor/docs/x.md"), member("p/other.py")
    )
    unpack(source, tmp_path / "out", "p/vendor/", is_built_from)
    assert [str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*")] == ["CMakeLists.txt"]


@pytest.mark.parametrize(
    "bad",
    [
        member("p/../../evil"),
        member("p/link", tarfile.SYMTYPE, "/etc/passwd"),
        member("p/link", tarfile.SYMTYPE, "../../up"),
        member("p/hard", tarfile.LNKTYPE, "../../up"),
        member("p/dev", tarfile.CHRTYPE),
    ],
    ids=lambda info: f"{info.name}-{info.type!r}",
)
def test_a_member_that_points_outside_is_refused_and_leaves_nothing(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(FileDamaged):
        unpack(archive(inside / "a.tar.gz", member("p/good"), bad), inside / "out", "p/", is_built_from)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.tar.gz"]


@pytest.mark.parametrize("content", [b"", b"not an archive", b"\x1f\x8b\x08\x00"])
def test_a_broken_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(FileDamaged):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out", "p/", is_built_from)


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gemstead.engines.llama_cpp_source.MAX_UNPACKED_BYTES", 8)
    with pytest.raises(FileDamaged, match="more than 8 bytes"):
        unpack(archive(tmp_path / "a.tar.gz", member("p/a"), member("p/b")), tmp_path / "out", "p/", is_built_from)


def test_what_describes_gemma_4_is_kept_and_no_other_model() -> None:
    assert is_reference("models/ggml-vocab-gemma-4.gguf")
    assert is_reference("models/ggml-vocab-gemma-4.gguf.inp")
    assert is_reference("models/templates/google-gemma-4-31B-it.jinja")
    assert not is_reference("models/ggml-vocab-falcon.gguf")
    assert not is_reference("src/llama.cpp")
    assert is_built_from("src/llama.cpp")
    assert not is_built_from("models/ggml-vocab-gemma-4.gguf")
