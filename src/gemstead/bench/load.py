"""Puts a server under load: closed loop (users who wait for their answer) or open loop (requests come when they come).

In an open loop latency counts from the moment a request was due, not from when it was sent: a server that is behind
must not look better because the generator fell behind with it (the "coordinated omission" of Gil Tene).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias

import msgspec

from gemstead.bench.corpus import Corpus
from gemstead.bench.measures import Answer, measure
from gemstead.bench.run import Asker
from gemstead.bench.target import Target, open_session
from gemstead.core.errors import GemsteadError, RequestInvalid

Arrival: TypeAlias = Literal["closed", "constant", "poisson"]

MAX_IN_FLIGHT = 1000
"""Of an open loop; a request that is due beyond it is counted as a failure of its own kind, `not_sent`."""
MAX_REQUESTS = 200_000


class Shape(msgspec.Struct, frozen=True):
    """One level of load. `num_users` and `think_s` are those of a closed loop, `rate_per_s` that of an open one.

    `think_s` is the mean of an exponential distribution. Nothing new is sent after `duration_s`; answers are awaited.
    """

    arrival: Arrival
    duration_s: float
    num_users: int = 1
    think_s: float = 0.0
    rate_per_s: float = 0.0
    prompt_tokens: int = 256
    answer_tokens: int = 64
    answer_limit_s: float = 300.0
    seed: int = 1


class Request(msgspec.Struct, frozen=True):
    """One request. `due_s` and `done_s` count from the start of the level; `failure` is the code of the error."""

    user: int
    due_s: float
    done_s: float
    answer: Answer | None = None
    failure: str | None = None


def check_shape(shape: Shape) -> None:
    """Raises: RequestInvalid for a load that cannot be meant."""
    if shape.arrival == "closed" and not 1 <= shape.num_users <= MAX_IN_FLIGHT:
        raise RequestInvalid(f"{shape.num_users} users: must be from 1 to {MAX_IN_FLIGHT}", param="users")
    if shape.arrival != "closed" and not 0 < shape.rate_per_s * shape.duration_s <= MAX_REQUESTS:
        raise RequestInvalid(
            f"{shape.rate_per_s:g} requests a second for {shape.duration_s:g} s: must be from 1 to {MAX_REQUESTS:,}",
            param="rate",
        )


def arrival_times_s(arrival: Arrival, rate_per_s: float, duration_s: float, seed: int) -> Iterator[float]:
    """When requests are due: evenly spaced, or a Poisson process, whose gaps are exponential. The first at a gap."""
    rng = random.Random(seed)  # noqa: S311 load, no secret
    at_s = 0.0
    while True:
        at_s += 1 / rate_per_s if arrival == "constant" else rng.expovariate(rate_per_s)
        if at_s > duration_s:
            return
        yield at_s


@asynccontextmanager
async def loader(target: Target, model: str, corpus: Corpus) -> AsyncIterator[Loader]:
    """A generator of load whose prompts have the right length; the server is warm by then. Raises: as `stream.ask`."""
    async with open_session(target) as session:
        asker = Asker(session, target, model, corpus)
        await asker.calibrate()
        yield Loader(asker)


class Loader:
    """Sends requests to one target. One level at a time."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    async def run(self, shape: Shape, on_done: Callable[[int], None]) -> list[Request]:
        """One level. Failed requests are results, not errors. `on_done` gets the number of requests that are over."""
        check_shape(shape)
        level = _Level(self._asker, shape, on_done)
        await (level.closed() if shape.arrival == "closed" else level.open())
        return level.requests


class _Level:
    def __init__(self, asker: Asker, shape: Shape, on_done: Callable[[int], None]) -> None:
        self.requests: list[Request] = []
        self._asker = asker
        self._shape = shape
        self._on_done = on_done
        self._begin_s = time.perf_counter()
        self._num_in_flight = 0

    async def closed(self) -> None:
        async with asyncio.TaskGroup() as group:
            for user in range(self._shape.num_users):
                group.create_task(self._user(user))

    async def open(self) -> None:
        shape = self._shape
        async with asyncio.TaskGroup() as group:
            due = arrival_times_s(shape.arrival, shape.rate_per_s, shape.duration_s, shape.seed)
            for number, due_s in enumerate(due):
                await asyncio.sleep(max(0.0, due_s - self._now_s()))
                if self._num_in_flight >= MAX_IN_FLIGHT:
                    self._note(Request(number, due_s, self._now_s(), failure="not_sent"))
                else:
                    group.create_task(self._ask(number, due_s))

    async def _user(self, user: int) -> None:
        shape = self._shape
        rng = random.Random(shape.seed + user)  # noqa: S311 load, no secret
        while self._now_s() < shape.duration_s:
            is_refused = await self._ask(user, self._now_s())
            pause_s = rng.expovariate(1 / shape.think_s) if shape.think_s else 0.0
            # Nobody hammers a server that has just refused.
            await asyncio.sleep(max(pause_s, 0.1) if is_refused else pause_s)

    async def _ask(self, user: int, due_s: float) -> bool:
        """True if it failed."""
        shape = self._shape
        self._num_in_flight += 1
        try:
            async with asyncio.timeout(shape.answer_limit_s):
                timeline = await self._asker.ask(shape.prompt_tokens, shape.answer_tokens, is_full_length=False)
        except GemsteadError as exc:
            self._note(Request(user, due_s, self._now_s(), failure=exc.code))
            return True
        except TimeoutError:
            self._note(Request(user, due_s, self._now_s(), failure="engine_timeout"))
            return True
        finally:
            self._num_in_flight -= 1
        late_s = timeline.sent_at_s - self._begin_s - due_s
        self._note(Request(user, due_s, self._now_s(), counted_from_due(measure(timeline), late_s)))
        return False

    def _note(self, request: Request) -> None:
        self.requests.append(request)
        self._on_done(len(self.requests))

    def _now_s(self) -> float:
        return time.perf_counter() - self._begin_s


def counted_from_due(answer: Answer, late_s: float) -> Answer:
    """An answer whose waits begin when it was due, `late_s` before it was sent."""

    def later(value: float | None) -> float | None:
        return None if value is None else value + late_s

    return msgspec.structs.replace(
        answer,
        latency_s=later(answer.latency_s),
        ttfr_s=later(answer.ttfr_s),
        ttft_s=later(answer.ttft_s),
        ttft_reasoning_s=later(answer.ttft_reasoning_s),
    )
