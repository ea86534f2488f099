"""What the door costs: the decode rate through it against the same engine asked directly.

Runs are interleaved, direct and door in turn, so that a noisy machine disturbs both alike; each pair gives one ratio,
and the median of the ratios is the result. decode tok/s = (completion_tokens - 1) / (last token - first token), by the
client's clock, both times read by the same code from the same kind of stream.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from gemstead.core.errors import EngineRefused

if TYPE_CHECKING:
    import aiohttp


class Target(msgspec.Struct, frozen=True):
    """Where to send the request: the engine itself, or the door. `socket_path` replaces host and port."""

    name: str
    url: str
    socket_path: str | None = None
    headers: dict[str, str] = {}


class Question(msgspec.Struct, frozen=True):
    """What is asked, of both alike."""

    model: str
    prompt: str
    max_tokens: int


class DecodeRun(msgspec.Struct, frozen=True):
    """One streamed answer, by the client's clock. `ttft_s`: request sent to first token."""

    target: str
    completion_tokens: int
    ttft_s: float
    decode_tok_per_s: float


class DoorComparison(msgspec.Struct, frozen=True):
    """`ratio` is the median over pairs of door rate / direct rate; `ratio_low` and `ratio_high` its quartiles."""

    ratio: float
    ratio_low: float
    ratio_high: float
    direct_tok_per_s: float
    door_tok_per_s: float
    added_ttft_s: float
    runs: list[DecodeRun]


async def compare(
    direct: Target, door: Target, question: Question, *, rounds: int, on_round: Callable[[int], None]
) -> DoorComparison:
    """`rounds` pairs of answers to the same prompt, after one warm-up pair that is not counted.

    Raises: EngineRefused if an answer fails or has fewer than two tokens.
    """
    runs: list[DecodeRun] = []
    async with _session(direct) as direct_session, _session(door) as door_session:
        for round_number in range(rounds + 1):
            pair = [(direct, direct_session), (door, door_session)]
            # Whoever goes second finds warmer caches: take turns.
            for target, session in pair if round_number % 2 else reversed(pair):
                run = await _stream(session, target, question)
                if round_number:
                    runs.append(run)
            on_round(round_number)
    return summarise(runs, direct.name, door.name)


def summarise(runs: list[DecodeRun], direct_name: str, door_name: str) -> DoorComparison:
    """Pairs the runs in the order in which they were made."""
    direct = [run for run in runs if run.target == direct_name]
    door = [run for run in runs if run.target == door_name]
    ratios = [b.decode_tok_per_s / a.decode_tok_per_s for a, b in zip(direct, door, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
    return DoorComparison(
        ratio=statistics.median(ratios),
        ratio_low=low,
        ratio_high=high,
        direct_tok_per_s=statistics.median(run.decode_tok_per_s for run in direct),
        door_tok_per_s=statistics.median(run.decode_tok_per_s for run in door),
        added_ttft_s=statistics.median(b.ttft_s - a.ttft_s for a, b in zip(direct, door, strict=True)),
        runs=runs,
    )


def _session(target: Target) -> aiohttp.ClientSession:
    import aiohttp

    # A connection each, for both alike: llama-server closes idle ones, and would do so under the next request.
    connector: aiohttp.BaseConnector = (
        aiohttp.UnixConnector(target.socket_path, force_close=True)
        if target.socket_path
        else aiohttp.TCPConnector(force_close=True)
    )
    return aiohttp.ClientSession(connector=connector, headers=target.headers)


async def _stream(session: aiohttp.ClientSession, target: Target, question: Question) -> DecodeRun:
    body = {
        "model": question.model,
        "messages": [{"role": "user", "content": question.prompt}],
        "max_tokens": question.max_tokens,
        "temperature": 0,
        "seed": 1,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    begin_s = time.perf_counter()
    first_s = last_s = None
    usage: dict[str, Any] = {}
    async with session.post(f"{target.url}/v1/chat/completions", json=body) as response:
        if response.status != 200:
            raise EngineRefused(f"{target.name} answered {response.status}: {(await response.text())[:200]}")
        async for line in response.content:
            chunk = _chunk(line)
            usage = chunk.get("usage") or usage
            if any(choice.get("delta", {}).get("content") for choice in chunk.get("choices", ())):
                last_s = time.perf_counter()
                first_s = first_s or last_s
    tokens = usage.get("completion_tokens", 0)
    if first_s is None or last_s is None or tokens < 2 or last_s == first_s:
        raise EngineRefused(f"{target.name} sent {tokens} tokens, too few to time")
    return DecodeRun(target.name, tokens, first_s - begin_s, (tokens - 1) / (last_s - first_s))


def _chunk(line: bytes) -> dict[str, Any]:
    """The JSON of one `data:` line; blank lines, comments and `[DONE]` are empty."""
    payload = line.removeprefix(b"data:").strip()
    if not line.startswith(b"data:") or payload == b"[DONE]":
        return {}
    return msgspec.json.decode(payload, type=dict[str, Any])
