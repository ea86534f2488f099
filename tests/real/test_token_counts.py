"""Tokens counted before sending are those the real engine then counts, for every kind of conversation."""

import json
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from door_fakes import fake_exchange, fake_services, serving
from gemstead.api.anthropic.request import decode_messages
from gemstead.api.openai.request import decode_chat
from gemstead.core.facts import ModelFacts
from gemstead.core.types import Sampling, Usage
from llama_door import running_llama

pytestmark = pytest.mark.real

USER = {"role": "user", "content": "What is the weather in Oslo? 今日は 🌦"}
SYSTEM = {"role": "system", "content": "Be brief.\n\nAnswer in <b>HTML</b>."}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "description": "A city"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "weather", "description": "Now", "parameters": SCHEMA}}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
    ],
}
RESULT = {"role": "tool", "tool_call_id": "call_a", "content": '{"degrees": 4}'}

OPENAI: dict[str, dict[str, Any]] = {
    "one turn": {"messages": [USER]},
    "a system prompt": {"messages": [SYSTEM, USER]},
    "several turns": {"messages": [SYSTEM, USER, {"role": "assistant", "content": "4 degrees."}, USER]},
    "a last turn to continue": {"messages": [USER, {"role": "assistant", "content": "It is"}]},
    "tools": {"messages": [USER], "tools": [TOOL]},
    "a call and its result": {"messages": [USER, CALLED, RESULT], "tools": [TOOL]},
    "thinking": {"messages": [SYSTEM, USER], "reasoning_effort": "high"},
    "thinking and tools": {"messages": [USER], "tools": [TOOL], "reasoning_effort": "high"},
}

ANTHROPIC: dict[str, dict[str, Any]] = {
    "one turn": {"messages": [USER]},
    "a system prompt": {"messages": [USER], "system": "Be brief."},
    "turns that become one": {"messages": [USER, USER, {"role": "assistant", "content": "4 degrees."}, USER]},
    "tools": {"messages": [USER], "tools": [{"name": "weather", "input_schema": SCHEMA}]},
    "a call and its result": {
        "messages": [
            USER,
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Oslo"}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "a", "content": "4", "is_error": True}],
            },
        ],
        "tools": [{"name": "weather", "input_schema": SCHEMA}],
    },
    "thinking": {"messages": [USER], "thinking": {"type": "enabled", "budget_tokens": 1024}},
}


async def reply_of(http: httpx2.AsyncClient, path: str, body: dict[str, Any]) -> Any:
    reply = await http.post(path, json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def check_all(url: str, num_expected: int) -> None:
    num_checked = 0
    async with httpx2.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=60) as http:
        for name, body in OPENAI.items():
            asked = {"model": "fake", **body}
            counted = await reply_of(http, "/tokenize", asked)
            stream = asked | {"max_tokens": 4, "stream": True, "stream_options": {"include_usage": True}}
            prompt_tokens = await prompt_tokens_of(http, stream)
            assert counted["count"] == prompt_tokens, f"OpenAI, {name}"
            num_checked += 1
        for name, body in ANTHROPIC.items():
            counted = await reply_of(http, "/v1/messages/count_tokens", {"model": "fake", **body})
            usage = (await messages_usage(http, {"model": "fake", "max_tokens": 1025, **body}))["usage"]
            prompt_tokens = usage["input_tokens"] + usage["cache_read_input_tokens"]
            assert counted["input_tokens"] == prompt_tokens, f"Anthropic, {name}"
            num_checked += 1
    assert num_checked == num_expected


async def prompt_tokens_of(http: httpx2.AsyncClient, body: dict[str, Any]) -> int:
    return int((await last_data(http, "/v1/chat/completions", body, '"prompt_tokens"'))["usage"]["prompt_tokens"])


async def messages_usage(http: httpx2.AsyncClient, body: dict[str, Any]) -> Any:
    return await last_data(
        http, "/v1/messages", body | {"stream": True, "stop_sequences": list("aeiou ")}, "message_delta"
    )


async def last_data(http: httpx2.AsyncClient, path: str, body: dict[str, Any], mark: str) -> Any:
    reply = await http.post(path, json=body)
    assert reply.status_code == 200, reply.text
    lines = [line for line in reply.text.splitlines() if line.startswith("data: ") and mark in line]
    assert lines, reply.text
    return json.loads(lines[-1].removeprefix("data: "))


async def test_counts_are_exact_with_a_small_real_model(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    async with running_llama(tmp_path, llama_server, smollm2) as engine, serving(fake_services(engine)) as url:
        await check_all(url, num_expected=len(OPENAI) + len(ANTHROPIC))


async def test_counts_are_exact_with_gemma_4s_template(tmp_path: Path, llama_server: Path, tiny_e2b: Path) -> None:
    """Beside the door, whose checks would refuse what random weights say before their usage is told."""
    async with running_llama(tmp_path, llama_server, tiny_e2b) as engine:
        exchange = fake_exchange(engine, facts=ModelFacts(template="gemma4-small"))
        requests = {name: decode_chat(json.dumps({"model": "fake", **body}).encode()) for name, body in OPENAI.items()}
        asked = {"model": "fake", "max_tokens": 1025}
        requests |= {
            f"Anthropic, {name}": decode_messages(json.dumps(asked | body).encode()) for name, body in ANTHROPIC.items()
        }
        for name, decoded in requests.items():
            short = msgspec.structs.replace(decoded.request, sampling=Sampling(max_tokens=2, seed=1))
            (usage,) = [event async for event in engine.chat(short) if isinstance(event, Usage)]
            assert await exchange.count_tokens(decoded.request) == usage.prompt_tokens, name


async def test_a_text_has_the_tokens_that_are_shown(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    async with (
        running_llama(tmp_path, llama_server, smollm2) as engine,
        serving(fake_services(engine)) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=60) as http,
    ):
        one = await reply_of(http, "/tokenize", {"model": "fake", "prompt": "The sky is blue."})
        twice = await reply_of(http, "/tokenize", {"model": "fake", "prompt": "The sky is blue." * 2})
    assert one["max_model_len"] == 4096
    assert 0 < len(one["tokens"]) <= one["count"]
    assert twice["tokens"][: len(one["tokens"])] == one["tokens"]
