"""A server of its own for the benchmark, and the way past its door to the engine behind it."""

from __future__ import annotations

import asyncio

from gemstead.app.bench_engine import door_target, target_of
from gemstead.app.detached import bring_up
from gemstead.app.server_engine import endpoint_of
from gemstead.app.servers import ServerRecord, stop_server
from gemstead.app.setup import Setup
from gemstead.bench.door import DoorComparison, compare
from gemstead.bench.stream import Question
from gemstead.bench.target import Target
from gemstead.core.progress import ProgressEvent


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
        direct, door = engine_target(record), door_target("door", record)
        return await compare(direct, door, question, rounds=rounds, on_round=on_round)
    finally:
        await asyncio.to_thread(stop_server, record)


def engine_target(record: ServerRecord) -> Target:
    """The engine of a server of this user. Raises: as `endpoint_of`."""
    return target_of(endpoint_of(record), "direct")
