"""The official Anthropic client through the door to the real llama-server."""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from anthropic import (
    Anthropic,
    AsyncAnthropic,
    BadRequestError,
    DefaultAsyncHttpxClient,
    DefaultHttpxClient,
    InternalServerError,
)

from door_fakes import fake_exchange, fake_services, serving
from gemstead.core.facts import ModelFacts
from gemstead.core.types import ChatRequest, Event
from llama_door import running_llama

pytestmark = pytest.mark.real

CAPITAL: list[Any] = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
GREEDY: dict[str, Any] = {"model": "fake", "messages": CAPITAL, "max_tokens": 24, "extra_body": {"temperature": 0}}
GEMMA = ModelFacts(template="gemma4-small")
CITY = {"type": "object", "properties": {"city": {"enum": ["Paris", "Oslo"]}}, "required": ["city"]}


@asynccontextmanager
async def real_door(folder: Path, program: Path, model: Path, context_length: int = 2048) -> AsyncIterator[str]:
    async with running_llama(folder, program, model, context_length) as engine, serving(fake_services(engine)) as url:
        yield url


def connect(url: str) -> AsyncAnthropic:
    http = DefaultAsyncHttpxClient(trust_env=False, verify=False)
    return AsyncAnthropic(base_url=url, api_key="none", max_retries=0, http_client=http)


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


async def test_a_streamed_answer_is_the_whole_answer_in_pieces(
    tmp_path: Path, llama_server: Path, smollm2: Path
) -> None:
    async with real_door(tmp_path, llama_server, smollm2) as url, connect(url) as client:
        whole = await client.messages.create(**GREEDY)
        async with client.messages.stream(**GREEDY) as stream:
            pieces = [text async for text in stream.text_stream]
            streamed = await stream.get_final_message()
        cut = await client.messages.create(**(GREEDY | {"max_tokens": 2}))
    assert "Paris" in text_of(whole)
    assert "".join(pieces) == text_of(streamed) == text_of(whole)
    assert whole.stop_reason == streamed.stop_reason
    for reply in (whole, streamed):
        usage = reply.usage
        assert usage.input_tokens + (usage.cache_read_input_tokens or 0) > 10
        assert usage.output_tokens > 0
    assert streamed.usage.cache_read_input_tokens
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 2)


