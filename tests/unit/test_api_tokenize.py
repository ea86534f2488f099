"""Token counts before anything is sent: the gateway's own endpoint, before a fake engine."""

import json
from typing import Any

import httpx2
import pytest

from door_fakes import FakeEngine, fake_services
from gemstead.api.asgi import build_api


async def post(path: str, body: Any, engine: FakeEngine | None = None) -> httpx2.Response:
    app: Any = build_api(fake_services(engine or FakeEngine()))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as http:
        return await http.post(path, json=body)


async def test_a_conversation_is_counted_as_the_chat_call_would_send_it() -> None:
    engine = FakeEngine(num_tokens=41)
    tool = {"type": "function", "function": {"name": "look"}}
    asked = {"model": "fake", "messages": [{"role": "user", "content": "hi"}], "tools": [tool], "store": True}
    reply = await post("/tokenize", asked | {"reasoning_effort": "low"}, engine)
    assert reply.json() == {"count": 41, "max_model_len": 4096, "tokens": None}
    assert reply.headers["x-gemstead-warning"].startswith("field_ignored: store")
    (counted,) = engine.counted
    assert counted.tools[0].name == "look"
    assert counted.thinking.is_on
    assert engine.requests == []


async def test_a_text_is_counted_and_shown_token_by_token() -> None:
    engine = FakeEngine(num_tokens=4)
    reply = await post("/tokenize", {"model": "fake", "prompt": "three more words"}, engine)
    assert reply.json() == {"count": 4, "max_model_len": 4096, "tokens": [0, 1, 2]}
    assert engine.counted[0].prompt == "three more words"


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"model": "other", "prompt": "x"}, 404, "model"),
        ({"model": "fake", "prompt": 5}, 400, "prompt"),
        ({"model": "fake"}, 400, "messages"),
        ({"prompt": "x"}, 400, "model"),
        ({"model": "fake", "prompt": "x", "messages": []}, 400, "prompt"),
    ],
)
async def test_what_cannot_be_counted_is_refused_by_name(body: Any, status: int, param: str) -> None:
    reply = await post("/tokenize", body)
    assert reply.status_code == status
    assert reply.json()["error"]["param"] == param


async def test_the_anthropic_dialect_counts_the_same_way() -> None:
    engine = FakeEngine(num_tokens=17)
    asked = {"model": "fake", "system": "Be brief.", "messages": [{"role": "user", "content": "hi"}]}
    reply = await post("/v1/messages/count_tokens", asked, engine)
    assert json.loads(reply.content) == {"input_tokens": 17}
    assert [message.role for message in engine.counted[0].messages] == ["system", "user"]
