"""The official OpenAI client's responses through the door to the real llama-server with small real weights."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from openai import AsyncOpenAI, BadRequestError, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI
from pydantic import BaseModel

from door_fakes import fake_services, serving
from gemstead.api.conversations import Conversations
from llama_door import running_llama

pytestmark = pytest.mark.real

CAPITAL = "What is the capital of France? Answer in one word."
GREEDY: dict[str, Any] = {"model": "fake", "temperature": 0, "max_output_tokens": 24}


@asynccontextmanager
async def door(folder: Path, program: Path, model: Path, context_length: int = 1024) -> AsyncIterator[str]:
    async with running_llama(folder, program, model, context_length) as engine:
        conversations = Conversations(max_responses=100, max_bytes=1 << 20, max_idle_s=600)
        async with serving(fake_services(engine, conversations=conversations)) as url:
            yield f"{url}/v1"


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[AsyncOpenAI]:
    http = DefaultAsyncHttpxClient(trust_env=False, verify=False)
    async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0, http_client=http) as client:
        yield client


async def test_a_conversation_goes_on_from_what_is_kept_as_it_does_from_what_is_sent_again(
    tmp_path: Path, llama_server: Path, smollm2: Path
) -> None:
    async with door(tmp_path, llama_server, smollm2) as url, client_of(url) as client:
        first = await client.responses.create(input=CAPITAL, **GREEDY)
        kept = await client.responses.create(input="And of Norway?", previous_response_id=first.id, **GREEDY)
        history: Any = [
            {"role": "user", "content": CAPITAL},
            *first.output,
            {"role": "user", "content": "And of Norway?"},
        ]
        sent = await client.responses.create(input=history, **GREEDY)
        counted = await client.responses.input_tokens.count(
            model="fake", input="And of Norway?", previous_response_id=first.id
        )
    assert "Paris" in first.output_text
    assert kept.output_text == sent.output_text
    assert first.usage is not None
    assert kept.usage is not None
    assert sent.usage is not None
    assert kept.usage.input_tokens == sent.usage.input_tokens == counted.input_tokens > first.usage.input_tokens


async def test_a_streamed_response_is_the_whole_one_in_pieces(
    tmp_path: Path, llama_server: Path, smollm2: Path
) -> None:
    async with door(tmp_path, llama_server, smollm2) as url, client_of(url) as client:
        whole = await client.responses.create(input=CAPITAL, **GREEDY)
        stream = await client.responses.create(input=CAPITAL, stream=True, **GREEDY)
        events = [event async for event in stream]
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    last = events[-1]
    assert last.type in ("response.completed", "response.incomplete")
    assert len(pieces) > 1
    assert "".join(pieces) == last.response.output_text == whole.output_text
    assert last.response.usage is not None
    assert last.response.usage.output_tokens > 0


class Capital(BaseModel):
    city: Literal["Paris", "Oslo"]


async def test_a_reply_parses_into_the_type_asked_for(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    async with door(tmp_path, llama_server, smollm2) as url, client_of(url) as client:
        response = await client.responses.parse(input=CAPITAL, text_format=Capital, **GREEDY)
        completion = await client.chat.completions.parse(
            model="fake",
            messages=[{"role": "user", "content": CAPITAL}],
            response_format=Capital,
            temperature=0,
            max_tokens=24,
        )
    assert response.output_parsed is not None
    assert completion.choices[0].message.parsed is not None
    assert json.loads(response.output_text) == {"city": response.output_parsed.city}


async def test_a_conversation_too_long_is_refused_or_cut_as_truncation_says(
    tmp_path: Path, llama_server: Path, smollm2: Path
) -> None:
    turns: Any = [{"role": "user", "content": "The sky is blue. " * 20}, {"role": "assistant", "content": "Yes."}] * 8
    too_long = [*turns, {"role": "user", "content": CAPITAL}]
    async with door(tmp_path, llama_server, smollm2, context_length=512) as url, client_of(url) as client:
        with pytest.raises(BadRequestError) as caught:
            await client.responses.create(input=too_long, truncation="disabled", **GREEDY)
        raw = await client.responses.with_raw_response.create(input=too_long, truncation="auto", **GREEDY)
    response = raw.parse()
    assert caught.value.code == "context_length_exceeded"
    assert response.truncation == "auto"
    assert response.usage is not None
    assert response.usage.input_tokens < 512
    assert response.usage.model_dump()["gemstead"]["dropped_messages"] > 0


async def test_the_synchronous_client_talks_with_the_real_engine(
    tmp_path: Path, llama_server: Path, smollm2: Path
) -> None:
    def talk(url: str) -> tuple[str, str]:
        http = DefaultHttpxClient(trust_env=False, verify=False)
        with OpenAI(base_url=url, api_key="none", max_retries=0, http_client=http) as client:
            first = client.responses.create(input=CAPITAL, **GREEDY)
            with client.responses.stream(input="Again.", previous_response_id=first.id, **GREEDY) as stream:
                text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        return first.output_text, text

    async with door(tmp_path, llama_server, smollm2) as url:
        first, second = await asyncio.to_thread(talk, url)
    assert "Paris" in first
    assert second