async def test_the_synchronous_client_is_answered_too(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    def talk(url: str) -> tuple[Any, Any]:
        http = DefaultHttpxClient(trust_env=False, verify=False)
        with (
            Anthropic(base_url=url, api_key="none", max_retries=0, http_client=http) as client,
            client.messages.stream(**GREEDY) as stream,
        ):
            streamed = stream.get_final_message()
            return client.messages.create(**GREEDY), streamed

    async with real_door(tmp_path, llama_server, smollm2) as url:
        whole, streamed = await asyncio.to_thread(talk, url)
    assert "Paris" in text_of(whole)
    assert text_of(streamed) == text_of(whole)


@pytest.mark.parametrize("is_stream", [True, False])
async def test_the_stop_sequence_that_ended_the_answer_is_named(
    tmp_path: Path, llama_server: Path, smollm2: Path, is_stream: bool
) -> None:
    count: list[Any] = [{"role": "user", "content": "Count from 1 to 10, separated by commas."}]
    asked = GREEDY | {"messages": count, "max_tokens": 60, "stop_sequences": ["never said", "5"]}
    async with real_door(tmp_path, llama_server, smollm2) as url, connect(url) as client:
        if is_stream:
            async with client.messages.stream(**asked) as stream:
                reply: Any = await stream.get_final_message()
        else:
            reply = await client.messages.create(**asked)
    assert (reply.stop_reason, reply.stop_sequence) == ("stop_sequence", "5")
    assert "4" in text_of(reply)
    assert "5" not in text_of(reply)


async def test_an_answer_cut_by_the_context_length_says_so(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    story: list[Any] = [
        {"role": "user", "content": "The sky is blue. " * 40 + "Tell me a very long story about the sea."}
    ]
    async with real_door(tmp_path, llama_server, smollm2, context_length=256) as url, connect(url) as client:
        raw = await client.messages.with_raw_response.create(**(GREEDY | {"messages": story, "max_tokens": 4000}))
        with pytest.raises(BadRequestError) as caught:
            await client.messages.create(**(GREEDY | {"system": "The sky is blue. " * 200}))
    assert (await raw.parse()).stop_reason == "model_context_window_exceeded"
    assert "answer_room" in raw.headers["x-gemstead-warning"]
    assert caught.value.error_code == "context_overflow"


async def test_a_last_assistant_turn_is_continued_and_not_repeated(
    tmp_path: Path, llama_server: Path, smollm2: Path
) -> None:
    begun = {"role": "assistant", "content": "The capital of France is the city of"}
    async with real_door(tmp_path, llama_server, smollm2) as url, connect(url) as client:
        reply = await client.messages.create(**(GREEDY | {"messages": [*CAPITAL, begun]}))
    assert text_of(reply).lstrip().startswith("Paris")


async def test_a_schema_is_held(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    wanted: Any = {"format": {"type": "json_schema", "schema": CITY}}
    async with real_door(tmp_path, llama_server, smollm2) as url, connect(url) as client:
        reply = await client.messages.create(**GREEDY, output_config=wanted)
    assert json.loads(text_of(reply))["city"] in ("Paris", "Oslo")


@asynccontextmanager
async def calling_door(folder: Path, program: Path, model: Path) -> AsyncIterator[str]:
    """Random weights write calls without end; biased to these tokens they write short ones, such as `{a:11}`."""
    async with running_llama(folder, program, model) as engine:
        bias = {(await engine.tokenize(letter))[0]: 100.0 for letter in ("a", ":", "1", "}")}
        exchange, seeds = fake_exchange(engine, facts=GEMMA), itertools.count()

        def chat(request: ChatRequest) -> AsyncGenerator[Event]:
            chosen = msgspec.structs.replace(request.sampling, logit_bias=bias, seed=next(seeds))
            return exchange.chat(msgspec.structs.replace(request, sampling=chosen))

        async with serving(fake_services(engine, GEMMA, chat=chat)) as url:
            yield url


async def call_of(client: AsyncAnthropic, asked: dict[str, Any], *, is_stream: bool) -> Any:
    """The first call in an answer that the door lets pass."""
    for _ in range(16):
        try:
            if not is_stream:
                return await client.messages.create(**asked)
            async with client.messages.stream(**asked) as stream:
                return await stream.get_final_message()
        except InternalServerError as exc:
            if exc.error_code not in ("reply_broken", "engine_failed"):
                raise
    raise AssertionError("no seed gave a call that is one")


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_forced_tool_is_called_and_its_result_goes_back(
    tmp_path: Path, llama_server: Path, tiny_e2b: Path, is_stream: bool
) -> None:
    schema = {"type": "object"}
    tools: list[Any] = [{"name": "go", "input_schema": schema}, {"name": "stay", "input_schema": schema}]
    asked = {"model": "fake", "max_tokens": 40, "messages": CAPITAL, "tools": tools}
    async with calling_door(tmp_path, llama_server, tiny_e2b) as url, connect(url) as client:
        reply = await call_of(client, asked | {"tool_choice": {"type": "tool", "name": "go"}}, is_stream=is_stream)
        called = [block for block in reply.content if block.type == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "You are there."} for call in called]
        before = await client.messages.count_tokens(model="fake", messages=CAPITAL, tools=tools)
        turns: list[Any] = [{"role": "assistant", "content": reply.content}, {"role": "user", "content": results}]
        after = await client.messages.count_tokens(model="fake", messages=[*CAPITAL, *turns], tools=tools)
    assert reply.stop_reason == "tool_use"
    assert called
    assert {call.name for call in called} == {"go"}
    assert after.input_tokens > before.input_tokens + 5


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "go"}])
async def test_a_tool_that_must_be_called_is_called_or_the_answer_is_an_error_or_says_it_was_cut(
    tmp_path: Path, llama_server: Path, smollm2: Path, choice: Any
) -> None:
    """The server takes the choice and lets this model answer in plain text; that never comes through as a whole one."""
    tools: list[Any] = [{"name": "go", "description": "Goes to a city", "input_schema": CITY}]
    asked = GREEDY | {"max_tokens": 100}
    async with real_door(tmp_path, llama_server, smollm2) as url, connect(url) as client:
        try:
            reply = await client.messages.create(**asked, tools=tools, tool_choice=choice)
        except InternalServerError as exc:
            outcome = exc.error_code
        else:
            calls = [block.input for block in reply.content if block.type == "tool_use"]
            assert all(call["city"] in ("Paris", "Oslo") for call in calls)
            outcome = reply.stop_reason
    assert outcome in ("reply_broken", "tool_use", "max_tokens")
