"""The text whose tokens are scored: a file of the user's, or prose from this project's own pages."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import msgspec

from gemstead.core.errors import RequestInvalid

MAX_FILE_BYTES = 256 * 1024 * 1024


class TextSource(msgspec.Struct, frozen=True):
    """`path` None: our own text, written for this project; no model older than it has read it."""

    path: Path | None = None

    def read(self) -> bytes:
        """Raises: RequestInvalid if it cannot be read, is no UTF-8, empty or too large."""
        if self.path is None:
            return files("gemstead.bench").joinpath("quality_text.txt").read_bytes()
        try:
            with self.path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
            content.decode("utf-8")
        except OSError as exc:
            raise RequestInvalid(f"{self.path} cannot be read: {exc.strerror}", param="text") from exc
        except UnicodeDecodeError as exc:
            raise RequestInvalid(f"{self.path} is not text in UTF-8", param="text") from exc
        if not content.strip() or len(content) > MAX_FILE_BYTES:
            raise RequestInvalid(f"{self.path} is empty or larger than {MAX_FILE_BYTES:,} bytes", param="text")
        return content
