"""The official Anthropic client, sync and async, before the door and a fake engine."""

import asyncio
from typing import Any

import pytest
from anthropic import (
    Anthropic,
    APIStatusError,
    AsyncAnthropic,
    BadRequestError,
    DefaultAsyncHttpxClient,
    DefaultHttpxClient,
    InternalServerError,
    NotFoundError,
)
from anthropic.types import Message

from door_fakes import FakeEngine, fake_services, serving
from gemstead.core.errors import ContextOverflow, EngineBusy, EngineFailed
from gemstead.core.types import Finish, ReasoningDelta, TextDelta, ToolCallDelta, Usage

HI: list[Any] = [{"role": "user", "content": "hi"}]
ASKED: dict[str, Any] = {"model": "fake", "max_tokens": 2048, "messages": HI}
TOOLS: list[Any] = [{"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]
CALLS = (
    TextDelta("Let me look."),
    ToolCallDelta(0, "call_a", "weather", '{"city":"Oslo"}'),
    ToolCallDelta(1, "call_b", "weather", '{"city":"Rome"}'),
    Usage(9, 8),
    Finish("tool_calls"),
)


def connect(url: str) -> AsyncAnthropic:
    http = DefaultAsyncHttpxClient(trust_env=False, verify=False)
    return AsyncAnthropic(base_url=url, api_key="none", max_retries=0, http_client=http)


async def test_a_whole_answer_has_every_field_the_client_knows() -> None:
    async with serving(fake_services(FakeEngine())) as url, connect(url) as client:
        reply = await client.messages.create(**ASKED)
    assert isinstance(reply, Message)
    assert reply.id.startswith("msg_")
    assert [block.text for block in reply.content if block.type == "text"] == ["Hello there"]
    assert (reply.role, reply.stop_reason, reply.stop_sequence) == ("assistant", "end_turn", None)
    assert (reply.usage.input_tokens, reply.usage.cache_read_input_tokens, reply.usage.output_tokens) == (4, 1, 2)
    assert reply._request_id is not None
    Message.model_validate(reply.to_dict(), strict=True)


async def test_a_streamed_answer_gathers_to_the_whole_one() -> None:
    async with serving(fake_services(FakeEngine())) as url, connect(url) as client:
        whole = await client.messages.create(**ASKED)
        async with client.messages.stream(**ASKED) as stream:
            kinds = [event.type async for event in stream]
            streamed = await stream.get_final_message()
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert [block.to_dict() for block in streamed.content] == [block.to_dict() for block in whole.content]
    assert streamed.stop_reason == whole.stop_reason
    assert streamed.usage.input_tokens == whole.usage.input_tokens
    assert streamed.usage.output_tokens == whole.usage.output_tokens


async def test_the_synchronous_client_gets_the_same_whole_and_streamed() -> None:
    def talk(url: str) -> tuple[str, str, int, list[str]]:
        http = DefaultHttpxClient(trust_env=False, verify=False)
        with Anthropic(base_url=url, api_key="none", max_retries=0, http_client=http) as client:
            whole = client.messages.create(**ASKED)
            with client.messages.stream(**ASKED) as stream:
                streamed = "".join(stream.text_stream)
            counted = client.messages.count_tokens(model="fake", messages=HI)
            names = [model.id for model in client.models.list()]
        (block,) = whole.content
        assert block.type == "text"
        return block.text, streamed, counted.input_tokens, names

    async with serving(fake_services(FakeEngine())) as url:
        told = await asyncio.to_thread(talk, url)
    assert told == ("Hello there", "Hello there", 5, ["fake", "org/fake:e2b@tiny"])


async def test_tool_calls_arrive_whole_and_in_pieces_and_go_back_with_their_results() -> None:
    engine = FakeEngine(*CALLS)
    async with serving(fake_services(engine)) as url, connect(url) as client:
        whole = await client.messages.create(**ASKED, tools=TOOLS)
        async with client.messages.stream(**ASKED, tools=TOOLS) as stream:
            streamed = await stream.get_final_message()
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": "4 degrees"}
            for block in whole.content
            if block.type == "tool_use"
        ]
        history: list[Any] = [
            *HI,
            {"role": "assistant", "content": whole.content},
            {"role": "user", "content": results},
        ]
        raw = await client.messages.with_raw_response.create(**(ASKED | {"messages": history}), tools=TOOLS)
    for reply in (whole, streamed):
        calls = [(block.id, block.name, block.input) for block in reply.content if block.type == "tool_use"]
        assert calls == [("call_a", "weather", {"city": "Oslo"}), ("call_b", "weather", {"city": "Rome"})]
        assert reply.stop_reason == "tool_use"
    assert "x-gemstead-warning" not in raw.headers
    sent = engine.requests[-1].messages
    assert [message.role for message in sent] == ["user", "assistant", "tool", "tool"]
    assert [message.tool_call_id for message in sent[2:]] == ["call_a", "call_b"]
    assert sent[1].tool_calls[0].arguments == '{"city":"Oslo"}'


async def test_thinking_is_a_block_of_its_own_and_goes_back_as_thinking() -> None:
    engine = FakeEngine(ReasoningDelta("hm"), TextDelta("4"), Finish("stop"))
    asked = ASKED | {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    async with serving(fake_services(engine)) as url, connect(url) as client:
        whole = await client.messages.create(**asked)
        async with client.messages.stream(**asked) as stream:
            streamed = await stream.get_final_message()
        history = [*HI, {"role": "assistant", "content": streamed.content}, *HI]
        raw = await client.messages.with_raw_response.create(**(asked | {"messages": history}))
    for reply in (whole, streamed):
        assert [block.type for block in reply.content] == ["thinking", "text"]
        (thought, _) = reply.content
        assert thought.type == "thinking"
        assert (thought.thinking, thought.signature) == ("hm", "unsigned")
    assert "x-gemstead-warning" not in raw.headers
    assert engine.requests[-1].messages[1].reasoning == "hm"
    assert engine.requests[-1].thinking.budget_tokens == 1024


async def test_what_was_not_done_as_asked_is_said_in_header_and_body() -> None:
    async with serving(fake_services(FakeEngine())) as url, connect(url) as client:
        raw = await client.messages.with_raw_response.create(**ASKED, cache_control={"type": "ephemeral"})
    assert raw.headers["x-gemstead-warning"].startswith("field_ignored: cache_control")
    extension: Any = (await raw.parse()).model_extra
    assert extension["gemstead"]["warnings"][0]["param"] == "cache_control"


@pytest.mark.parametrize(
    ("engine", "fields", "kind", "type_"),
    [
        (FakeEngine, {"container": "c"}, BadRequestError, "invalid_request_error"),
        (FakeEngine, {"model": "other"}, NotFoundError, "not_found_error"),
        (lambda: FakeEngine(EngineBusy("no slot")), {}, InternalServerError, "overloaded_error"),
        (lambda: FakeEngine(ContextOverflow("too long")), {}, BadRequestError, "invalid_request_error"),
        (lambda: FakeEngine(TextDelta("a")), {}, InternalServerError, "api_error"),
    ],
)
async def test_errors_are_those_the_client_has_classes_for(
    engine: Any, fields: dict[str, Any], kind: type[APIStatusError], type_: str
) -> None:
    async with serving(fake_services(engine())) as url, connect(url) as client:
        with pytest.raises(kind) as caught:
            await client.messages.create(**(ASKED | fields))
    assert caught.value.type == type_
    body: Any = caught.value.body
    assert body["request_id"] == caught.value.request_id is not None
    assert caught.value.error_code is not None


async def test_an_error_in_mid_stream_is_raised_by_the_client() -> None:
    engine = FakeEngine(TextDelta("a"), EngineFailed("the engine crashed"))
    async with (
        serving(fake_services(engine)) as url,
        connect(url) as client,
        client.messages.stream(**ASKED) as stream,
    ):
        with pytest.raises(APIStatusError, match="the engine crashed"):
            await stream.until_done()


async def test_leaving_a_stream_early_frees_the_engine() -> None:
    engine = FakeEngine(TextDelta("a"), is_endless=True)
    async with serving(fake_services(engine)) as url, connect(url) as client:
        async with client.messages.stream(**ASKED) as stream:
            async for _ in stream:
                break
        async with asyncio.timeout(20):
            await engine.is_closed.wait()


async def test_models_are_listed_and_retrieved_and_prompts_counted() -> None:
    async with serving(fake_services(FakeEngine())) as url, connect(url) as client:
        listed = [model.id async for model in client.models.list()]
        shown = await client.models.retrieve("org/fake:e2b@tiny")
        counted = await client.messages.count_tokens(model="fake", messages=HI)
    assert listed == ["fake", "org/fake:e2b@tiny"]
    assert (shown.type, shown.lifecycle) == ("model", "active")
    assert counted.input_tokens == 5
