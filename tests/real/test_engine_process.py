"""The supervisor against the fake engine, a real process that fails on command."""

import asyncio
import os
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from fake_engine import fake_engine_kind, fake_installation, small_plan
from gemstead.core.errors import EngineBusy, EngineFailed, ModelMissing, NameUnknown
from gemstead.core.progress import ProgressEvent
from gemstead.core.types import ChatRequest, Event, Finish, Message, TextPart
from gemstead.engines.client import EngineClient
from gemstead.engines.process import EngineChange, EngineProcess, ProcessOptions
from gemstead.engines.restarts import RestartPolicy

pytestmark = pytest.mark.real

HI = ChatRequest("tiny", (Message("user", (TextPart("hi"),)),))
FAST = RestartPolicy(max_restarts=2, window_s=60, first_delay_s=0.05, max_delay_s=0.1)


@asynccontextmanager
async def supervised(
    tmp_path: Path,
    *faults: str,
    seen: list[ProgressEvent] | None = None,
    model_path: str | None = None,
    **options: Any,
) -> AsyncIterator[EngineProcess]:
    """A supervisor that has not started anything; whatever it starts is gone afterwards."""
    process = EngineProcess(
        fake_engine_kind(*faults),
        fake_installation(),
        small_plan(model_path=model_path),
        run_dir=tmp_path / "run",
        log_dir=tmp_path / "logs",
        options=ProcessOptions(environ={"KEPT": "1"}, restart=FAST, **options),
        progress=seen.append if seen is not None else lambda _event: None,
    )
    before = set(psutil.Process().children(recursive=True))
    try:
        yield process
    finally:
        await process.stop()
        assert set(psutil.Process().children(recursive=True)) <= before
        assert not list((tmp_path / "run").glob("*"))


async def reply(client: EngineClient) -> list[Event]:
    return [event async for event in client.chat(HI)]


async def test_a_start_a_reply_and_a_stop(tmp_path: Path) -> None:
    async with supervised(tmp_path) as process:
        assert process.state == "stopped"
        client = await process.ensure_ready()
        assert process.state == "ready"
        assert (await reply(client))[-1] == Finish("stop")
        usage = process.usage()
        assert usage.pid is not None
        assert usage.resident_bytes > 5_000_000
        assert usage.num_crashes == 0
        assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700
        await process.stop()
        assert process.state == "stopped"
        assert process.usage().pid is None
        assert not psutil.pid_exists(usage.pid)
        assert "fake engine ready" in process.log_path.read_text()


async def test_callers_share_one_start(tmp_path: Path) -> None:
    async with supervised(tmp_path, "--load-s", "0.3") as process:
        clients = await asyncio.gather(*(process.ensure_ready() for _ in range(10)))
        assert len(set(map(id, clients))) == 1
        assert process.log_path.read_text().count("starting") == 1


async def test_a_caller_that_gives_up_leaves_the_start_to_the_others(tmp_path: Path) -> None:
    async with supervised(tmp_path, "--load-s", "0.3") as process:
        impatient = asyncio.create_task(process.ensure_ready())
        patient = asyncio.create_task(process.ensure_ready())
        await asyncio.sleep(0.1)
        impatient.cancel()
        assert (await reply(await patient))[-1] == Finish("stop")
        assert impatient.cancelled()


async def test_loading_tells_how_much_is_in_memory(tmp_path: Path) -> None:
    weights = tmp_path / "weights.gguf"
    weights.write_bytes(b"x" * 1000)
    seen: list[ProgressEvent] = []
    async with supervised(tmp_path, "--load-s", "0.3", seen=seen, model_path=str(weights)) as process:
        await process.ensure_ready()
    assert len(seen) > 1
    assert all(event.total == 1000 and event.done <= 1000 for event in seen)
    assert [event.is_done for event in seen[-2:]] == [False, True]


