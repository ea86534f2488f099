import json

import pytest

from gemstead.catalog.simple_page import JSON_TYPE, IndexFile, page_bytes_of, parse_page
from gemstead.core.errors import SourceError

PAGE = "https://index.example/simple/a-b/"


def test_a_json_page_tells_digest_and_size() -> None:
    page = {
        "meta": {"api-version": "1.1"},
        "name": "a-b",
        "files": [
            {"filename": "a_b-1-py3-none-any.whl", "url": "../../files/a.whl", "hashes": {"sha256": "ab"}, "size": 7},
            {"filename": "a_b-1.tar.gz", "url": "https://other.example/a.tar.gz", "hashes": {}, "yanked": "broken"},
        ],
    }
    assert parse_page(json.dumps(page).encode(), f"{JSON_TYPE}; charset=utf-8", PAGE) == [
        IndexFile("a_b-1-py3-none-any.whl", "https://index.example/files/a.whl", "ab", 7),
        IndexFile("a_b-1.tar.gz", "https://other.example/a.tar.gz"),
    ]


def test_an_html_page_tells_the_digest_behind_the_address() -> None:
    page = b"""<!DOCTYPE html><html><body><a name="x">no address</a>
        <a href="../../f/a_b-1%2Bcpu-py3-none-any.whl#sha256=AB" data-requires-python="&gt;=3.8">a</a>
        <a href="a_b-1.tar.gz#md5=cd">b</a></body></html>"""
    assert parse_page(page, "text/html", PAGE) == [
        IndexFile("a_b-1+cpu-py3-none-any.whl", "https://index.example/f/a_b-1%2Bcpu-py3-none-any.whl", "ab"),
        IndexFile("a_b-1.tar.gz", "https://index.example/simple/a-b/a_b-1.tar.gz"),
    ]


def test_an_html_page_may_move_its_base() -> None:
    page = b'<base href="https://cdn.example/x/"><a href="a.whl">a</a>'
    assert parse_page(page, "text/html", PAGE) == [IndexFile("a.whl", "https://cdn.example/x/a.whl")]


@pytest.mark.parametrize("content", [b"", b"{", b'{"files": 3}', b"[]", b'{"files": [{"filename": "a"}]}', b"\xff\xfe"])
def test_a_damaged_json_page_is_an_error_of_the_source(content: bytes) -> None:
    with pytest.raises(SourceError, match=r"index\.example sent a damaged"):
        parse_page(content, JSON_TYPE, PAGE)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe<a", b"<a href=>", b"<a href='http://[bad'>x</a>", b"<" * 10_000])
def test_a_damaged_html_page_offers_nothing(content: bytes) -> None:
    assert parse_page(content, "text/html", PAGE) == []


def test_a_page_without_end_is_cut_off() -> None:
    with pytest.raises(SourceError, match="more than 100 bytes"):
        page_bytes_of((b"x" * 60 for _ in range(10**9)), 100, PAGE)
