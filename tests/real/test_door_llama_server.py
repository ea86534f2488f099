"""The official OpenAI client through the door to the real llama-server with small real weights."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError, DefaultAsyncHttpxClient

from door_fakes import fake_services, serving
from fake_engine import small_plan
from gemstead.api.readiness import EngineStatus
from gemstead.engines.client import EngineClient
from gemstead.engines.kinds.llama_cpp import ENGINE
from gemstead.engines.process import EngineProcess, ProcessOptions

pytestmark = pytest.mark.real

CAPITAL: list[Any] = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
GREEDY: dict[str, Any] = {"model": "fake", "messages": CAPITAL, "temperature": 0, "max_tokens": 24}
LONG_ANSWER = 1500


@asynccontextmanager
async def door(
    folder: Path, program: Path, model: Path, context_length: int = 2048
) -> AsyncIterator[tuple[AsyncOpenAI, EngineClient]]:
    installation = ENGINE.find(str(program), folder)
    assert installation is not None
    plan = small_plan(model_path=str(model), context_length=context_length)
    options = ProcessOptions(environ=os.environ)
    process = EngineProcess(
        ENGINE, installation, plan, run_dir=folder / "run", log_dir=folder / "logs", options=options
    )
    try:
        engine = await process.ensure_ready()
        services = fake_services(engine, engines=lambda: (EngineStatus("fake", ENGINE.name, process.state),))
        async with serving(services) as url:
            http = DefaultAsyncHttpxClient(trust_env=False, verify=False)
            async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=http) as client:
                yield client, engine
    finally:
        await process.stop()


async def test_a_streamed_answer_is_the_whole_answer_in_pieces(
    tmp_path: Path, llama_server: Path, smollm2: Path
) -> None:
    async with door(tmp_path, llama_server, smollm2) as (client, _):
        whole = await client.chat.completions.create(**GREEDY)
        stream = await client.chat.completions.create(**GREEDY, stream=True, stream_options={"include_usage": True})
        chunks = [chunk async for chunk in stream]
    text = whole.choices[0].message.content
    assert text is not None
    assert "Paris" in text
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == text
    assert whole.usage is not None
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens > 10
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens > 0


async def test_an_answer_cut_at_max_tokens_says_so(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    async with door(tmp_path, llama_server, smollm2) as (client, _):
        reply = await client.chat.completions.create(**(GREEDY | {"max_tokens": 2}))
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 2


async def test_a_schema_is_held(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    schema = {"type": "object", "properties": {"city": {"enum": ["Paris", "Oslo"]}}, "required": ["city"]}
    form: Any = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    async with door(tmp_path, llama_server, smollm2) as (client, _):
        reply = await client.chat.completions.create(**GREEDY, response_format=form)
    assert json.loads(reply.choices[0].message.content or "")["city"] in ("Paris", "Oslo")


async def test_a_prompt_too_long_is_refused_with_the_exact_numbers_never_cut(
    tmp_path: Path, llama_server: Path, smollm2: Path
) -> None:
    too_long: list[Any] = [{"role": "user", "content": "The sky is blue. " * 200}]
    async with door(tmp_path, llama_server, smollm2, context_length=512) as (client, _):
        with pytest.raises(BadRequestError) as caught:
            await client.chat.completions.create(**(GREEDY | {"messages": too_long}))
        nearly: list[Any] = [{"role": "user", "content": "The sky is blue. " * 60}]
        fits = await client.chat.completions.with_raw_response.create(
            **(GREEDY | {"messages": nearly, "max_tokens": 500})
        )
    assert caught.value.code == "context_length_exceeded"
    body: Any = caught.value.body
    assert body["context_length"] == 512
    assert body["prompt_tokens"] > 1000
    assert "answer_room" in fits.headers["x-gemstead-warning"]


@pytest.mark.parametrize("is_stream", [True, False])
async def test_a_client_that_hangs_up_frees_the_slot(
    tmp_path: Path, llama_server: Path, smollm2: Path, is_stream: bool
) -> None:
    story = GREEDY | {"messages": [{"role": "user", "content": "Tell a long story."}], "max_tokens": LONG_ANSWER}
    async with door(tmp_path, llama_server, smollm2) as (client, engine):
        call = asyncio.create_task(client.chat.completions.create(**story, stream=is_stream))
        await processing(engine, 1)
        if is_stream:
            await (await call).close()
        else:
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        await processing(engine, 0)
        # Left alone, this greedy story runs into its limit.
        predicted = re.search(r"^llamacpp:tokens_predicted_total (\d+)$", str(await engine.metrics()), re.MULTILINE)
        assert predicted is not None
        assert 0 < int(predicted[1]) < LONG_ANSWER


async def processing(engine: EngineClient, num_requests: int) -> None:
    """Returns when llama-server itself says that it works on so many requests. The deadline is for a busy machine."""
    async with asyncio.timeout(30):
        while True:
            if f"llamacpp:requests_processing {num_requests}\n" in str(await engine.metrics()):
                return
            await asyncio.sleep(0.02)
