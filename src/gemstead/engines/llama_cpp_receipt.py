"""What is known about an installed llama.cpp: written beside the program when built, checked before it is used."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import msgspec

from gemstead.core.errors import EngineMissing
from gemstead.engines.base import Installation
from gemstead.hardware.linux import parse_cpuinfo
from gemstead.store.digest import file_sha256

KIND = "llama_cpp"
FOLDER = "llama.cpp"
RECEIPT_NAME = "install.json"
PROGRAM_NAME = "bin/llama-server"
INSTALL_HINT = "gemstead engine install llama_cpp"


class Receipt(msgspec.Struct, frozen=True):
    """`version` is what the program says of itself; `release` the pinned source archive it was built from.

    `size_bytes` and `modified_ns` spare hashing the program at each start; `built_at` is UTC in ISO 8601.
    """

    version: str
    release: str
    source_sha256: str
    program_sha256: str
    size_bytes: int
    modified_ns: int
    flags: tuple[str, ...]
    compiler: str
    architecture: str
    instruction_sets: tuple[str, ...]
    built_at: str


def write_receipt(folder: Path, receipt: Receipt) -> None:
    content = msgspec.json.format(msgspec.json.encode(receipt), indent=2)
    (folder / RECEIPT_NAME).write_bytes(content)


def read_installation(folder: Path) -> Installation | None:
    """The installation in `folder`, checked; None if there is none.

    Raises: EngineMissing if it was changed since, or built for a CPU that has what this one lacks.
    """
    program = folder / PROGRAM_NAME
    try:
        receipt = msgspec.json.decode((folder / RECEIPT_NAME).read_bytes(), type=Receipt)
        found = program.stat()
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as exc:
        raise EngineMissing(f"{folder / RECEIPT_NAME} is damaged: {exc}", hint=INSTALL_HINT) from exc
    if lacking := lacking_here(receipt):
        raise EngineMissing(
            f"llama.cpp in {folder} was built for another CPU and would crash here",
            why=f"this machine lacks {', '.join(lacking)}",
            hint=f"rebuild it: {INSTALL_HINT}",
        )
    is_untouched = (found.st_size, found.st_mtime_ns) == (receipt.size_bytes, receipt.modified_ns)
    if not is_untouched and file_sha256(program) != receipt.program_sha256:
        raise EngineMissing(f"{program} is not the program that was built here", hint=f"rebuild it: {INSTALL_HINT}")
    can_use_gpu = sys.platform == "darwin" or any("CUDA" in flag for flag in receipt.flags)
    origin = f"built from {receipt.release}"
    return Installation(KIND, program, receipt.version, origin, receipt.program_sha256, can_use_gpu)


def lacking_here(receipt: Receipt) -> list[str]:
    """What the build machine had and this one has not."""
    if receipt.architecture != platform.machine():
        return [receipt.architecture]
    return sorted(set(receipt.instruction_sets) - set(instruction_sets()))


def instruction_sets() -> tuple[str, ...]:
    """Of this CPU. Empty on macOS: the architecture, compared beside it, is all that is looked at there."""
    if sys.platform != "linux":
        return ()
    return parse_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")).instruction_sets
