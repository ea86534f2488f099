"""The real llama-server: small real weights for answers, a tiny Gemma 4 of random ones for its template and tools."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import msgspec
import psutil
import pytest

from fake_engine import small_plan
from gemstead.core.errors import ContextOverflow, EngineFailed, RequestInvalid
from gemstead.core.types import (
    ChatRequest,
    Event,
    Finish,
    ImagePart,
    Message,
    ReasoningDelta,
    ResponseFormat,
    Sampling,
    TextDelta,
    TextPart,
    Thinking,
    Tool,
    ToolCallDelta,
    ToolChoice,
    Usage,
)
from gemstead.engines.client import EngineClient
from gemstead.engines.kinds.llama_cpp import ENGINE
from gemstead.engines.process import EngineProcess, ProcessOptions

pytestmark = pytest.mark.real

PROMISE_S = 2.0
GREEDY = Sampling(temperature=0.0, max_tokens=16)
WEATHER = Tool("get_weather", "", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
CLOCK = Tool("get_time", "", {"type": "object", "properties": {}})


def ask(text: str, **fields: object) -> ChatRequest:
    request = ChatRequest("m", (Message("user", (TextPart(text),)),), sampling=GREEDY)
    return msgspec.structs.replace(request, **fields)


@asynccontextmanager
async def serving(
    tmp_path: Path, program: Path, model: Path, *, deep: str = "", extra: tuple[str, ...] = (), **plan: object
) -> AsyncIterator[EngineProcess]:
    installation = ENGINE.find(str(program), tmp_path)
    assert installation is not None
    process = EngineProcess(
        ENGINE,
        installation,
        small_plan(**{"model_path": str(model), **plan}),
        run_dir=tmp_path / "run" / deep,
        log_dir=tmp_path / "logs",
        options=ProcessOptions(environ=os.environ, extra_args=extra),
    )
    try:
        yield process
    finally:
        await process.stop()


async def reply(client: EngineClient, request: ChatRequest) -> list[Event]:
    return [event async for event in client.chat(request)]


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def usage_of(events: list[Event]) -> Usage:
    (usage,) = [event for event in events if isinstance(event, Usage)]
    return usage


async def test_an_answer_has_text_usage_timings_and_one_finish(
    tmp_path: Path, llama_server: Path, smollm2: Path
) -> None:
    async with serving(tmp_path, llama_server, smollm2) as process:
        client = await process.ensure_ready()
        request = ask("Hello, who are you?")
        events = await reply(client, request)
        assert re.search(r"[a-z]{3,}", text_of(events))
        assert [event for event in events if isinstance(event, Finish)] == events[-1:]
        usage = usage_of(events)
        assert usage.prompt_tokens == await client.count_tokens(request)
        assert usage.completion_tokens == 16
        assert events[-1] == Finish("length")
        assert usage.timings is not None
        assert usage.timings.decode_tokens == 16
        assert (usage.timings.decode_s or 0) > 0
        assert text_of(await reply(client, request)) == text_of(events)
        assert (usage_of(await reply(client, request)).cached_tokens or 0) > 0


async def test_every_slot_holds_the_planned_context_and_not_a_token_more(
    tmp_path: Path, llama_server: Path, smollm2: Path
) -> None:
    for is_unified in (False, True):
        plan = {"context_length": 512, "num_slots": 2, "is_kv_unified": is_unified}
        async with serving(tmp_path, llama_server, smollm2, **plan) as process:
            client = await process.ensure_ready()
            await reply(client, ask("word " * 440))
            with pytest.raises(ContextOverflow) as refused:
                await reply(client, ask("word " * 600))
            assert refused.value.context_length == 512
            assert (refused.value.prompt_tokens or 0) > 600


async def test_two_slots_answer_at_the_same_time(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    async with serving(tmp_path, llama_server, smollm2, num_slots=2) as process:
        client = await process.ensure_ready()
        sampling = Sampling(temperature=0.0, max_tokens=24)
        order: list[int] = []

        async def run(number: int) -> None:
            async for _ in client.chat(ask("Tell me a long story", sampling=sampling)):
                order.append(number)  # noqa: PERF401 the order of arrival is wanted

        await asyncio.gather(run(1), run(2))
        first_half = order[: len(order) // 2]
        assert {1, 2} == set(first_half)


async def test_leaving_frees_the_slot(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    async with serving(tmp_path, llama_server, smollm2) as process:
        client = await process.ensure_ready()
        endless = client.chat(ask("Tell me a story", sampling=Sampling(temperature=1.5, max_tokens=1900)))
        await anext(endless)
        assert "llamacpp:requests_processing 1" in str(await client.metrics())
        await endless.aclose()
        async with asyncio.timeout(15):
            while "llamacpp:requests_processing 0" not in str(await client.metrics()):  # noqa: ASYNC110 its state
                await asyncio.sleep(0.02)


async def test_a_schema_is_held(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer", "maximum": 99}, "is_big": {"type": "boolean"}},
        "required": ["age", "is_big"],
        "additionalProperties": False,
    }
    request = ask(
        "Describe a cat", response_format=ResponseFormat("json_schema", schema), sampling=Sampling(max_tokens=60)
    )
    async with serving(tmp_path, llama_server, smollm2) as process:
        answer = json.loads(text_of(await reply(await process.ensure_ready(), request)))
    assert answer.keys() == {"age", "is_big"}
    assert isinstance(answer["age"], int)


async def test_a_stop_word_is_obeyed(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    async with serving(tmp_path, llama_server, smollm2) as process:
        client = await process.ensure_ready()
        free = await reply(client, ask("Hello, who are you?"))
        word = text_of(free).split()[2]
        stopped = ask("Hello, who are you?", sampling=msgspec.structs.replace(GREEDY, stop=(word,)))
        events = await reply(client, stopped)
        assert word not in text_of(events)
        assert events[-1] == Finish("stop", stop_text=word)


async def test_what_the_model_cannot_see_is_refused(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    message = Message("user", (ImagePart(b"\x89PNG\r\n", "image/png"),))
    async with serving(tmp_path, llama_server, smollm2) as process:
        client = await process.ensure_ready()
        with pytest.raises(RequestInvalid, match="image input is not supported"):
            await reply(client, ChatRequest("m", (message,)))


async def test_the_log_holds_buffer_sizes_but_no_prompt_and_no_key(
    tmp_path: Path, llama_server: Path, smollm2: Path
) -> None:
    async with serving(tmp_path, llama_server, smollm2) as process:
        await reply(await process.ensure_ready(), ask("CANARYPROMPT is a secret"))
        pid = process.usage().pid
        assert pid is not None
        key = psutil.Process(pid).environ()["LLAMA_API_KEY"]
        assert key not in " ".join(psutil.Process(pid).cmdline())
        assert process.usage().resident_bytes > 50_000_000
        log = process.log_path.read_text()
    assert re.search(r"KV buffer size = +[\d.]+ MiB", log)
    assert re.search(r"compute buffer size = +[\d.]+ MiB", log)
    assert "CANARY" not in log
    assert key not in log
    assert key[-8:-4] not in log


async def test_loopback_needs_the_key(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    async with serving(tmp_path, llama_server, smollm2, deep="d" * 100) as process:
        client = await process.ensure_ready()
        assert text_of(await reply(client, ask("Hello")))
        pid = process.usage().pid
        assert pid is not None
        argv = psutil.Process(pid).cmdline()
        port = int(argv[argv.index("--port") + 1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 401 " in await reader.readline()
        writer.close()
        await writer.wait_closed()


async def test_a_killed_engine_breaks_the_reply_and_comes_back(
    tmp_path: Path, llama_server: Path, smollm2: Path
) -> None:
    async with serving(tmp_path, llama_server, smollm2) as process:
        client = await process.ensure_ready()
        running = client.chat(ask("Tell me a story", sampling=Sampling(max_tokens=1900)))
        await anext(running)
        pid = process.usage().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EngineFailed):
            async for _ in running:
                pass
        async with asyncio.timeout(30):
            while process.usage().pid in (pid, None):  # noqa: ASYNC110 its state
                await asyncio.sleep(0.02)
            again = await process.ensure_ready()
        assert text_of(await reply(again, ask("Hello")))
        assert process.usage().num_crashes == 1


GATEWAY = """
import asyncio, os
from pathlib import Path
from fake_engine import small_plan
from gemstead.engines.kinds.llama_cpp import ENGINE
from gemstead.engines.process import EngineProcess, ProcessOptions