async def test_an_engine_that_will_not_start_fails_with_its_last_words_and_stays_failed(tmp_path: Path) -> None:
    words = "error loading model: unknown model architecture: 'gemma9'"
    async with supervised(tmp_path, "--exit-at-start", "1", "--say", words) as process:
        for _ in range(2):
            with pytest.raises(EngineFailed, match="exit status 1") as failed:
                await process.ensure_ready()
            assert words in str(failed.value.why)
            assert "engine install" in str(failed.value.hint)
            assert process.state == "failed"
        await process.stop()
        assert process.state == "stopped"


async def test_weights_that_are_not_there_are_missed_before_anything_starts(tmp_path: Path) -> None:
    async with supervised(tmp_path, model_path=str(tmp_path / "absent.gguf")) as process:
        with pytest.raises(ModelMissing, match="is not there"):
            await process.ensure_ready()
        assert not process.log_path.exists()


async def test_an_engine_that_does_not_get_ready_is_ended(tmp_path: Path) -> None:
    async with supervised(tmp_path, "--load-s", "60", start_s=0.3) as process:
        with pytest.raises(EngineFailed, match="was not ready"):
            await process.ensure_ready()
        assert process.state == "failed"


async def test_a_crash_is_followed_by_a_restart_that_callers_wait_for(tmp_path: Path) -> None:
    mark = tmp_path / "crashed"
    async with supervised(tmp_path, "--crash-after", "1", "--crash-once", str(mark)) as process:
        first = await process.ensure_ready()
        with pytest.raises(EngineFailed):
            await reply(first)
        async with asyncio.timeout(15):
            while process.usage().num_crashes == 0:  # noqa: ASYNC110 the crash is somebody else's news
                await asyncio.sleep(0.01)
        second = await process.ensure_ready()
        assert second is not first
        assert (await reply(second))[-1] == Finish("stop")
        assert process.state == "ready"
        assert process.log_path.with_name(process.log_path.name + ".1").exists()


async def test_starts_crashes_and_stops_are_told_without_what_the_engine_printed(tmp_path: Path) -> None:
    told: list[EngineChange] = []
    flags = ("--crash-after", "1", "--crash-once", str(tmp_path / "crashed"), "--say", "a prompt in a log")
    async with supervised(tmp_path, *flags, on_change=told.append) as process:
        client = await process.ensure_ready()
        first_pid = process.usage().pid
        with pytest.raises(EngineFailed):
            await reply(client)
        while len(told) < 3:  # noqa: ASYNC110 the restart is somebody else's news
            await asyncio.sleep(0.05)
        await process.stop()
    assert [change.kind for change in told] == ["started", "crashed", "started", "stopped"]
    assert told[0].pid == first_pid
    assert "SIGKILL" in str(told[1].why)
    assert "a prompt in a log" not in str(told)


async def test_an_engine_that_never_came_up_is_told_as_a_crash(tmp_path: Path) -> None:
    told: list[EngineChange] = []
    async with supervised(tmp_path, "--exit-at-start", "1", on_change=told.append) as process:
        with pytest.raises(EngineFailed):
            await process.ensure_ready()
    assert [change.kind for change in told] == ["crashed"]


async def test_an_engine_that_keeps_crashing_is_given_up(tmp_path: Path) -> None:
    async with supervised(tmp_path, "--crash-after", "0") as process:

        async def crash_until_failed() -> None:
            while True:
                client = await process.ensure_ready()
                with pytest.raises(EngineFailed):
                    await reply(client)
                await asyncio.sleep(0.02)

        with pytest.raises(EngineFailed, match="more than 2 times") as failed:
            async with asyncio.timeout(20):
                await crash_until_failed()
        assert "SIGKILL" in failed.value.what
        assert process.state == "failed"
        assert process.usage().num_crashes == 3


async def test_a_stop_lets_running_replies_end(tmp_path: Path) -> None:
    async with supervised(tmp_path, "--tokens", "10", "--itl-s", "0.05") as process:
        client = await process.ensure_ready()
        running = asyncio.create_task(reply(client))
        await asyncio.sleep(0.1)
        stop = asyncio.create_task(process.stop(drain_s=10))
        await asyncio.sleep(0.05)
        assert process.state == "stopping"
        with pytest.raises(EngineBusy):
            await process.ensure_ready()
        await stop
        assert (await running)[-1] == Finish("stop")


