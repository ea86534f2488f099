"""Project pages of a package index: the Simple API as JSON (PEP 691) or as HTML (PEP 503)."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import msgspec

from gemstead.core.errors import SourceError

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
ACCEPT = f"{JSON_TYPE}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


class IndexFile(msgspec.Struct, frozen=True):
    """One file that a page offers; size and sha256 are None where the page does not tell them."""

    filename: str
    url: str
    sha256: str | None = None
    size_bytes: int | None = None


class _JsonFile(msgspec.Struct):
    filename: str
    url: str
    hashes: dict[str, str] = {}
    size: int | None = None


class _JsonPage(msgspec.Struct):
    files: list[_JsonFile]


def parse_page(content: bytes, content_type: str, page_url: str) -> list[IndexFile]:
    """The files on a page that came from `page_url`; relative addresses are made absolute.

    Raises: SourceError if a JSON page is not one.
    """
    if content_type.partition(";")[0].strip().lower() in (JSON_TYPE, "application/json"):
        return _parse_json(content, page_url)
    return _parse_html(content, page_url)


def _parse_json(content: bytes, page_url: str) -> list[IndexFile]:
    try:
        page = msgspec.json.decode(content, type=_JsonPage)
    except msgspec.DecodeError as exc:
        raise SourceError(f"{urlsplit(page_url).hostname} sent a damaged project page", why=str(exc)) from exc
    return [
        IndexFile(file.filename, url, file.hashes.get("sha256"), file.size)
        for file in page.files
        if (url := _joined(page_url, file.url)) is not None
    ]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.base: str | None = None
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if href and tag == "a":
            self.hrefs.append(href)
        elif href and tag == "base" and self.base is None:
            self.base = href


def _parse_html(content: bytes, page_url: str) -> list[IndexFile]:
    links = _Links()
    links.feed(content.decode("utf-8", errors="replace"))
    base = (_joined(page_url, links.base) if links.base else None) or page_url
    return [_from_href(address) for href in links.hrefs if (address := _joined(base, href)) is not None]


def _joined(base: str, address: str) -> str | None:
    """None for what is no address at all: one bad entry does not spoil a page."""
    try:
        return urljoin(base, address)
    except ValueError:
        return None


def _from_href(address: str) -> IndexFile:
    url, fragment = urldefrag(address)
    kind, _, digest = fragment.partition("=")
    filename = unquote(urlsplit(url).path.rpartition("/")[2])
    return IndexFile(filename, url, digest.partition("&")[0].lower() if kind == "sha256" and digest else None)


def page_bytes_of(chunks: Any, limit: int, page_url: str) -> bytes:
    """All chunks joined. Raises: SourceError beyond `limit` bytes: an index page is never that large."""
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > limit:
            raise SourceError(f"{urlsplit(page_url).hostname} sent a page of more than {limit} bytes")
    return bytes(content)
