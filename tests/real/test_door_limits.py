"""Policy and limits at the door: over real sockets, and through a kill -9 of a door in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from benchmarks.fair_load.__main__ import ANSWER_TOKENS, POLICY, TOKENS_A_CALL, Asker, Tally, make_keys
from benchmarks.overhead.__main__ import free_port, process
from door_fakes import FakeEngine, fake_exchange, fake_services, serving
from gemstead.access.fair_queue import FairQueue
from gemstead.access.limits import LimitKeeper
from gemstead.access.policy import Policy
from gemstead.api.services import Services
from gemstead.core.quota import QuotaState
from gemstead.core.types import ChatRequest, EmbedRequest
from gemstead.pipeline.govern import Governed
from gemstead.store.database import open_database
from policy_makers import policy, rule

CHAT = "/v1/chat/completions"
ASKED = {"model": "fake", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}


def governed_services(rules: Policy) -> Services:
    engine = FakeEngine()

    async def count(_request: ChatRequest | EmbedRequest) -> int:
        return 5

    async def quota(request: ChatRequest | EmbedRequest) -> QuotaState | None:
        return governed.state(request)

    governed = Governed(
        lambda: rules, LimitKeeper(None), FairQueue(4, 4, 10.0), count_tokens=count, context_length=4096
    )
    exchange = fake_exchange(engine, admit=governed.admit)
    return fake_services(engine, chat=exchange.chat, embed=exchange.embed, quota=quota)


async def post(services: Services, *bodies: dict[str, Any], path: str = CHAT, **headers: str) -> list[httpx2.Response]:
    async with serving(services) as url, httpx2.AsyncClient(base_url=url, trust_env=False, timeout=10) as http:
        return [await http.post(path, json=body, headers=headers) for body in bodies]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_what_is_left_is_in_the_headers_and_what_is_too_much_is_a_429(is_stream: bool) -> None:
    services = governed_services(policy(rule("r", limits={"requests_per_minute": 2, "tokens_per_day": 1000})))
    body = ASKED | {"stream": is_stream}
    first, second, third = await post(services, body, body, body)
    assert (first.status_code, second.status_code, third.status_code) == (200, 200, 429)
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert second.headers["x-ratelimit-remaining-requests"] == "0"
    assert first.headers["x-ratelimit-limit-tokens"] == "1000"
    if not is_stream:
        assert first.headers["x-ratelimit-remaining-tokens"] == "993"
        assert second.headers["x-ratelimit-remaining-tokens"] == "986"
    assert 1 <= int(third.headers["retry-after"]) <= 30
    assert third.headers["x-ratelimit-remaining-requests"] == "0"
    assert third.json()["error"]["type"] == "rate_limit_error"
    assert third.json()["error"]["code"] == "rate_limit_exceeded"


async def test_other_dialects_say_it_in_their_own_words() -> None:
    services = governed_services(policy(rule("r", limits={"requests_per_minute": 0})))
    (anthropic,) = await post(services, ASKED, path="/v1/messages")
    (ollama,) = await post(services, ASKED, path="/api/chat")
    assert (anthropic.status_code, ollama.status_code) == (429, 429)
    assert anthropic.json()["error"]["type"] == "rate_limit_error"
    assert "0 requests per minute" in ollama.json()["error"]


async def test_the_label_header_is_asked_about_and_a_mistyped_one_refused() -> None:
    services = governed_services(policy(rule("r", labels=("public", "internal"))))
    statuses = []
    for label in ("public", "Internal", "secret", "secert"):
        (answer,) = await post(services, ASKED, **{"x-gemstead-label": label})
        statuses.append(answer.status_code)
    assert statuses == [200, 200, 403, 400]


async def test_without_limits_there_are_no_such_headers() -> None:
    (answer,) = await post(governed_services(policy(rule("r"))), ASKED)
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


@contextmanager
def upstream(folder: Path) -> Iterator[Path]:
    port, path = free_port(), folder / "up.sock"
    argv = [sys.executable, "-m", "benchmarks.overhead.fake_upstream", "--tokens", str(ANSWER_TOKENS)]
    with process("fake", port, *argv, "--gap-s", "0.002", "--port", str(port), "--socket", str(path)):
        yield path


@contextmanager
def door(folder: Path, socket_path: Path) -> Iterator[tuple[int, int]]:
    port = free_port()
    argv = [sys.executable, "-m", "benchmarks.fair_load.door", "--upstream", str(socket_path), "--data", str(folder)]
    with process("door", port, *argv, "--port", str(port)) as pid:
        yield pid, port


async def ask_for(port: int, key: str, seconds: float, num_callers: int = 6) -> Tally:
    """What arrived, whole or in part, until the door was gone."""
    tally = Tally()
    end_s = time.perf_counter() + seconds
    askers = [Asker(port, key, tally) for _ in range(num_callers)]
    await asyncio.gather(*(asker.ask_until(end_s) for asker in askers), return_exceptions=True)
    return tally


async def killed_under_load(pid: int, port: int, key: str, wait_s: float) -> Tally:
    asking = asyncio.create_task(ask_for(port, key, 30.0))
    await asyncio.sleep(wait_s)
    os.kill(pid, signal.SIGKILL)
    return await asking


def marked(folder: Path, key_id: str) -> dict[str, int]:
    connection = open_database(folder / "gemstead.db").raw()
    rows = connection.execute("SELECT bucket, level FROM limit_marks WHERE bucket LIKE ?", (f"heavy/key/{key_id}/%",))
    found = {bucket.rpartition("/")[2]: level for bucket, level in rows}
    connection.close()
    return found


@pytest.mark.real
def test_nothing_that_was_answered_is_forgotten_by_a_kill(tmp_path: Path) -> None:
    limit = 1_000_000
    (tmp_path / "policy.toml").write_text(POLICY.format(heavy_tokens=limit))
    key_id, key = make_keys(tmp_path)[0]
    answered = 0
    with ExitStack() as stack:
        socket_path = stack.enter_context(upstream(tmp_path))
        for number in range(4):
            with door(tmp_path, socket_path) as (pid, port):
                tally = asyncio.run(killed_under_load(pid, port, key, 0.7 + 0.13 * number))
            assert tally.statuses[200] > 0
            answered += tally.num_tokens
            spent = marked(tmp_path, key_id)["tokens_per_day"]
            assert spent >= answered
            # Too much by what was in work at each kill, and a step of the mark.
            assert spent <= answered + (number + 1) * (6 * 8192 + 2 * limit // 1000)


def ended(pid: int) -> None:
    """Tells a door to stop, and waits until it has."""
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.05)


async def ask_both(ports: list[int], key: str, seconds: float) -> list[Tally]:
    return await asyncio.gather(*(ask_for(port, key, seconds) for port in ports))


@pytest.mark.real
def test_two_servers_of_one_folder_count_together_and_to_the_token(tmp_path: Path) -> None:
    limit = 60 * TOKENS_A_CALL + 17
    (tmp_path / "policy.toml").write_text(POLICY.format(heavy_tokens=limit))
    key_id, key = make_keys(tmp_path)[0]
    with ExitStack() as stack:
        socket_path = stack.enter_context(upstream(tmp_path))
        doors = [stack.enter_context(door(tmp_path, socket_path)) for _ in range(2)]
        tallies = asyncio.run(ask_both([port for _, port in doors], key, 6.0))
        for pid, _port in doors:
            ended(pid)
    assert all(tally.statuses[200] > 0 for tally in tallies)
    assert all(set(tally.statuses) <= {200, 429} for tally in tallies)
    assert sum(tally.num_tokens for tally in tallies) == 60 * TOKENS_A_CALL
    assert marked(tmp_path, key_id)["tokens_per_day"] == 60 * TOKENS_A_CALL


@pytest.mark.real
def test_after_a_clean_stop_the_count_goes_on_exactly_and_ends_at_the_limit(tmp_path: Path) -> None:
    limit = 40 * TOKENS_A_CALL + 17
    (tmp_path / "policy.toml").write_text(POLICY.format(heavy_tokens=limit))
    key_id, key = make_keys(tmp_path)[0]
    answered = 0
    with ExitStack() as stack:
        socket_path = stack.enter_context(upstream(tmp_path))
        for seconds in (0.3, 6.0):
            with door(tmp_path, socket_path) as (pid, port):
                answered += asyncio.run(ask_for(port, key, seconds)).num_tokens
                ended(pid)
            assert marked(tmp_path, key_id)["tokens_per_day"] == answered
    assert answered == 40 * TOKENS_A_CALL