async def main():
    plan = small_plan(model_path={model!r})
    folder = Path({folder!r})
    process = EngineProcess(ENGINE, ENGINE.find({program!r}, folder), plan, run_dir=folder / "run",
                            log_dir=folder / "logs", options=ProcessOptions(environ=os.environ))
    await process.ensure_ready()
    print(process.usage().pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_kill_9_of_gemstead_leaves_no_llama_server(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    script = GATEWAY.format(model=str(smollm2), folder=str(tmp_path), program=str(llama_server))
    gateway = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert gateway.stdout is not None
    engine = psutil.Process(int(gateway.stdout.readline()))
    assert engine.name() == "llama-server"
    gateway.send_signal(signal.SIGKILL)
    killed_s = time.monotonic()
    gateway.wait()
    gateway.stdout.close()
    while psutil.pid_exists(engine.pid):
        assert time.monotonic() - killed_s < PROMISE_S, "the engine outlived gemstead"
        time.sleep(0.01)


@pytest.mark.parametrize(
    "content", [b"not a model at all", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64], ids=["no-gguf", "hostile-counts"]
)
async def test_a_bad_file_is_named_as_the_cause(tmp_path: Path, llama_server: Path, content: bytes) -> None:
    model = tmp_path / "bad.gguf"
    model.write_bytes(content)
    async with serving(tmp_path, llama_server, model) as process:
        with pytest.raises(EngineFailed) as failed:
            await process.ensure_ready()
    assert "damaged" in str(failed.value.why)
    assert failed.value.hint == "gemstead models verify"


async def test_an_architecture_it_does_not_know_is_told(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    model = tmp_path / "other.gguf"
    name = b"general.architecture" + (8).to_bytes(4, "little") + (5).to_bytes(8, "little")
    with smollm2.open("rb") as whole:
        model.write_bytes(whole.read().replace(name + b"llama", name + b"llamb", 1))
    async with serving(tmp_path, llama_server, model) as process:
        with pytest.raises(EngineFailed) as failed:
            await process.ensure_ready()
    model.unlink()
    assert "unknown model architecture: 'llamb'" in str(failed.value.why)


async def test_a_truncated_file_is_named_as_the_cause(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    model = tmp_path / "cut.gguf"
    with smollm2.open("rb") as whole:
        model.write_bytes(whole.read(20_000_000))
    async with serving(tmp_path, llama_server, model) as process:
        with pytest.raises(EngineFailed) as failed:
            await process.ensure_ready()
    assert "damaged" in str(failed.value.why)


def test_every_allowed_flag_is_known_to_the_engine(llama_server: Path) -> None:
    shown = subprocess.run([llama_server, "--help"], capture_output=True, text=True, check=True).stdout
    assert not [flag for flag in ENGINE.allowed_args if not re.search(rf"{flag}\b", shown)]


async def test_the_largest_plan_of_flags_starts(tmp_path: Path, llama_server: Path, smollm2: Path) -> None:
    plan = {"kv_cache_dtype": "q8_0", "ubatch_tokens": 4096, "is_kv_unified": True, "num_slots": 2, "gpu_layers": None}
    extra = ("--numa", "distribute", "--poll", "0", "--no-repack")
    async with serving(tmp_path, llama_server, smollm2, extra=extra, **plan) as process:
        assert text_of(await reply(await process.ensure_ready(), ask("Hello")))


async def test_gemma_4_thinks_only_when_told(tmp_path: Path, llama_server: Path, tiny_e2b: Path) -> None:
    async with serving(tmp_path, llama_server, tiny_e2b) as process:
        client = await process.ensure_ready()
        plain = ask("hi")
        events = await reply(client, plain)
        assert not [event for event in events if isinstance(event, ReasoningDelta)]
        thinking = ask("hi", thinking=Thinking(is_on=True, budget_tokens=4))
        assert await client.count_tokens(thinking) != await client.count_tokens(plain)
        assert isinstance((await reply(client, thinking))[-1], Finish)


@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("named", "get_weather")])
async def test_a_forced_tool_is_called(tmp_path: Path, llama_server: Path, tiny_e2b: Path, choice: ToolChoice) -> None:
    """Only its name: the arguments of random weights are junk, which the server may not be able to read itself."""
    tools = (WEATHER, CLOCK) if choice.mode == "named" else (WEATHER,)
    request = ask("hi", tools=tools, tool_choice=choice, sampling=Sampling(temperature=0.0, max_tokens=40))
    async with serving(tmp_path, llama_server, tiny_e2b) as process:
        client = await process.ensure_ready()
        async with aclosing(client.chat(request)) as events:
            first = await anext(events)
    assert isinstance(first, ToolCallDelta)
    assert (first.index, first.name) == (0, "get_weather")
    assert first.id


async def test_a_second_turn_of_gemma_4_reuses_the_first(tmp_path: Path, llama_server: Path, tiny_e2b: Path) -> None:
    async with serving(tmp_path, llama_server, tiny_e2b, context_length=2048, num_context_checkpoints=2) as process:
        client = await process.ensure_ready()
        first = ask("word " * 300)
        answer = text_of(await reply(client, first))
        turns = (*first.messages, Message("assistant", (TextPart(answer),)), Message("user", (TextPart("and?"),)))
        usage = usage_of(await reply(client, msgspec.structs.replace(first, messages=turns)))
        assert (usage.cached_tokens or 0) > usage.prompt_tokens / 2