async def test_a_stop_does_not_wait_longer_than_it_was_told(tmp_path: Path) -> None:
    async with supervised(tmp_path, "--tokens", "1000", "--itl-s", "0.05") as process:
        running = asyncio.create_task(reply(await process.ensure_ready()))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(15):
            await process.stop(drain_s=0.2)
        with pytest.raises(EngineFailed):
            await running


async def test_a_stop_in_the_middle_of_a_start_ends_it(tmp_path: Path) -> None:
    async with supervised(tmp_path, "--load-s", "60") as process:
        waiting = asyncio.create_task(process.ensure_ready())
        await asyncio.sleep(0.3)
        async with asyncio.timeout(15):
            await asyncio.gather(process.stop(), process.stop())
        with pytest.raises(EngineFailed, match="was stopped"):
            await waiting


async def test_an_engine_deaf_to_sigterm_is_killed(tmp_path: Path) -> None:
    async with supervised(tmp_path, "--is-deaf", term_s=0.3) as process:
        await process.ensure_ready()
        async with asyncio.timeout(15):
            await process.stop()


async def test_it_starts_again_after_a_stop(tmp_path: Path) -> None:
    async with supervised(tmp_path) as process:
        for _ in range(2):
            assert (await reply(await process.ensure_ready()))[-1] == Finish("stop")
            await process.stop()


async def test_a_cancelled_supervisor_takes_its_engine_along(tmp_path: Path) -> None:
    async with supervised(tmp_path) as process:
        await process.ensure_ready()
        pid = process.usage().pid
        assert pid is not None
        (owner,) = [task for task in asyncio.all_tasks() if task.get_name() == "engine tiny"]
        owner.cancel()
        with pytest.raises(asyncio.CancelledError):
            await owner
        assert not psutil.pid_exists(pid)
        assert process.state == "stopped"


def test_an_extra_argument_that_is_not_allowed_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(NameUnknown):
        EngineProcess(
            fake_engine_kind(),
            fake_installation(),
            small_plan(),
            run_dir=tmp_path,
            log_dir=tmp_path,
            options=ProcessOptions(environ={}, extra_args=("--api-key", "x")),
        )


GATEWAY = """
import asyncio
from pathlib import Path
from fake_engine import fake_engine_kind, fake_installation, small_plan
from gemstead.engines.process import EngineProcess, ProcessOptions

async def main():
    folder = Path({folder!r})
    process = EngineProcess(fake_engine_kind("--is-deaf"), fake_installation(), small_plan(), run_dir=folder / "run",
                            log_dir=folder / "logs", options=ProcessOptions(environ={{}}))
    await process.ensure_ready()
    print(process.usage().pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_kill_9_of_gemstead_leaves_no_engine_not_even_a_deaf_one(tmp_path: Path) -> None:
    gateway = subprocess.Popen(
        [sys.executable, "-c", GATEWAY.format(folder=str(tmp_path))],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert gateway.stdout is not None
    engine_pid = int(gateway.stdout.readline())
    gateway.kill()
    killed_s = time.monotonic()
    gateway.wait()
    gateway.stdout.close()
    while psutil.pid_exists(engine_pid):
        assert time.monotonic() - killed_s < 2.0, "the engine outlived gemstead"
        time.sleep(0.01)


def test_it_lives_on_uvloop_too(tmp_path: Path) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def live() -> None:
        mark = tmp_path / "crashed"
        async with supervised(tmp_path, "--crash-after", "1", "--crash-once", str(mark)) as process:
            with pytest.raises(EngineFailed):
                await reply(await process.ensure_ready())
            async with asyncio.timeout(15):
                while process.usage().num_crashes == 0:  # noqa: ASYNC110 the crash is somebody else's news
                    await asyncio.sleep(0.01)
            assert (await reply(await process.ensure_ready()))[-1] == Finish("stop")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live())
