"""Builds llama-server and the programs beside it from the pinned source, for exactly this CPU.

engines/llama.cpp/
  .install.lock                  one installation at a time
  work-<release>/                archive, source, build tree, build.log: kept when cut, so that the next try goes on
  <release>/bin/llama-server     appears whole, with the others, install.json, LICENSE, build.log and models/
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from gemstead.catalog.space import require_space
from gemstead.core.errors import EngineMissing, SourceError, ToolMissing
from gemstead.core.progress import Progress, ProgressEvent
from gemstead.core.units import GIB
from gemstead.engines.base import Installation
from gemstead.engines.build_run import run_build
from gemstead.engines.build_tools import BuildTools, find_build_tools, num_jobs
from gemstead.engines.llama_cpp_find import read_version
from gemstead.engines.llama_cpp_receipt import (
    FOLDER,
    PROGRAM_NAME,
    Receipt,
    instruction_sets,
    read_installation,
    write_receipt,
)
from gemstead.engines.llama_cpp_references import add_missing_references, copy_references, is_reference
from gemstead.engines.llama_cpp_source import (
    ARCHIVE_NAME,
    ARCHIVE_SHA256,
    COMMIT,
    RELEASE,
    SOURCE_PREFIX,
    fetch_archive,
    is_built_from,
    unpack,
)
from gemstead.hardware.probe import probe
from gemstead.hardware.snapshot import Machine
from gemstead.store.digest import file_sha256

NEEDED_BYTES = 1 * GIB
"""Archive 77 MB, source 90 MB, build tree 350 MB with the CPU back end alone."""
NEEDED_CUDA_BYTES = 6 * GIB
LOCK_POLL_S = 1.0
TASK = "build llama.cpp"

FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DGGML_NATIVE=ON",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
    # Without these the build asks git, and takes the history of whatever repository the folder happens to be in.
    f"-DLLAMA_BUILD_COMMIT={COMMIT}",
    "-DLLAMA_BUILD_NUMBER=0",
)
"""A server without web pages, TLS or network code of its own: it listens on a private socket."""


TARGETS = ("llama-server", "llama-bench", "llama-perplexity", "llama-quantize")
"""llama-bench is what `gemstead bench` is compared with: the same code, measured without HTTP. llama-perplexity gives
`gemstead bench quality` the log probabilities of a text, llama-quantize makes one precision of a file from another.
They share nearly everything with the server: 17, 10 and 5 s of one core on top."""


def install(engines_dir: Path, environ: Mapping[str, str], progress: Progress) -> Installation:
    """The llama-server of the pinned release, built if it is not there yet. Takes minutes; a cut build goes on.

    One that is there is given the reference files it lacks, or built anew where it lacks a program that a later
    gemstead uses. Without them it still serves, so that an index out of reach is told and is no error. A second call at
    the same time waits for the first and takes its result. `environ` is the environment that pip and the compiler see.

    Raises: ToolMissing, DiskFull, EngineMissing if the build fails, SourceError and DigestMismatch from the download.
    """
    home = engines_dir / FOLDER
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home, progress):
        ready = _usable(home / RELEASE)
        if ready is None:
            return _build(home, environ, progress)
        try:
            if not all((ready.program.parent / name).is_file() for name in TARGETS):
                return _build(home, environ, progress)
            add_missing_references(home / RELEASE, home / f"work-{RELEASE}", environ, progress)
        except SourceError as exc:
            note = f"what is here stays as it is, without all of its files: {exc.what}"
            progress(ProgressEvent(TASK, unit="steps", note=note, is_done=True))
        return ready


def build_flags(tools: BuildTools, machine: Machine) -> tuple[str, ...]:
    """CMake's flags here: CUDA where there are an NVIDIA GPU and its compiler; Metal is the default on macOS."""
    has_nvidia = any(gpu.vendor == "nvidia" for gpu in machine.gpus)
    if not has_nvidia or tools.nvcc is None:
        return FLAGS
    return (*FLAGS, "-DGGML_CUDA=ON", "-DCMAKE_CUDA_ARCHITECTURES=native", f"-DCMAKE_CUDA_COMPILER={tools.nvcc}")


