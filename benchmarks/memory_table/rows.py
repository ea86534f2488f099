"""One load of one model: what was predicted, what the engine reported, what the system counted; kept in a file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gemstead.bench.memory import MemoryReading
from gemstead.bench.store import append_line, read_lines
from gemstead.engines.llama_cpp_buffers import Buffers


class Cell(msgspec.Struct, frozen=True):
    """What is loaded. `context_length`: tokens one slot holds."""

    variant: str
    quant: str
    context_length: int
    num_slots: int


class Predicted(msgspec.Struct, frozen=True):
    """Bytes of the plan's parts on the host. `cold_bytes` of the mapped file are not needed after loading."""

    mapped_bytes: int
    cold_bytes: int
    repacked_bytes: int
    kv_cache_bytes: int
    compute_bytes: int
    runtime_bytes: int

    @property
    def buffer_bytes(self) -> int:
        """What the engine reports too: everything but the process itself, whose output rows it counts."""
        return self.mapped_bytes + self.repacked_bytes + self.kv_cache_bytes + self.compute_bytes

    @property
    def total_bytes(self) -> int:
        return self.buffer_bytes + self.runtime_bytes


class Row(msgspec.Struct, frozen=True):
    """`machine` by the fingerprint that the results of `bench run` have."""

    cell: Cell
    predicted: Predicted
    reported: Buffers
    reading: MemoryReading
    engine_version: str
    machine: str
    at: str

    @property
    def reported_bytes(self) -> int:
        """Every buffer of the engine's log but the output rows, which the plan counts among the process's own."""
        log = self.reported
        return log.mapped_bytes + log.repacked_bytes + log.kv_full_bytes + log.kv_sliding_bytes + log.compute_bytes

    @property
    def dropped_bytes(self) -> int:
        """Pages of the file that are mapped and were not in memory."""
        return max(0, self.predicted.mapped_bytes - (self.reading.file_bytes or 0))

    @property
    def held_bytes(self) -> int:
        """PSS, and the file's pages that the system had dropped for want of memory: they were predicted too."""
        return (self.reading.pss_bytes or self.reading.rss_bytes) + self.dropped_bytes

    @property
    def error(self) -> float:
        """Predicted / held - 1."""
        return self.predicted.total_bytes / self.held_bytes - 1


def append_row(path: Path, row: Row) -> None:
    """On the disk when it returns. Raises: as `append_line`."""
    append_line(path, msgspec.json.encode(row))


def read_rows(path: Path) -> dict[Cell, Row]:
    """The newest row of each cell, in the order in which they were first measured."""
    return {row.cell: row for row in (msgspec.json.decode(line, type=Row) for line in read_lines(path))}
