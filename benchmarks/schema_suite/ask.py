"""Asks for an answer by a schema, over HTTP: the door, or the engine behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from benchmarks.schema_suite.cases import Case
from benchmarks.schema_suite.judge import Answer
from gemstead.bench.door import Target

MAX_TOKENS = 96
ANSWER_LIMIT_S = 300


@asynccontextmanager
async def asking(target: Target) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.UnixConnector(target.socket_path) if target.socket_path else aiohttp.TCPConnector()
    timeout = aiohttp.ClientTimeout(total=ANSWER_LIMIT_S)
    async with aiohttp.ClientSession(
        target.url, connector=connector, headers=target.headers, timeout=timeout, trust_env=False
    ) as session:
        yield session


async def ask(session: aiohttp.ClientSession, model: str, case: Case, seed: int) -> Answer:
    """One answer, sampled at temperature 1. Raises: aiohttp.ClientError if nobody answers."""
    async with session.post("/v1/chat/completions", json=_body(model, case, seed)) as response:
        reply = await response.json()
    if response.status != 200:
        error = reply.get("error") or {}
        return Answer(None, error=f"{response.status} {error.get('code')}: {error.get('message')}")
    choice = reply["choices"][0]
    return Answer(choice["message"]["content"] or "", choice["finish_reason"])


def _body(model: str, case: Case, seed: int) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": f"{case.ask} Answer with JSON only."}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": case.schema}},
        "temperature": 1.0,
        "seed": seed,
        "max_tokens": MAX_TOKENS,
        "chat_template_kwargs": {"enable_thinking": False},
    }
