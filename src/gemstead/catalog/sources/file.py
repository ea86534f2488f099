"""A model file, or a folder with one, on this machine or on a share it has mounted."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from gemstead.catalog.download import RemoteFile
from gemstead.catalog.entries import Artefact
from gemstead.catalog.roles import only_main_model, split_names
from gemstead.catalog.source import ModelSource, SourceOptions
from gemstead.core.errors import RequestInvalid, SourceNotFound


def model_files(path: Path, quant: str | None = None) -> list[Path]:
    """All parts of the main model at `path`, a file or a folder, the first part first.

    Raises: SourceNotFound if it or a part is not there; RequestInvalid if a folder does not hold exactly one model.
    """
    if path.is_dir():
        names = [entry.name for entry in path.iterdir() if entry.is_file()]
        path = path / only_main_model(names, quant, str(path))
    parts = [path.with_name(name) for name in split_names(path.name)]
    for part in parts:
        if not part.is_file():
            raise SourceNotFound(f"{part} does not exist", hint="check the path")
    return parts


def _resolve(artefact: Artefact, options: SourceOptions) -> list[RemoteFile]:
    del options
    if not artefact.url:
        raise RequestInvalid(f"{artefact.tag} names no file", hint="give the path of a model file")
    url = artefact.url
    from urllib.request import url2pathname

    path = Path(url2pathname(urlsplit(url).path)) if url.startswith("file:") else Path(url).expanduser()
    parts = model_files(path, artefact.quant or None)
    return [
        RemoteFile(
            url=part.resolve().as_uri(),
            name=part.name,
            size_bytes=part.stat().st_size,
            sha256=artefact.sha256 if len(parts) == 1 else None,
        )
        for part in parts
    ]


SOURCE = ModelSource(name="file", resolve=_resolve, needs_network=False)
"""Files that are already on a disk; they are copied, so that the store keeps what it has verified."""
