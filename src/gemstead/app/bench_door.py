"""A server of its own for the benchmark, and the way past its door to the engine behind it."""

from __future__ import annotations

import asyncio

from gemstead.app.detached import bring_up
from gemstead.app.servers import ServerRecord, stop_server
from gemstead.app.setup import Setup
from gemstead.bench.door import DoorComparison, Question, Target, compare
from gemstead.core.errors import EngineFailed
from gemstead.core.progress import ProgressEvent

KEY_VARIABLE = "LLAMA_API_KEY"


async def bench_door(setup: Setup, *, prompt: str, max_tokens: int, rounds: int) -> DoorComparison:
    """Starts a server on a free port, asks it and its engine in turn, and ends it.

    Raises: as `bring_up`; EngineRefused if an answer fails.
    """

    def on_round(number: int) -> None:
        setup.progress(ProgressEvent("ask in turn", number, rounds, "steps", is_done=number == rounds))

    standing = await asyncio.to_thread(bring_up, setup, None)
    record = standing.record
    try:
        question = Question(record.model, prompt, max_tokens)
        direct, door = engine_target(record), Target("door", record.url)
        return await compare(direct, door, question, rounds=rounds, on_round=on_round)
    finally:
        await asyncio.to_thread(stop_server, record)


def engine_target(record: ServerRecord) -> Target:
    """The engine of a server of this user: its address from its arguments, its key from its environment.

    Raises: EngineFailed if the server has no engine that can be found so.
    """
    import psutil

    for process in psutil.Process(record.pid).children(recursive=True):
        argv, environ = process.cmdline(), process.environ()
        if KEY_VARIABLE in environ and "--host" in argv:
            host = argv[argv.index("--host") + 1]
            headers = {"Authorization": f"Bearer {environ[KEY_VARIABLE]}"}
            if host.endswith(".sock"):
                return Target("direct", "http://engine", host, headers)
            return Target("direct", f"http://{host}:{argv[argv.index('--port') + 1]}", None, headers)
    raise EngineFailed(f"the engine of the server on port {record.port} cannot be found")
