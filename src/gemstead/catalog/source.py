"""What a model source is: a place that tells addresses of files. A file in `sources/` offers one `SOURCE`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from gemstead.catalog.download import RemoteFile
from gemstead.catalog.entries import Artefact
from gemstead.core.errors import SourceUnreachable
from gemstead.core.plugins import load_plugin
from gemstead.core.progress import Progress

SOURCES = "gemstead.catalog.sources"


class SourceOptions(msgspec.Struct, frozen=True):
    """What the settings say about sources.

    `hf_token` None: the one that `hf auth login` left, for the public hub only. `pip_environ` is the environment pip
    would see. `is_offline` refuses every source that needs the network. `trusted_hosts` may be asked in plain http.
    """

    hf_endpoint: str = "https://huggingface.co"
    hf_token: str | None = None
    is_offline: bool = False
    pip_environ: Mapping[str, str] = {}
    trusted_hosts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"SourceOptions({self.hf_endpoint}, is_offline={self.is_offline})"


Assemble = Callable[[Artefact, Sequence[Path], Path, Progress], list[Path]]


class ModelSource(msgspec.Struct, frozen=True):
    """One kind of place models come from.

    `resolve` asks the place which files an artefact has and where they are; it transfers no weights. `assemble`
    (artefact, fetched files in order, folder, progress) makes the artefact's files out of what was fetched, in that
    folder; None: what was fetched are the artefact's files.
    """

    name: str
    resolve: Callable[[Artefact, SourceOptions], list[RemoteFile]]
    assemble: Assemble | None = None
    needs_network: bool = True


def load_source(name: str) -> ModelSource:
    """Raises: NameUnknown."""
    return load_plugin(SOURCES, name, "SOURCE", ModelSource)


def resolve(artefact: Artefact, options: SourceOptions) -> list[RemoteFile]:
    """The files of `artefact` at its source.

    Raises: NameUnknown if there is no such source, SourceUnreachable when offline was asked for, and the source's own
    errors.
    """
    source = load_source(artefact.source)
    if options.is_offline and source.needs_network:
        raise SourceUnreachable(
            f"{artefact.place} is not here, and offline mode forbids to fetch it",
            hint="switch offline mode off, or bring the file: `gemstead models import FILE --name NAME`",
        )
    return source.resolve(artefact, options)
