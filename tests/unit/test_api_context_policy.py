"""The context policy of one request, and how what it did is told: the whole API on a fake engine."""

import json
from typing import Any

import httpx2
import pytest

from door_fakes import FakeEngine, ask, fake_services
from gemstead.api.asgi import build_api
from gemstead.api.context_policy import HEADER, read_policy, with_header
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import ChatRequest

DROPPED = "dropped 2 of 4 messages; prompt 2000 of 4096 tokens"


class ThousandAMessage(FakeEngine):
    """Counts 1000 tokens a message."""

    async def count_tokens(self, request: ChatRequest) -> int:
        return 1000 * len(request.messages)


async def post(headers: dict[str, str] | None = None, **fields: Any) -> tuple[httpx2.Response, FakeEngine]:
    engine = ThousandAMessage()
    roles = ("user", "assistant", "user", "assistant")
    messages = [{"role": role, "content": "word " * 1000} for role in roles]
    transport = httpx2.ASGITransport(build_api(fake_services(engine)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        body = {"model": "fake", "messages": messages} | fields
        return await client.post("/v1/chat/completions", json=body, headers=headers), engine


async def test_without_a_word_about_it_nothing_is_dropped() -> None:
    reply, engine = await post()
    assert reply.status_code == 200
    assert len(engine.requests[0].messages) == 4
    assert "x-gemstead-context" not in reply.headers
    assert "gemstead" not in reply.json()["usage"]


@pytest.mark.parametrize(
    "asked",
    [
        {"headers": {HEADER: "drop_oldest"}},
        {"headers": {HEADER: " Drop_Oldest "}, "gemstead": {"context_policy": "drop_oldest"}},
        {"gemstead": {"context_policy": "drop_oldest"}},
    ],
)
async def test_what_was_dropped_is_said_in_the_headers_the_usage_and_the_warnings(asked: dict[str, Any]) -> None:
    reply, engine = await post(**asked)
    assert len(engine.requests[0].messages) == 2
    assert reply.headers["x-gemstead-context"] == DROPPED
    assert reply.headers["x-gemstead-warning"] == f"context_dropped: {DROPPED}"
    assert reply.json()["usage"]["gemstead"] == {"dropped_messages": 2}
    assert reply.json()["gemstead"]["warnings"][0]["code"] == "context_dropped"


async def test_a_stream_says_it_in_the_headers_the_first_chunk_and_the_usage() -> None:
    reply, _ = await post({HEADER: "drop_oldest"}, stream=True, stream_options={"include_usage": True})
    assert reply.headers["x-gemstead-context"] == DROPPED
    chunks = [json.loads(line.removeprefix("data: ")) for line in reply.text.split("\n\n")[:-2]]
    assert chunks[0]["gemstead"]["warnings"][0]["message"] == DROPPED
    assert chunks[-1]["usage"]["gemstead"] == {"dropped_messages": 2}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"headers": {HEADER: "truncate"}}, HEADER),
        ({"gemstead": {"context_policy": "truncate"}}, "gemstead.context_policy"),
        ({"headers": {HEADER: "refuse"}, "gemstead": {"context_policy": "drop_oldest"}}, HEADER),
    ],
)
async def test_a_policy_that_is_unknown_or_contradicted_is_refused_by_name(asked: dict[str, Any], param: str) -> None:
    reply, engine = await post(**asked)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == param
    assert engine.requests == []


def test_the_valid_policies_are_named() -> None:
    with pytest.raises(RequestInvalid) as caught:
        read_policy("truncate", "x")
    assert caught.value.hint == "use refuse or drop_oldest"


def test_no_header_leaves_the_request_as_it_is() -> None:
    request = ask()
    assert with_header(request, None) is request
