"""What the real llama-server lets through with a Gemma 4 of random weights, and the door does not."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import pytest

from door_fakes import fake_services, serving
from gemstead.api.services import Services
from gemstead.core.facts import ModelFacts
from gemstead.core.types import ChatRequest, Message, Sampling, TextPart, Tool, ToolChoice
from gemstead.engines.client import EngineClient
from gemstead.pipeline.fold import fold_events
from llama_door import running_llama

pytestmark = pytest.mark.real

CHAT = "/v1/chat/completions"
GEMMA = ModelFacts(template="gemma4-small")
QUESTION = "What is the weather in Oslo?"
PLACE: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"enum": ["Oslo", "Paris"]}, "days": {"type": "integer", "minimum": 1, "maximum": 3}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
ANYTHING: dict[str, Any] = {"type": "object"}
SEEDS = range(8)


async def letters_that_make_calls(engine: EngineClient) -> dict[int, float]:
    """Random weights write calls without end; biased to these tokens they write short ones, such as `{a:11}`."""
    return {(await engine.tokenize(letter))[0]: 100.0 for letter in ("a", ":", "1", "}")}


@asynccontextmanager
async def door(engine: EngineClient) -> AsyncIterator[tuple[httpx2.AsyncClient, Services]]:
    services = fake_services(engine, GEMMA)
    async with serving(services) as url, httpx2.AsyncClient(base_url=url, trust_env=False, timeout=120) as http:
        yield http, services


async def calls_given(http: httpx2.AsyncClient, asked: dict[str, Any]) -> list[tuple[str, str]]:
    """The calls of a reply that is a success, whole or streamed; none for one that is an error."""
    body = {"model": "fake", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 40, **asked}
    response = await http.post(CHAT, json=body)
    if response.status_code != 200:
        assert response.json()["error"]["code"] in ("reply_broken", "engine_failed")
        return []
    if not asked.get("stream"):
        message = response.json()["choices"][0]["message"]
        return [(call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls") or ()]
    events = [
        json.loads(part.removeprefix("data: "))
        for part in response.text.replace("data: [DONE]", "").split("\n\n")
        if part
    ]
    deltas = [choice["delta"] for event in events for choice in event.get("choices", ())]
    pieces = [call["function"] for delta in deltas for call in delta.get("tool_calls") or ()]
    return [(piece["name"], piece["arguments"]) for piece in pieces]


def offered(**schemas: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": name, "parameters": schemas[name]}} for name in schemas]


async def test_the_server_itself_gives_calls_off_their_schema(
    tmp_path: Path, llama_server: Path, tiny_e2b: Path
) -> None:
    """If this fails the server has learnt to hold Gemma 4's arguments to their schema, and the next test shows less."""
    async with running_llama(tmp_path, llama_server, tiny_e2b) as engine:
        sampling = Sampling(seed=0, max_tokens=40, logit_bias=await letters_that_make_calls(engine))
        request = ChatRequest(
            "fake",
            (Message("user", (TextPart(QUESTION),)),),
            tools=(Tool("weather", "", PLACE),),
            tool_choice=ToolChoice("required"),
            sampling=sampling,
        )
        folded = await fold_events(engine.chat(request))
    (call,) = folded.tool_calls
    assert not jsonschema_rs.is_valid(PLACE, json.loads(call.arguments))


@pytest.mark.parametrize("is_stream", [False, True])
async def test_no_call_off_its_schema_comes_through_the_door(
    tmp_path: Path, llama_server: Path, tiny_e2b: Path, is_stream: bool
) -> None:
    async with running_llama(tmp_path, llama_server, tiny_e2b) as engine, door(engine) as (http, services):
        bias = await letters_that_make_calls(engine)
        for seed in SEEDS:
            asked = {"tools": offered(weather=PLACE), "tool_choice": "required", "stream": is_stream, "seed": seed}
            for name, arguments in await calls_given(http, asked | {"logit_bias": bias}):
                assert name == "weather"
                assert jsonschema_rs.is_valid(PLACE, json.loads(arguments))
        metrics = services.metrics.render().decode()
    assert 'action="retried",engine="llama_cpp",kind="arguments_off_schema"' in metrics


async def test_only_the_named_function_is_called(tmp_path: Path, llama_server: Path, tiny_e2b: Path) -> None:
    named = {"type": "function", "function": {"name": "clock"}}
    calls: list[tuple[str, str]] = []
    async with running_llama(tmp_path, llama_server, tiny_e2b) as engine, door(engine) as (http, _):
        bias = await letters_that_make_calls(engine)
        for seed in SEEDS:
            asked = {"tools": offered(weather=ANYTHING, clock=ANYTHING), "tool_choice": named, "seed": seed}
            calls += await calls_given(http, asked | {"logit_bias": bias})
    assert calls
    assert {name for name, _ in calls} == {"clock"}
