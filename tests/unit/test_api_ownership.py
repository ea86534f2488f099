"""Whose a call is, and in whose words it is refused."""

import json
from typing import Any

import pytest

from door_fakes import FakeEngine, fake_services
from gemstead.api.asgi import build_api
from gemstead.api.call import Call
from gemstead.api.dialect import Dialect
from gemstead.api.ownership import choose, owner_of

VERSION = (b"anthropic-version", b"2023-06-01")


def dialect(name: str, prefix: str, header: bytes | None = None) -> Dialect:
    return Dialect(
        name=name,
        title=name,
        source="tests",
        path_prefix=prefix,
        routes=(),
        encode_error=lambda _error: b"",
        fields={},
        client_header=header,
    )


ROOT = dialect("root", "/")
API = dialect("api", "/api")
NAMED = dialect("named", "/v1/messages", b"anthropic-version")


async def nothing(*_: Any) -> Any:
    raise AssertionError("nobody reads or writes here")


def call(path: str, *headers: tuple[bytes, bytes]) -> Call:
    return Call({"type": "http", "method": "GET", "path": path, "headers": headers}, nothing, nothing, "r", 1.0)


@pytest.mark.parametrize(
    ("asked", "owner"),
    [
        (call("/"), ROOT),
        (call("/v1/models"), ROOT),
        (call("/v1/models", VERSION), NAMED),
        (call("/v1/messages"), NAMED),
        (call("/v1/messages/batches"), NAMED),
        (call("/api/chat"), API),
        (call("/nowhere", VERSION), NAMED),
    ],
)
def test_a_path_without_a_route_belongs_to_whom_the_call_names_else_to_the_longest_prefix(
    asked: Call, owner: Dialect
) -> None:
    assert owner_of((API, NAMED, ROOT), asked) is owner


def test_a_shared_path_goes_to_the_dialect_the_call_names_else_to_the_one_that_asks_for_no_name() -> None:
    shared = (NAMED, ROOT)
    assert shared[choose(shared, call("/v1/models", VERSION))] is NAMED
    assert shared[choose(shared, call("/v1/models"))] is ROOT
    assert choose((NAMED,), call("/v1/messages")) == 0


async def get(path: str, *headers: tuple[bytes, bytes], method: str = "GET") -> tuple[int, dict[bytes, bytes], Any]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    app = build_api(fake_services(FakeEngine()))
    given = [(b"host", b"localhost"), (b"content-type", b"application/json"), *headers]
    await app({"type": "http", "method": method, "path": path, "headers": given}, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), json.loads(sent[1]["body"])


async def test_models_are_listed_in_the_words_of_whoever_asks() -> None:
    _, _, plain = await get("/v1/models")
    _, headers, named = await get("/v1/models", VERSION)
    assert plain["object"] == "list"
    assert named["has_more"] is False
    assert [model["id"] for model in named["data"]] == [model["id"] for model in plain["data"]]
    assert headers[b"request-id"] == headers[b"x-request-id"]


async def test_one_model_is_shown_in_the_words_of_whoever_asks() -> None:
    _, _, named = await get("/v1/models/org/fake:e2b@tiny", VERSION)
    assert (named["type"], named["id"], named["created_at"]) == ("model", "org/fake:e2b@tiny", "1970-01-01T00:00:01Z")
    status, _, missing = await get("/v1/models/other", VERSION)
    assert (status, missing["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize(
    ("path", "headers", "method", "status", "kind"),
    [
        ("/v1/messages", (), "GET", 405, "invalid_request_error"),
        ("/v1/messages", (), "POST", 400, "invalid_request_error"),
        ("/v1/messages/batches", (), "POST", 404, "not_found_error"),
        ("/v1/nothing", (VERSION,), "GET", 404, "not_found_error"),
        ("/v1/models/other", (VERSION,), "GET", 404, "not_found_error"),
    ],
)
async def test_a_refusal_is_in_the_words_of_the_dialect_and_names_the_request(
    path: str, headers: tuple[tuple[bytes, bytes], ...], method: str, status: int, kind: str
) -> None:
    code, sent, body = await get(path, (b"x-request-id", b"req-7"), *headers, method=method)
    assert code == status
    assert (body["type"], body["error"]["type"], body["request_id"]) == ("error", kind, "req-7")
    assert sent[b"request-id"] == b"req-7"
