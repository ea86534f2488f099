"""What cannot be recorded is not answered, and every dialect says so in its own words."""

import json
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from door_fakes import FakeEngine, fake_exchange, fake_services
from fake_ledger import FakeLedger, recorder
from gemstead.api.asgi import DIALECTS, build_api
from gemstead.api.dialect import ChatRoute, Dialect, EmbedRoute, ResponsesRoute
from gemstead.core.caller import Caller
from gemstead.core.plugins import load_plugin, plugin_names

ALL = tuple(load_plugin(DIALECTS, name, "DIALECT", Dialect) for name in plugin_names(DIALECTS))

MESSAGES = {"messages": [{"role": "user", "content": "hi"}]}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": MESSAGES,
    "/v1/completions": {"prompt": "hi"},
    "/v1/responses": {"input": "hi"},
    "/v1/messages": MESSAGES | {"max_tokens": 5},
    "/api/chat": MESSAGES,
    "/api/generate": {"prompt": "hi"},
    "/v1/embeddings": {"input": "hi"},
    "/api/embed": {"input": "hi"},
    "/api/embeddings": {"prompt": "hi"},
}

ROUTES = {
    route.path: (dialect, route)
    for dialect in ALL
    for route in dialect.routes
    if isinstance(route, ChatRoute | EmbedRoute | ResponsesRoute) and route.path != "/v1/responses/compact"
}


async def post(folder: Path, ledger: FakeLedger, path: str, **fields: Any) -> httpx2.Response:
    engine = FakeEngine()
    kept = recorder(folder, ledger)
    exchange = msgspec.structs.replace(fake_exchange(engine), recorder=lambda: kept)
    app = build_api(fake_services(engine, chat=exchange.chat, embed=exchange.embed))
    body = {"model": "fake", **BODIES[path], **fields}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as http:
        answer = await http.post(path, json=body)
    await kept.settle()
    return answer


def test_every_route_that_answers_is_asked_here() -> None:
    assert set(ROUTES) == set(BODIES)


@pytest.mark.parametrize("kind", ["exchange.opened", "exchange.closed"])
@pytest.mark.parametrize("path", sorted(BODIES))
async def test_a_whole_answer_becomes_the_dialects_own_503(tmp_path: Path, path: str, kind: str) -> None:
    answer = await post(tmp_path, FakeLedger(kind), path, **_stream(path, is_on=False))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    dialect, _route = ROUTES[path]
    msgspec.json.decode(answer.content, type=dialect.error_type)
    assert "the evidence cannot be written" in answer.text
    assert "Hello" not in answer.text


@pytest.mark.parametrize(
    "path", sorted(path for path, (_, route) in ROUTES.items() if not isinstance(route, EmbedRoute))
)
async def test_a_stream_is_refused_before_it_begins_or_ends_in_an_error(tmp_path: Path, path: str) -> None:
    refused = await post(tmp_path, FakeLedger("exchange.opened"), path, **_stream(path, is_on=True))
    assert refused.status_code == 503
    broken = await post(tmp_path, FakeLedger("exchange.closed"), path, **_stream(path, is_on=True))
    assert broken.status_code == 200
    assert "Hello" in broken.text
    assert "the evidence cannot be written" in broken.text
    for end in ('"finish_reason":"stop"', '"stop_reason":"end_turn"', '"done":true', '"response.completed"'):
        assert end not in broken.text


@pytest.mark.parametrize("path", sorted(BODIES))
async def test_an_answer_leaves_two_records_that_name_the_dialect(tmp_path: Path, path: str) -> None:
    ledger = FakeLedger()
    answer = await post(tmp_path, ledger, path, **_stream(path, is_on=False))
    assert answer.status_code == 200
    assert ledger.kinds() == ["exchange.opened", "exchange.closed"]
    opened, closed = ledger.records
    assert opened["dialect"] == ROUTES[path][0].name
    assert opened["exchange"] == closed["exchange"] == answer.headers["x-request-id"]
    assert b"hi" not in json.dumps([opened["prompt"], closed["reply"]]).encode()


def _stream(path: str, *, is_on: bool) -> dict[str, Any]:
    return {} if isinstance(ROUTES[path][1], EmbedRoute) else {"stream": is_on}


class AdminOnly:
    """Every caller has a key that may do anything but ask models."""

    def is_required(self) -> bool:
        return True

    async def identify(self, _credential: str | None, _address: str) -> Caller:
        return Caller("k1", scopes=frozenset({"admin"}))


@pytest.mark.parametrize("path", sorted(BODIES))
async def test_a_key_that_is_not_for_asking_models_is_told_to_the_evidence(path: str) -> None:
    told: list[tuple[str | None, str]] = []
    services = fake_services(FakeEngine(), sign_in=AdminOnly(), note_refusal=lambda key, code: told.append((key, code)))
    transport = httpx2.ASGITransport(build_api(services))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.post(path, json={"model": "fake", **BODIES[path]})
    assert answer.status_code == 403
    assert told == [("k1", "scope_missing")]
