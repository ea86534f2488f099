"""The pinned source of llama.cpp: where it comes from and what of it is needed."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from gemstead.core.errors import FileDamaged
from gemstead.core.progress import Progress

PROJECT = "llama-cpp-python"
PROJECT_VERSION = "0.3.36"
RELEASE = f"{PROJECT}-{PROJECT_VERSION}"
ARCHIVE_NAME = f"llama_cpp_python-{PROJECT_VERSION}.tar.gz"
ARCHIVE_SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
COMMIT = "0c1e57098"
"""The commit of llama.cpp in the archive, by its CHANGELOG.md."""

SOURCE_PREFIX = f"llama_cpp_python-{PROJECT_VERSION}/vendor/llama.cpp/"
UNNEEDED = ("benches/", "docs/", "gguf-py/", "media/", "models/", "pocs/")
"""Folders the build does not read, half of the tree."""
MAX_UNPACKED_BYTES = 500_000_000
"""The pinned archive unpacks to 174 MB."""


def fetch_archive(target: Path, environ: Mapping[str, str], progress: Progress) -> None:
    """The source archive from the package index that pip uses, checked against its pinned digest; resumed if cut.

    Raises: SourceError and its kinds, DigestMismatch, DiskFull.
    """
    from gemstead.catalog.download import download
    from gemstead.catalog.pip_config import pip_index
    from gemstead.catalog.sources.pypi import find_file

    remote = find_file(PROJECT, PROJECT_VERSION, ARCHIVE_NAME, pip_index(environ), sha256=ARCHIVE_SHA256)
    download(remote, target, progress=progress, task="fetch the llama.cpp source")


def unpack(archive: Path, target: Path, prefix: str, is_wanted: Callable[[str], bool]) -> None:
    """What is wanted below `prefix` of `archive`, as the folder `target`; it appears whole or not at all.

    Raises: FileDamaged if the archive is broken, too large, or has members that point outside of it.
    """
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            tar.extractall(partial, members=_wanted(tar, prefix, is_wanted), filter="data")
    except (tarfile.TarError, EOFError, OSError) as exc:
        shutil.rmtree(partial, ignore_errors=True)
        raise FileDamaged(
            f"{archive} cannot be unpacked: {exc}", hint="check the free space, then run it again"
        ) from exc
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)


def _wanted(tar: tarfile.TarFile, prefix: str, is_wanted: Callable[[str], bool]) -> Iterator[tarfile.TarInfo]:
    """Members below `prefix`, named without it."""
    total_bytes = 0
    for member in tar:
        name = member.name.removeprefix(prefix)
        if name == member.name or not is_wanted(name):
            continue
        total_bytes += member.size
        if total_bytes > MAX_UNPACKED_BYTES:
            raise tarfile.TarError(f"it unpacks to more than {MAX_UNPACKED_BYTES} bytes")
        yield member.replace(name=name, deep=False)


def is_built_from(name: str) -> bool:
    """Whether the build uses `name` of the source tree."""
    return not name.startswith(UNNEEDED)
