"""The official OpenAI client's responses, sync and async, before the door and a fake engine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai import (
    APIError,
    AsyncOpenAI,
    BadRequestError,
    DefaultAsyncHttpxClient,
    DefaultHttpxClient,
    NotFoundError,
    OpenAI,
)
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseReasoningItem
from pydantic import BaseModel

from capable_engine import FakeCapableEngine, capable_services
from door_fakes import FakeEngine, fake_services, serving
from gemstead.api.conversations import Conversations
from gemstead.api.services import Services
from gemstead.core.errors import EngineFailed
from gemstead.core.types import Finish, TextDelta, Usage

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather now",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": True,
}


def remembering(max_responses: int = 100) -> Conversations:
    return Conversations(max_responses=max_responses, max_bytes=1 << 20, max_idle_s=600)


@asynccontextmanager
async def client_of(services: Services) -> AsyncIterator[AsyncOpenAI]:
    async with serving(services) as url:
        http = DefaultAsyncHttpxClient(trust_env=False, verify=False)
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=http) as client:
            yield client


@asynccontextmanager
async def capable_client(engine: FakeCapableEngine | None = None) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(capable_services(engine, conversations=remembering())) as client:
        yield client


async def test_a_whole_response_has_every_field_the_client_knows() -> None:
    async with capable_client() as client:
        response = await client.responses.create(
            model="fake",
            input="hi",
            tools=[WEATHER],
            tool_choice="none",
            metadata={"a": "b"},
            reasoning={"effort": "low"},
        )
    Response.model_validate(response.to_dict(), strict=True)
    assert response.status == "completed"
    assert response.metadata == {"a": "b"}
    assert response.usage is not None
    assert response.usage.output_tokens_details.reasoning_tokens == 5


async def test_a_streamed_response_is_the_whole_one_told_step_by_step() -> None:
    async with capable_client() as client:
        async with client.responses.stream(model="fake", input="hi", reasoning={"effort": "low"}) as stream:
            events = [event async for event in stream]
            final = await stream.get_final_response()
        kept = await client.responses.retrieve(final.id)
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert "response.reasoning_text.delta" in [event.type for event in events]
    assert final.output_text == "Hello there, friend"
    assert kept.output_text == final.output_text
    assert isinstance(final.output[0], ResponseReasoningItem)
    assert final.output[0].content is not None
    assert final.output[0].content[0].text == "Fifteen times 37."


async def test_a_summary_asked_for_is_where_the_client_looks_for_it() -> None:
    async with capable_client() as client:
        raw = await client.responses.with_raw_response.create(
            model="fake", input="hi", reasoning={"effort": "low", "summary": "auto"}
        )
    thought = raw.parse().output[0]
    assert isinstance(thought, ResponseReasoningItem)
    assert thought.summary[0].text == "Fifteen times 37."
    assert "not summarised" in raw.headers["x-gemstead-warning"]


class Weather(BaseModel):
    city: str


async def test_a_reply_parses_into_the_type_asked_for() -> None:
    engine = FakeEngine(TextDelta('{"city":'), TextDelta('"Oslo"}'), Usage(5, 4), Finish("stop"))
    async with client_of(fake_services(engine)) as client:
        parsed = await client.responses.parse(model="fake", input="Where?", text_format=Weather)
        async with client.responses.stream(model="fake", input="Where?", text_format=Weather) as stream:
            streamed = await stream.get_final_response()
        completion = await client.chat.completions.parse(
            model="fake", messages=[{"role": "user", "content": "Where?"}], response_format=Weather
        )
    assert parsed.output_parsed == streamed.output_parsed == Weather(city="Oslo")
    assert completion.choices[0].message.parsed == Weather(city="Oslo")
    assert engine.requests[0].response_format.kind == "json_schema"


@pytest.mark.parametrize("is_stream", [True, False])
async def test_a_round_of_tools_goes_on_from_the_call(is_stream: bool) -> None:
    engine = FakeCapableEngine()
    async with capable_client(engine) as client:
        if is_stream:
            async with client.responses.stream(model="fake", input="Weather?", tools=[WEATHER]) as stream:
                first: Response = await stream.get_final_response()
        else:
            first = await client.responses.create(model="fake", input="Weather?", tools=[WEATHER])
        (call,) = first.output
        assert isinstance(call, ResponseFunctionToolCall)
        output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "4 degrees"}
        second = await client.responses.create(
            model="fake", input=[output], previous_response_id=first.id, tools=[WEATHER]
        )
        by_hand: Any = [{"role": "user", "content": "Weather?"}, call, output]
        raw = await client.responses.with_raw_response.create(model="fake", input=by_hand, tools=[WEATHER])
    assert call.arguments == '{"city": "San Francisco"}'
    assert second.output_text == raw.parse().output_text == "Hello there, friend"
    assert "x-gemstead-warning" not in raw.headers
    assert engine.requests[1].messages == engine.requests[2].messages


async def test_what_came_out_goes_back_in_without_a_warning() -> None:
    engine = FakeCapableEngine()
    async with capable_client(engine) as client:
        first = await client.responses.create(model="fake", input="hi", reasoning={"effort": "low"})
        history: Any = [{"role": "user", "content": "hi"}, *first.output, {"role": "user", "content": "again"}]
        raw = await client.responses.with_raw_response.create(model="fake", input=history)
    assert "x-gemstead-warning" not in raw.headers
    assert engine.requests[1].messages[1].reasoning == "Fifteen times 37."


async def test_two_conversations_fork_from_one_response() -> None:
    engine = FakeCapableEngine()
    async with capable_client(engine) as client:
        first = await client.responses.create(model="fake", input="start")
        await asyncio.gather(
            *(
                client.responses.create(model="fake", input=text, previous_response_id=first.id)
                for text in ("left", "right")
            )
        )
    forks = {request.messages[-1].text: request.messages[:-1] for request in engine.requests[1:]}
    assert set(forks) == {"left", "right"}
    assert forks["left"] == forks["right"]
    assert [message.text for message in forks["left"]] == ["start", "Hello there, friend"]


async def test_a_kept_response_is_read_listed_and_deleted() -> None:
    async with capable_client() as client:
        first = await client.responses.create(model="fake", input="one")
        second = await client.responses.create(model="fake", input="two", previous_response_id=first.id)
        again = await client.responses.retrieve(second.id)
        listed = [item async for item in client.responses.input_items.list(second.id, limit=2, order="asc")]
        await client.responses.delete(first.id)
        with pytest.raises(NotFoundError):
            await client.responses.retrieve(first.id)
        with pytest.raises(NotFoundError) as caught:
            await client.responses.create(model="fake", input="three", previous_response_id=first.id)
        third = await client.responses.create(model="fake", input="three", previous_response_id=second.id)
    assert again.to_dict() == second.to_dict()
    assert [item.type for item in listed] == ["message"] * 3
    assert caught.value.code == "previous_response_not_found"
    assert caught.value.param == "previous_response_id"
    assert third.previous_response_id == second.id


async def test_a_response_not_to_be_stored_is_not() -> None:
    async with capable_client() as client:
        response = await client.responses.create(model="fake", input="hi", store=False)
        with pytest.raises(NotFoundError) as caught:
            await client.responses.retrieve(response.id)
    assert caught.value.code == "response_not_found"
    assert response.model_dump()["store"] is False


async def test_storing_asked_for_where_nothing_is_kept_is_warned_about() -> None:
    async with client_of(fake_services(FakeEngine())) as client:
        raw = await client.responses.with_raw_response.create(model="fake", input="hi", store=True)
    assert raw.headers["x-gemstead-warning"].startswith("field_ignored: store is ignored")
    assert raw.parse().model_dump()["store"] is False


async def test_what_runs_in_the_foreground_is_not_cancelled_and_not_streamed_again() -> None:
    async with capable_client() as client:
        response = await client.responses.create(model="fake", input="hi")
        with pytest.raises(BadRequestError, match="cannot be cancelled"):
            await client.responses.cancel(response.id)
        with pytest.raises(BadRequestError, match="not streamed again"):
            await client.responses.retrieve(response.id, stream=True)
        with pytest.raises(NotFoundError):
            await client.responses.cancel("resp_gone")


async def test_input_tokens_are_counted_with_what_is_gone_on_from() -> None:
    engine = FakeCapableEngine()
    async with capable_client(engine) as client:
        first = await client.responses.create(model="fake", input="one")
        counted = await client.responses.input_tokens.count(model="fake", input="two", previous_response_id=first.id)
    assert counted.input_tokens == engine.num_tokens
    assert [message.text for message in engine.counted[-1].messages] == ["one", "Hello there, friend", "two"]


async def test_an_answer_cut_short_is_incomplete_and_says_why() -> None:
    engine = FakeEngine(TextDelta("Once"), Usage(5, 1), Finish("length"))
    async with client_of(fake_services(engine)) as client:
        whole = await client.responses.create(model="fake", input="hi", max_output_tokens=1)
        stream = await client.responses.create(model="fake", input="hi", max_output_tokens=1, stream=True)
        events = [event async for event in stream]
    assert whole.status == "incomplete"
    assert whole.incomplete_details is not None
    assert whole.incomplete_details.reason == "max_output_tokens"
    assert events[-1].type == "response.incomplete"


async def test_an_engine_that_dies_in_mid_stream_fails_the_response_and_the_client_raises() -> None:
    services = fake_services(
        FakeEngine(TextDelta("a"), EngineFailed("the engine crashed")), conversations=remembering()
    )
    async with client_of(services) as client:
        stream = await client.responses.create(model="fake", input="hi", stream=True)
        with pytest.raises(APIError, match="the engine crashed"):
            async for _ in stream:
                pass
    assert len(services.conversations) == 0


async def test_a_client_that_leaves_a_stream_frees_the_engine_and_leaves_nothing_behind() -> None:
    engine = FakeEngine(TextDelta("a"), is_endless=True)
    services = fake_services(engine, conversations=remembering())
    async with client_of(services) as client:
        stream = await client.responses.create(model="fake", input="hi", stream=True)
        async for _ in stream:
            break
        await stream.close()
        async with asyncio.timeout(15):
            await engine.is_closed.wait()
    assert len(services.conversations) == 0


async def test_the_synchronous_client_gets_the_same() -> None:
    def talk(url: str) -> tuple[str, str, list[str], str]:
        http = DefaultHttpxClient(trust_env=False, verify=False)
        with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=http) as client:
            whole = client.responses.create(model="fake", input="hi")
            with client.responses.stream(model="fake", input="hi", previous_response_id=whole.id) as stream:
                streamed = stream.get_final_response()
            kept = client.responses.retrieve(streamed.id)
            listed = [item.type for item in client.responses.input_items.list(streamed.id)]
            client.responses.delete(whole.id)
        return whole.output_text, streamed.output_text, listed, kept.output_text

    async with serving(capable_services(conversations=remembering())) as url:
        whole, streamed, listed, kept = await asyncio.to_thread(talk, url)
    assert whole == streamed == kept == "Hello there, friend"
    assert listed == ["message"] * 3
