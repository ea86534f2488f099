"""The official OpenAI client, sync and async, before the door and a fake engine."""

import asyncio
from typing import Any

import pytest
from openai import (
    APIError,
    AsyncOpenAI,
    BadRequestError,
    DefaultAsyncHttpxClient,
    DefaultHttpxClient,
    InternalServerError,
    NotFoundError,
    OpenAI,
)
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from door_fakes import FakeEngine, fake_services, serving
from gemstead.core.errors import ContextOverflow, EngineBusy, EngineFailed
from gemstead.core.types import Finish, ReasoningDelta, TextDelta, ToolCallDelta, Usage

HI: list[Any] = [{"role": "user", "content": "hi"}]
TOOLS: list[Any] = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
CALLS = (
    ToolCallDelta(0, "call_a", "weather"),
    ToolCallDelta(0, arguments='{"city":'),
    ToolCallDelta(0, arguments='"Oslo"}'),
    Usage(9, 8),
    Finish("tool_calls"),
)


def connect(url: str) -> AsyncOpenAI:
    http = DefaultAsyncHttpxClient(trust_env=False, verify=False)
    return AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=http)


async def test_a_whole_answer_has_every_field_the_client_knows() -> None:
    async with serving(fake_services(FakeEngine())) as url, connect(url) as client:
        reply = await client.chat.completions.create(model="fake", messages=HI)
    assert isinstance(reply, ChatCompletion)
    assert reply.id.startswith("chatcmpl-")
    assert reply.choices[0].message.content == "Hello there"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.total_tokens == 7
    assert reply.usage.prompt_tokens_details is not None
    assert reply.usage.prompt_tokens_details.cached_tokens == 1
    ChatCompletion.model_validate(reply.to_dict(), strict=True)


async def test_a_streamed_answer_ends_with_its_reason_and_usage() -> None:
    async with serving(fake_services(FakeEngine())) as url, connect(url) as client:
        stream = await client.chat.completions.create(
            model="fake", messages=HI, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk.to_dict(), strict=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello there"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 2


async def test_the_synchronous_client_gets_the_same_whole_and_streamed() -> None:
    def talk(url: str) -> tuple[str | None, str]:
        http = DefaultHttpxClient(trust_env=False, verify=False)
        with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=http) as client:
            whole = client.chat.completions.create(model="fake", messages=HI)
            streamed = client.chat.completions.create(model="fake", messages=HI, stream=True)
            pieces = [chunk.choices[0].delta.content or "" for chunk in streamed]
        return whole.choices[0].message.content, "".join(pieces)

    async with serving(fake_services(FakeEngine())) as url:
        assert await asyncio.to_thread(talk, url) == ("Hello there", "Hello there")


async def test_tool_calls_arrive_whole_and_in_pieces() -> None:
    async with serving(fake_services(FakeEngine(*CALLS))) as url, connect(url) as client:
        reply = await client.chat.completions.create(model="fake", messages=HI, tools=TOOLS)
        async with client.chat.completions.stream(model="fake", messages=HI, tools=TOOLS) as stream:
            streamed = await stream.get_final_completion()
    for completion in (reply, streamed):
        (call,) = completion.choices[0].message.tool_calls or ()
        assert call.type == "function"
        assert (call.id, call.function.name, call.function.arguments) == ("call_a", "weather", '{"city":"Oslo"}')
        assert completion.choices[0].finish_reason == "tool_calls"


async def test_a_reply_given_back_as_history_is_taken_without_a_warning() -> None:
    engine = FakeEngine(*CALLS)
    async with serving(fake_services(engine)) as url, connect(url) as client:
        first = await client.chat.completions.create(model="fake", messages=HI, tools=TOOLS)
        history = [*HI, first.choices[0].message, {"role": "tool", "tool_call_id": "call_a", "content": "4 degrees"}]
        raw = await client.chat.completions.with_raw_response.create(model="fake", messages=history, tools=TOOLS)
    assert "x-gemstead-warning" not in raw.headers
    assert engine.requests[-1].messages[1].tool_calls[0].arguments == '{"city":"Oslo"}'


async def test_thinking_is_beside_the_answer() -> None:
    engine = FakeEngine(ReasoningDelta("hm"), TextDelta("4"), Finish("stop"))
    async with serving(fake_services(engine)) as url, connect(url) as client:
        reply = await client.chat.completions.create(model="fake", messages=HI, reasoning_effort="low")
    assert reply.choices[0].message.content == "4"
    assert reply.choices[0].message.reasoning_content == "hm"  # type: ignore[attr-defined]
    assert engine.requests[0].thinking.is_on


async def test_what_was_not_done_as_asked_is_said_in_header_and_body() -> None:
    async with serving(fake_services(FakeEngine())) as url, connect(url) as client:
        raw = await client.chat.completions.with_raw_response.create(model="fake", messages=HI, store=True)
    assert raw.headers["x-gemstead-warning"] == "field_ignored: store is ignored: replies are not stored"
    extension = raw.parse().gemstead  # type: ignore[attr-defined]
    assert extension["warnings"][0]["param"] == "store"


@pytest.mark.parametrize(
    ("engine", "fields", "kind", "code"),
    [
        (FakeEngine, {"n": 2}, BadRequestError, "request_invalid"),
        (FakeEngine, {"model": "other"}, NotFoundError, "model_not_found"),
        (lambda: FakeEngine(EngineBusy("no slot")), {}, InternalServerError, "engine_busy"),
        (lambda: FakeEngine(ContextOverflow("too long")), {}, BadRequestError, "context_length_exceeded"),
        (lambda: FakeEngine(TextDelta("a")), {}, InternalServerError, "reply_broken"),
    ],
)
async def test_errors_are_those_the_client_has_classes_for(
    engine: Any, fields: dict[str, Any], kind: type[APIError], code: str
) -> None:
    async with serving(fake_services(engine())) as url, connect(url) as client:
        with pytest.raises(kind) as caught:
            await client.chat.completions.create(**({"model": "fake", "messages": HI} | fields))
    assert caught.value.code == code


async def test_an_error_in_mid_stream_is_raised_by_the_client() -> None:
    engine = FakeEngine(TextDelta("a"), EngineFailed("the engine crashed"))
    async with serving(fake_services(engine)) as url, connect(url) as client:
        stream = await client.chat.completions.create(model="fake", messages=HI, stream=True)
        with pytest.raises(APIError, match="the engine crashed"):
            async for _ in stream:
                pass


async def test_leaving_a_stream_early_frees_the_engine() -> None:
    engine = FakeEngine(TextDelta("a"), is_endless=True)
    async with serving(fake_services(engine)) as url, connect(url) as client:
        stream = await client.chat.completions.create(model="fake", messages=HI, stream=True)
        async for _ in stream:
            break
        await stream.close()
        async with asyncio.timeout(10):
            await engine.is_closed.wait()


async def test_models_are_listed_and_retrieved() -> None:
    async with serving(fake_services(FakeEngine())) as url, connect(url) as client:
        listed = [model.id async for model in client.models.list()]
        shown = await client.models.retrieve("org/fake:e2b@tiny")
    assert listed == ["fake", "org/fake:e2b@tiny"]
    assert shown.owned_by == "tests"
