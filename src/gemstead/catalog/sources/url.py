"""Any https address of a model file, and of the other parts of a split model beside it."""

from __future__ import annotations

from urllib.parse import quote, unquote, urljoin

from gemstead.catalog.download import RemoteFile
from gemstead.catalog.entries import Artefact
from gemstead.catalog.roles import split_names
from gemstead.catalog.source import ModelSource, SourceOptions
from gemstead.catalog.transport import Transport, split_url
from gemstead.core.errors import RequestInvalid


def _resolve(artefact: Artefact, options: SourceOptions) -> list[RemoteFile]:
    url = artefact.url or ""
    parts = split_url(url)
    if parts.scheme not in ("http", "https"):
        raise RequestInvalid(f"{url!r} is not an http address", hint="give an https address")
    names = split_names(unquote(parts.path.rpartition("/")[2]))
    query = f"?{parts.query}" if parts.query else ""
    is_only = len(names) == 1
    return [
        RemoteFile(
            url=url if is_only else urljoin(url, quote(name)) + query,
            name=name,
            size_bytes=artefact.size_bytes if is_only else None,
            sha256=artefact.sha256 if is_only else None,
            transport=Transport(trusted_hosts=options.trusted_hosts),
        )
        for name in names
    ]


SOURCE = ModelSource(name="url", resolve=_resolve)
"""An address: nothing is asked beforehand, the size shows when the transfer starts."""
