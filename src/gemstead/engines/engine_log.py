"""Everything an engine prints, in a file of bounded size, and its last lines in memory for error messages."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

MAX_LOG_BYTES = 8 * 1024 * 1024
"""One file; with the one before it an engine's log takes twice this at most."""
TAIL_LINES = 60
MAX_LINE_BYTES = 4096
"""Longer lines are cut in the tail, never in the file."""


class EngineLog:
    """Writes `path`, renaming a full one to `path` + ".1". Each start of an engine begins a new file."""

    def __init__(self, path: Path, max_bytes: int = MAX_LOG_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._rest = b""
        self._file: BinaryIO | None = None
        self._size_bytes = 0

    @property
    def tail(self) -> list[str]:
        """The last lines, oldest first."""
        rest = self._rest.decode("utf-8", "replace").rstrip()
        return [*self._tail, rest] if rest else list(self._tail)

    def begin(self) -> None:
        """A new file for a new start; the old one is kept as `.1`. Raises: OSError if it cannot be made."""
        self._tail.clear()
        self._rest = b""
        self._rotate()

    def write(self, output: bytes) -> None:
        """Never raises: a full disk must not stop the engine, whose output has to be taken from its pipe."""
        with suppress(OSError):
            self._append(output)
        *lines, rest = (self._rest + output).split(b"\n")
        self._rest = rest[-MAX_LINE_BYTES:]
        for line in lines[-TAIL_LINES:]:
            self._tail.append(line[:MAX_LINE_BYTES].decode("utf-8", "replace").rstrip())

    def _append(self, output: bytes) -> None:
        if self._file is None or self._size_bytes + len(output) > self._max_bytes:
            self._rotate()
        assert self._file is not None
        self._file.write(output)
        self._size_bytes += len(output)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rotate(self) -> None:
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.path.exists():
            self.path.replace(self.path.with_name(self.path.name + ".1"))
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = open(handle, "wb", buffering=0)  # noqa: PTH123, SIM115 a descriptor with its mode set
        self._size_bytes = 0
