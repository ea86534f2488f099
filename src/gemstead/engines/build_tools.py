"""The programs that build an engine from source: found, or named with the command that installs them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import msgspec

from gemstead.core.errors import ToolMissing
from gemstead.core.units import GIB

BYTES_PER_JOB = 2 * GIB
"""What one compiler takes at worst in llama.cpp's larger files."""

_PACKAGES = (
    ("apt-get", "sudo apt-get install -y cmake ninja-build g++"),
    ("dnf", "sudo dnf install -y cmake ninja-build gcc-c++"),
    ("pacman", "sudo pacman -S --needed cmake ninja gcc"),
    ("zypper", "sudo zypper install -y cmake ninja gcc-c++"),
    ("apk", "sudo apk add cmake ninja g++ linux-headers"),
    ("brew", "xcode-select --install; brew install cmake ninja"),
)


class BuildTools(msgspec.Struct, frozen=True):
    """`generator` is CMake's word for what `make_program` is; `nvcc` None: no CUDA compiler."""

    cmake: str
    generator: str
    make_program: str
    compiler: str
    nvcc: str | None


def find_build_tools() -> BuildTools:
    """Raises: ToolMissing naming everything that is missing and the one command that installs it."""
    cmake, compiler = _which("cmake"), _first("c++", "g++", "clang++")
    ninja = _which("ninja")
    make_program = ninja or _which("make")
    missing = [
        name for name, path in (("cmake", cmake), ("ninja", make_program), ("a C++ compiler", compiler)) if path is None
    ]
    if cmake is None or make_program is None or compiler is None:
        raise ToolMissing(
            f"building llama.cpp needs {' and '.join(missing)}, which is not installed",
            why="gemstead builds it from source, for exactly this CPU",
            hint=install_command(needs_compiler=compiler is None),
        )
    return BuildTools(cmake, "Ninja" if ninja else "Unix Makefiles", make_program, compiler, _which("nvcc"))


def install_command(*, needs_compiler: bool) -> str:
    """How to get what is missing on this machine: its package manager, or pip where only cmake and ninja lack."""
    if not needs_compiler:
        return f"{sys.executable} -m pip install cmake ninja"
    if sys.platform == "darwin" and _which("brew") is None:
        return f"xcode-select --install; {sys.executable} -m pip install cmake ninja"
    found = next((command for manager, command in _PACKAGES if _which(manager)), None)
    return found or "install a C++17 compiler, cmake and ninja with your system's package manager"


def num_jobs(usable_cores: int, available_bytes: int) -> int:
    """Compilers to run at once: one a core, and no more than fit in memory."""
    return max(1, min(usable_cores, available_bytes // BYTES_PER_JOB))


def _which(name: str) -> str | None:
    """On PATH, or beside the running Python: `pip install cmake` in a venv that is not activated."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def _first(*names: str) -> str | None:
    return next((path for name in names if (path := _which(name))), None)
