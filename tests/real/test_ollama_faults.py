"""The official Ollama client before the door and a fake engine: what small real weights do not do on order."""

import asyncio
from typing import Any

import pytest
from ollama import AsyncClient, ResponseError

from door_fakes import FakeEngine, fake_services, serving
from gemstead.core.errors import ContextOverflow, EngineBusy, EngineFailed
from gemstead.core.types import Finish, ReasoningDelta, TextDelta, ToolCallDelta, Usage

pytestmark = pytest.mark.real

HI = [{"role": "user", "content": "hi"}]
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALLS = (
    ToolCallDelta(0, "call_a", "weather"),
    ToolCallDelta(0, arguments='{"city":'),
    ToolCallDelta(0, arguments='"Oslo"}'),
    Usage(9, 8),
    Finish("tool_calls"),
)


def connect(url: str) -> AsyncClient:
    return AsyncClient(url, trust_env=False, verify=False)


@pytest.mark.parametrize("is_stream", [True, False])
async def test_a_tool_call_arrives_as_an_object_and_its_result_goes_back(is_stream: bool) -> None:
    async with serving(fake_services(engine := FakeEngine(*CALLS))) as url, connect(url) as client:
        if is_stream:
            parts = [part async for part in await client.chat("fake", HI, tools=[WEATHER], stream=True)]
            calls = [call for part in parts for call in part.message.tool_calls or ()]
        else:
            calls = list((await client.chat("fake", HI, tools=[WEATHER])).message.tool_calls or ())
        assert [(call.function.name, call.function.arguments) for call in calls] == [("weather", {"city": "Oslo"})]
        answered = [*HI, {"role": "assistant", "tool_calls": calls}, {"role": "tool", "content": "rain"}]
        answered[-1]["tool_name"] = "weather"
        await client.chat("fake", answered, tools=[WEATHER])
    result = engine.requests[-1].messages[-1]
    assert (result.role, result.text, result.tool_call_id) == ("tool", "rain", "call_0")


async def test_thinking_comes_beside_the_answer() -> None:
    engine = FakeEngine(ReasoningDelta("Hmm."), TextDelta("Yes"), Usage(5, 4, reasoning_tokens=2), Finish("stop"))
    async with serving(fake_services(engine)) as url, connect(url) as client:
        whole = await client.chat("fake", HI, think=True)
        parts = [part async for part in await client.generate("fake", "hi", think="low", stream=True)]
    assert (whole.message.thinking, whole.message.content) == ("Hmm.", "Yes")
    assert "".join(part.thinking or "" for part in parts) == "Hmm."
    assert "".join(part.response or "" for part in parts) == "Yes"
    assert [request.thinking.budget_tokens for request in engine.requests] == [None, 1024]


@pytest.mark.parametrize(
    ("error", "status"), [(ContextOverflow("too long", hint="cut it"), 400), (EngineBusy("busy"), 503)]
)
async def test_an_error_before_the_first_token_is_a_status(error: Exception, status: int) -> None:
    async with serving(fake_services(FakeEngine(error))) as url, connect(url) as client:
        with pytest.raises(ResponseError) as caught:
            await client.chat("fake", HI)
    assert caught.value.status_code == status


async def test_an_engine_that_dies_in_mid_stream_is_an_error_not_an_end() -> None:
    engine = FakeEngine(TextDelta("a"), EngineFailed("the engine crashed"))
    async with serving(fake_services(engine)) as url, connect(url) as client:
        stream = await client.chat("fake", HI, stream=True)
        with pytest.raises(ResponseError, match="the engine crashed"):
            _ = [part async for part in stream]


async def test_leaving_a_stream_early_frees_the_engine() -> None:
    engine = FakeEngine(TextDelta("a"), is_endless=True)
    async with serving(fake_services(engine)) as url:
        async with connect(url) as client:
            stream: Any = await client.chat("fake", HI, stream=True)
            async for _ in stream:
                break
            await stream.aclose()
        async with asyncio.timeout(15):
            await engine.is_closed.wait()
