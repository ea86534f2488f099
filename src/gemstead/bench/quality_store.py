"""The file of quality measurements: one line of JSON each, only ever appended."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gemstead.bench.quality_results import QUALITY_SCHEMA, QualityRecord, QualityRun, gather_quality
from gemstead.bench.store import append_line, read_lines
from gemstead.core.errors import NameUnknown, RequestInvalid

FILE = "bench/quality.jsonl"
"""Below the data directory."""


class _Version(msgspec.Struct):
    schema: int


class QualityStore:
    """The measurements of one data directory; any number of processes may write."""

    def __init__(self, data: Path) -> None:
        self.path = data / FILE

    def append(self, record: QualityRecord) -> None:
        """On the disk when it returns. Raises: as `append_line`."""
        append_line(self.path, msgspec.json.encode(record))

    def runs(self) -> list[QualityRun]:
        """Oldest first, without lines that cannot be read. Raises: as `read_lines`."""
        return gather_quality(record for record in map(_decode, read_lines(self.path)) if record is not None)

    def find(self, name: str) -> QualityRun | None:
        """The run whose id begins with `name`; "last" is the newest. None: there is none.

        Raises: RequestInvalid if several begin so.
        """
        runs = self.runs()
        found = runs[-1:] if name == "last" else [run for run in runs if run.start.run.startswith(name)]
        if len(found) > 1:
            raise RequestInvalid(f"{len(found)} runs begin with {name!r}", hint="give more of the id")
        return found[0] if found else None

    def require(self, name: str) -> QualityRun:
        """As `find`. Raises: NameUnknown if there is none."""
        found = self.find(name)
        if found is None:
            raise NameUnknown("quality run", name, [run.start.run for run in self.runs()], hint="(gemstead bench list)")
        return found


def _decode(line: bytes) -> QualityRecord | None:
    """None: cut by a crash, or of a later gemstead."""
    try:
        if msgspec.json.decode(line, type=_Version).schema > QUALITY_SCHEMA:
            return None
        record: QualityRecord = msgspec.json.decode(line, type=QualityRecord)
    except msgspec.DecodeError:
        return None
    return record
