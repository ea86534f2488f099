"""Multipart forms: what is read, what is refused, and which pages may send one."""

from __future__ import annotations

from typing import Any

import pytest

from gemstead.api.call import Call
from gemstead.api.errors import BodyTooLarge, ContentTypeRefused, HostRefused
from gemstead.api.form import MAX_FIELD_BYTES, MAX_FIELDS, read_form
from gemstead.api.hosts import check_origin
from gemstead.core.errors import RequestInvalid

TYPE = "multipart/form-data; boundary=cut"


def part(name: str, value: bytes, filename: str | None = None, media_type: str | None = None) -> bytes:
    head = f'content-disposition: form-data; name="{name}"' + (f'; filename="{filename}"' if filename else "")
    typed = f"\r\ncontent-type: {media_type}" if media_type else ""
    return b"--cut\r\n" + f"{head}{typed}".encode() + b"\r\n\r\n" + value + b"\r\n"


def call_with(body: bytes, content_type: str = TYPE, piece_bytes: int = 7) -> Call:
    """A call whose body arrives in small pieces."""
    pieces = [body[start : start + piece_bytes] for start in range(0, len(body), piece_bytes)] or [b""]

    async def receive() -> dict[str, Any]:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        raise AssertionError("nothing is answered here")

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", content_type.encode())]}
    return Call(scope, receive, send, "req_1", 5.0)


async def test_fields_keep_their_order_and_the_file_its_bytes() -> None:
    sound = bytes(range(256)) * 8
    body = (
        part("model", b"m")
        + part("languages[]", b"de")
        + part("file", sound, "a.wav", "Audio/WAV")
        + part("languages[]", "fräncais".encode())
        + b"--cut--\r\n"
    )
    form = await read_form(call_with(body), 10_000, 5.0)
    assert form.fields == {"model": ("m",), "languages[]": ("de", "fräncais")}
    assert form.files["file"].content == sound
    assert (form.files["file"].name, form.files["file"].media_type) == ("a.wav", "audio/wav")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(part("file", b"x", "a") + part("more", b"x", "b") + b"--cut--", id="two files"),
        pytest.param(part("n", b"1") * (MAX_FIELDS + 1) + b"--cut--", id="too many fields"),
        pytest.param(part("n", b"1" * (MAX_FIELD_BYTES + 1)) + b"--cut--", id="too large a field"),
        pytest.param(b"--cut\r\ncontent-disposition: form-data\r\n\r\nx\r\n--cut--", id="no name"),
        pytest.param(b"nothing of the kind", id="no form"),
    ],
)
async def test_a_form_that_is_not_as_it_should_be_is_refused(body: bytes) -> None:
    with pytest.raises(RequestInvalid):
        await read_form(call_with(body, piece_bytes=4096), 200_000, 5.0)


async def test_a_form_without_a_boundary_is_refused() -> None:
    with pytest.raises(RequestInvalid):
        await read_form(call_with(part("a", b"b"), "multipart/form-data"), 10_000, 5.0)


async def test_a_body_of_another_type_is_refused() -> None:
    with pytest.raises(ContentTypeRefused):
        await read_form(call_with(b"{}", "application/json"), 10_000, 5.0)


async def test_a_body_larger_than_the_limit_is_refused() -> None:
    with pytest.raises(BodyTooLarge):
        await read_form(call_with(part("file", b"x" * 5000, "a.wav")), 1000, 5.0)


@pytest.mark.parametrize("origin", [None, "http://127.0.0.1:8484", "https://127.0.0.1:8484"])
def test_programs_and_pages_of_this_server_may_send_forms(origin: str | None) -> None:
    check_origin(origin, "127.0.0.1:8484")


@pytest.mark.parametrize("origin", ["null", "", "https://evil.example", "http://127.0.0.1:9999", "http://localhost"])
def test_pages_of_other_sites_may_not(origin: str) -> None:
    with pytest.raises(HostRefused):
        check_origin(origin, "127.0.0.1:8484")
