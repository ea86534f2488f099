"""The door before a fake engine that is a process of its own: its faults reach the client as errors."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from door_fakes import fake_services, serving
from fake_engine_process import fake_engine
from gemstead.engines.client import EngineClient

CHAT = "/v1/chat/completions"
ASKED = {"model": "fake", "messages": [{"role": "user", "content": "hi"}]}


@asynccontextmanager
async def door(engine: EngineClient) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        serving(fake_services(engine)) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=10) as http,
    ):
        yield http


def last_event(response: httpx2.Response) -> Any:
    return json.loads(response.text.strip().split("\n\n")[-1].removeprefix("data: "))


async def test_tokens_and_usage_come_through_whole_and_streamed(tmp_path: Path) -> None:
    async with fake_engine(tmp_path, "--tokens", "50", "--pings") as engine, door(engine) as http:
        whole = (await http.post(CHAT, json=ASKED)).json()
        streamed = await http.post(CHAT, json=ASKED | {"stream": True, "stream_options": {"include_usage": True}})
    events = [json.loads(part.removeprefix("data: ")) for part in streamed.text.strip().split("\n\n")[:-1]]
    text = "".join(f"token{index} " for index in range(50))
    assert whole["choices"][0]["message"]["content"] == text
    assert "".join(e["choices"][0]["delta"].get("content", "") for e in events if e["choices"]) == text
    assert whole["usage"] == events[-1]["usage"]
    assert whole["usage"]["completion_tokens"] == 50


@pytest.mark.parametrize("fault", ["--crash-after", "--cut-after", "--break-after", "--error-after"])
async def test_an_engine_that_breaks_in_mid_answer_is_an_error_event(tmp_path: Path, fault: str) -> None:
    async with fake_engine(tmp_path, fault, "3") as engine, door(engine) as http:
        response = await http.post(CHAT, json=ASKED | {"stream": True})
    assert response.status_code == 200
    assert last_event(response)["error"]["type"] == "server_error"
    assert "[DONE]" not in response.text


@pytest.mark.parametrize("fault", ["--crash-after", "--cut-after", "--break-after", "--error-after"])
async def test_half_an_answer_is_never_given_as_a_whole_one(tmp_path: Path, fault: str) -> None:
    async with fake_engine(tmp_path, fault, "3") as engine, door(engine) as http:
        response = await http.post(CHAT, json=ASKED)
    assert response.status_code >= 500
    assert response.json()["error"]["type"] == "server_error"


async def test_a_prompt_too_long_is_refused_with_the_numbers_of_the_exact_count(tmp_path: Path) -> None:
    asked = ASKED | {"messages": [{"role": "user", "content": "word " * 5000}]}
    async with fake_engine(tmp_path) as engine, door(engine) as http:
        error = (await http.post(CHAT, json=asked)).json()["error"]
    assert (error["code"], error["prompt_tokens"], error["context_length"]) == ("context_length_exceeded", 5000, 4096)


async def test_an_engine_without_a_free_slot_is_busy_and_says_when_to_come_back(tmp_path: Path) -> None:
    async with fake_engine(tmp_path, "--status", "503") as engine, door(engine) as http:
        response = await http.post(CHAT, json=ASKED)
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "engine_busy"
    assert int(response.headers["retry-after"]) >= 1


@pytest.mark.parametrize("is_stream", [True, False])
async def test_a_client_that_hangs_up_ends_the_work_in_the_engine(tmp_path: Path, is_stream: bool) -> None:
    async with fake_engine(tmp_path, "--tokens", "100000", "--itl-s", "0.02") as engine, door(engine) as http:
        call = asyncio.create_task(http.post(CHAT, json=ASKED | {"stream": is_stream}))
        await running(engine, 1, within_s=5)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await running(engine, 0, within_s=1)


async def running(engine: EngineClient, num_requests: int, *, within_s: float) -> None:
    """Returns when the engine itself says that it works on so many requests."""
    async with asyncio.timeout(within_s):
        while True:
            if await engine.metrics() == f"llamacpp:requests_processing {num_requests}\n":
                return
            await asyncio.sleep(0.02)