def _build(home: Path, environ: Mapping[str, str], progress: Progress) -> Installation:
    tools = find_build_tools()
    machine = probe(home)
    flags = build_flags(tools, machine)
    if any(gpu.vendor == "nvidia" for gpu in machine.gpus) and flags == FLAGS:
        progress(ProgressEvent(TASK, unit="steps", note="an NVIDIA GPU, but no nvcc: it will not be used"))
    require_space(home, NEEDED_BYTES if flags == FLAGS else NEEDED_CUDA_BYTES, "building llama.cpp")
    work = home / f"work-{RELEASE}"
    work.mkdir(exist_ok=True)
    source, build = work / "source", work / "build"
    if not source.is_dir():
        fetch_archive(work / ARCHIVE_NAME, environ, progress)
        unpack(work / ARCHIVE_NAME, source, SOURCE_PREFIX, lambda name: is_built_from(name) or is_reference(name))
    configure = (
        *(tools.cmake, "-S", str(source), "-B", str(build), "-G", tools.generator),
        *(f"-DCMAKE_MAKE_PROGRAM={tools.make_program}", *flags),
    )
    jobs = num_jobs(machine.cpu.usable_cores, machine.memory.available.num_bytes)
    compile_ = (tools.cmake, "--build", str(build), "--target", *TARGETS, "--parallel", str(jobs))
    log = work / "build.log"
    log.unlink(missing_ok=True)
    _configure(configure, build, environ, log, progress)
    run_build(compile_, environ, log, progress, TASK)
    installation = _publish(home, source, build, log, _compiler_name(tools.compiler), flags)
    shutil.rmtree(work, ignore_errors=True)
    progress(ProgressEvent(TASK, unit="steps", is_done=True))
    return installation


def _configure(argv: tuple[str, ...], build: Path, environ: Mapping[str, str], log: Path, progress: Progress) -> None:
    """CMake's first step; once more from nothing if an older build tree is in the way (moved folder, new compiler)."""
    is_old = (build / "CMakeCache.txt").exists()
    try:
        run_build(argv, environ, log, progress, TASK)
    except EngineMissing:
        if not is_old:
            raise
        shutil.rmtree(build)
        run_build(argv, environ, log, progress, TASK)


def _publish(home: Path, source: Path, build: Path, log: Path, compiler: str, flags: tuple[str, ...]) -> Installation:
    """Everything that stays, put together aside and moved into place in one step."""
    partial, target = home / f".{RELEASE}.partial", home / RELEASE
    shutil.rmtree(partial, ignore_errors=True)
    program = partial / PROGRAM_NAME
    program.parent.mkdir(parents=True)
    for name in TARGETS:
        shutil.copy2(build / "bin" / name, program.parent / name)
    shutil.copy2(source / "LICENSE", partial)
    copy_references(source, partial)
    shutil.copy2(log, partial / log.name)
    found = program.stat()
    receipt = Receipt(
        version=read_version(program).text,
        release=RELEASE,
        source_sha256=ARCHIVE_SHA256,
        program_sha256=file_sha256(program),
        size_bytes=found.st_size,
        modified_ns=found.st_mtime_ns,
        flags=flags,
        compiler=compiler,
        architecture=platform.machine(),
        instruction_sets=instruction_sets(),
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_receipt(partial, receipt)
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)
    installation = read_installation(target)
    assert installation is not None
    return installation


def _usable(folder: Path) -> Installation | None:
    """What is installed, if it suits this machine; else it is built anew."""
    try:
        return read_installation(folder)
    except EngineMissing:
        return None


def _compiler_name(compiler: str) -> str:
    """The first line of `c++ --version`."""
    try:
        result = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as exc:
        hint = "xcode-select --install" if sys.platform == "darwin" else None
        raise ToolMissing(f"the compiler {compiler} does not run: {exc}", hint=hint) from exc
    return result.stdout.splitlines()[0].strip()


@contextmanager
def _locked(home: Path, progress: Progress) -> Iterator[None]:
    """Waits for another installation, and says so."""
    lock = FileLock(home / ".install.lock")
    while True:
        try:
            lock.acquire(timeout=LOCK_POLL_S)
            break
        except Timeout:
            progress(ProgressEvent(TASK, unit="steps", note="another gemstead is building it; waiting"))
    try:
        yield
    finally:
        lock.release()
