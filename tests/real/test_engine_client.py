"""The client against the fake engine, a real process that fails on command."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from fake_engine import fake_engine_kind, fake_installation, small_plan
from gemstead.core.errors import (
    ContextOverflow,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineTimeout,
    GemsteadError,
    RequestInvalid,
)
from gemstead.core.types import ChatRequest, Event, Finish, ImagePart, Message, Sampling, TextDelta, TextPart, Usage
from gemstead.engines.base import Endpoint
from gemstead.engines.client import ClientTimeouts, EngineClient
from gemstead.engines.process import EngineProcess, ProcessOptions

pytestmark = pytest.mark.real

SHORT = ClientTimeouts(connect_s=2.0, first_event_s=2.0, silence_s=0.5, short_s=2.0, health_s=1.0)
HI = ChatRequest("tiny", (Message("user", (TextPart("one two three"),)),))


@contextlib.asynccontextmanager
async def running(
    tmp_path: Path, *faults: str, timeouts: ClientTimeouts = SHORT, deep: str = ""
) -> AsyncIterator[EngineClient]:
    process = EngineProcess(
        fake_engine_kind(*faults),
        fake_installation(),
        small_plan(),
        run_dir=tmp_path / "run" / deep,
        log_dir=tmp_path / "logs",
        options=ProcessOptions(environ={}, client=timeouts, term_s=1.0),
    )
    try:
        yield await process.ensure_ready()
    finally:
        await process.stop()


async def events_of(client: EngineClient, request: ChatRequest = HI) -> list[Event]:
    return [event async for event in client.chat(request)]


def text_of(events: list[Event]) -> str:
    """Of deltas only: how many there are depends on what arrived together."""
    assert all(isinstance(event, TextDelta) for event in events)
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def failure_of(client: EngineClient, request: ChatRequest = HI) -> tuple[list[Event], GemsteadError]:
    """The events before the error, and the error."""
    events: list[Event] = []

    async def collect() -> None:
        async for event in client.chat(request):
            events.append(event)  # noqa: PERF401 the events before the error are wanted

    with pytest.raises(GemsteadError) as raised:
        await collect()
    return events, raised.value


async def wait_idle(client: EngineClient) -> None:
    """Returns once the engine itself says that it works on nothing."""
    async with asyncio.timeout(10):
        while "requests_processing 0" not in str(await client.metrics()):  # noqa: ASYNC110 its state
            await asyncio.sleep(0.01)


async def test_a_reply_is_its_deltas_then_usage_then_one_finish(tmp_path: Path) -> None:
    async with running(tmp_path, "--tokens", "3", "--pings") as client:
        events = await events_of(client)
        *deltas, usage, finish = events
        assert text_of(deltas) == "token0 token1 token2 "
        assert isinstance(usage, Usage)
        assert (usage.prompt_tokens, usage.completion_tokens) == (3, 3)
        assert finish == Finish("stop")
        assert client.num_active == 0


async def test_replies_one_after_another_share_a_connection(tmp_path: Path) -> None:
    num_connections = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal num_connections
        num_connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                for part in (b'{"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}', b"[DONE]"):
                    event = b"data: " + part + b"\n\n"
                    writer.write(b"%x\r\n%b\r\n" % (len(event), event))
                writer.write(b"0\r\n\r\n")
        writer.close()

    path = tmp_path / "fake.sock"
    kind = msgspec.structs.replace(fake_engine_kind(), keeps_connections=True)
    client = EngineClient(kind, Endpoint(api_key="k", socket_path=path), "tiny", 1024)
    async with await asyncio.start_unix_server(answer, path):
        for _ in range(5):
            assert await events_of(client) == [TextDelta("hi"), Finish("stop")]
        await client.close()
    assert num_connections == 1


async def test_a_path_too_long_for_a_socket_works_over_loopback(tmp_path: Path) -> None:
    async with running(tmp_path, deep="d" * 100) as client:
        assert (await events_of(client))[-1] == Finish("stop")


async def test_a_reply_cut_by_max_tokens_says_length(tmp_path: Path) -> None:
    async with running(tmp_path) as client:
        request = msgspec.structs.replace(HI, sampling=Sampling(max_tokens=2))
        assert (await events_of(client, request))[-1] == Finish("length")


async def test_tokens_are_counted_by_the_engine(tmp_path: Path) -> None:
    async with running(tmp_path) as client:
        assert await client.count_tokens(HI) == 3


async def test_many_replies_at_once_do_not_mix(tmp_path: Path) -> None:
    async with running(tmp_path, "--tokens", "20", "--itl-s", "0.002") as client:
        replies = await asyncio.gather(*(events_of(client) for _ in range(20)))
        assert {text_of(reply[:-2]) for reply in replies} == {"".join(f"token{index} " for index in range(20))}


async def test_closing_the_iterator_ends_the_work_in_the_engine(tmp_path: Path) -> None:
    async with running(tmp_path, "--tokens", "100000", "--itl-s", "0.005") as client:
        reply = client.chat(HI)
        await anext(reply)
        assert "requests_processing 1" in str(await client.metrics())
        await reply.aclose()
        assert client.num_active == 0
        await wait_idle(client)


async def test_a_cancelled_caller_ends_the_work_in_the_engine(tmp_path: Path) -> None:
    async with running(tmp_path, "--tokens", "100000", "--itl-s", "0.005") as client:
        task = asyncio.create_task(events_of(client))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await wait_idle(client)


@pytest.mark.parametrize("fault", ["--cut-after", "--break-after", "--error-after", "--crash-after"])
async def test_a_reply_that_breaks_off_is_a_failure_after_the_text_so_far(tmp_path: Path, fault: str) -> None:
    async with running(tmp_path, fault, "2") as client:
        events, error = await failure_of(client)
        assert text_of(events) == "token0 token1 "
        assert isinstance(error, EngineFailed)
        assert error.retryable


async def test_a_silent_engine_is_given_up_in_mid_answer(tmp_path: Path) -> None:
    async with running(tmp_path, "--hang-after", "1") as client:
        events, error = await failure_of(client)
        assert events == [TextDelta("token0 ")]
        assert isinstance(error, EngineTimeout)
        assert client.num_active == 0


async def test_pings_alone_are_no_sign_of_life(tmp_path: Path) -> None:
    async with running(tmp_path, "--hang-after", "1", "--pings") as client:
        _, error = await failure_of(client)
        assert isinstance(error, EngineTimeout)


async def test_an_engine_that_never_begins_is_given_up(tmp_path: Path) -> None:
    timeouts = msgspec.structs.replace(SHORT, first_event_s=0.3)
    async with running(tmp_path, "--ttft-s", "30", timeouts=timeouts) as client:
        events, error = await failure_of(client)
        assert not events
        assert isinstance(error, EngineTimeout)


async def test_an_endless_line_is_given_up_at_its_bound(tmp_path: Path) -> None:
    async with running(tmp_path, "--flood-bytes", str(32 * 1024**2)) as client:
        _, error = await failure_of(client)
        assert isinstance(error, EngineFailed)
        assert "without an end" in error.what


@pytest.mark.parametrize(
    ("status", "kind"), [(400, RequestInvalid), (401, EngineError), (429, EngineBusy), (503, EngineBusy)]
)
async def test_a_refusal_is_told_by_its_status(tmp_path: Path, status: int, kind: type[GemsteadError]) -> None:
    async with running(tmp_path, "--status", str(status)) as client:
        _, error = await failure_of(client)
        assert type(error) is kind


async def test_an_overlong_prompt_is_told_with_both_numbers(tmp_path: Path) -> None:
    async with running(tmp_path, "--context", "2") as client:
        _, error = await failure_of(client)
        assert isinstance(error, ContextOverflow)
        assert (error.prompt_tokens, error.context_length) == (3, 2)


async def test_a_large_request_is_sent_whole(tmp_path: Path) -> None:
    message = Message("user", (TextPart("one"), ImagePart(b"\x00" * 3_000_000, "image/png")))
    async with running(tmp_path) as client:
        assert await client.count_tokens(ChatRequest("tiny", (message,))) == 1


async def test_an_engine_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    async with running(tmp_path) as client:
        pass
    with pytest.raises(EngineFailed, match="is gone"):
        await events_of(client)


async def test_a_socket_nobody_listens_on_is_a_failure(tmp_path: Path) -> None:
    client = EngineClient(fake_engine_kind(), Endpoint(api_key="k", socket_path=tmp_path / "no.sock"), "tiny", 1024)
    assert not await client.is_ready()
    with pytest.raises(EngineFailed, match="cannot be reached"):
        await events_of(client)
    await client.close()
