"""Pairs of rounds on the real engine: both settings running, asked in turn, who goes first changing every time."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator, Sequence
from itertools import count

import msgspec

from gemstead.app.bench_engine import BenchEngine, opened_engine
from gemstead.app.bench_subject import is_on_gpu
from gemstead.app.setup import Setup
from gemstead.bench.changes import Changes
from gemstead.bench.corpus import own_corpus
from gemstead.bench.edit_task import STOP, edit_prompt
from gemstead.bench.measures import measure
from gemstead.bench.memory import read_memory
from gemstead.bench.noise import noise_between, read_cpu_times, read_load, time_loop
from gemstead.bench.run import full_length
from gemstead.bench.stream import Question, ask
from gemstead.bench.tables import prefill_of
from gemstead.bench.target import open_session
from gemstead.bench.timeline import Timeline
from gemstead.bench.tune_figures import Pair, Round, TuneGoal
from gemstead.core.plan import Plan
from gemstead.core.progress import ProgressEvent
from gemstead.engines.base import Installation

PROSE_WORDS = 220
"""About 300 tokens of prompt."""
PROSE_TOKENS = 64
EDIT_TOKENS = 384
"""Longer than the file of the code-edit task."""
BURST_USERS = 4
BURST_WORDS = 60
BURST_TOKENS = 32
UNCACHED = {"cache_prompt": False}
"""Every prompt is evaluated whole, however much of it the engine has seen."""


class Rounds:
    """Measures settings of one plan. `tasks` of a round follow from the goal: only what it needs is waited for."""

    def __init__(self, setup: Setup, plan: Plan, installation: Installation, goal: TuneGoal) -> None:
        self._setup = setup
        self._plan = plan
        self._installation = installation
        self._goal = goal
        self._seeds = count(time.time_ns())

    async def pairs(self, standing: Changes, challenger: Changes, num_pairs: int) -> tuple[list[Pair], tuple[str, ...]]:
        """The pairs, and what disturbed them, in words.

        Raises: EngineFailed if one of the settings does not start or does not answer.
        """
        load, loop = read_load(), await asyncio.to_thread(time_loop)
        async with (
            opened_engine(self._setup, self._plan, self._installation, standing) as first,
            opened_engine(self._setup, self._plan, self._installation, challenger) as second,
        ):
            engines = (first, second)
            for engine in engines:
                await self._round(engine, next(self._seeds), is_warm_up=True)
            before = read_cpu_times([engine.pid for engine in engines])
            pairs = [await self._pair(engines, number, num_pairs) for number in range(num_pairs)]
            after = read_cpu_times([engine.pid for engine in engines])
        loops = (loop, await asyncio.to_thread(time_loop))
        noise = noise_between(before, after, loops, load, is_on_gpu=is_on_gpu(self._plan))
        return pairs, tuple(noise.reasons)

    async def _pair(self, engines: tuple[BenchEngine, BenchEngine], number: int, total: int) -> Pair:
        seed = next(self._seeds)
        rounds: dict[int, Round] = {}
        for side in (0, 1) if number % 2 else (1, 0):
            rounds[side] = await self._round(engines[side], seed)
        task = f"tune: {engines[1].changes.describe()}"
        self._setup.progress(ProgressEvent(task, number + 1, total, "steps", is_done=number + 1 == total))
        return rounds[0], rounds[1]

    async def _round(self, engine: BenchEngine, seed: int, *, is_warm_up: bool = False) -> Round:
        """Equal seeds ask equal questions."""
        prose = self._prose(seed, PROSE_WORDS, 8 if is_warm_up else PROSE_TOKENS)
        timeline = await _ask(engine, prose)
        found = Round(dict(_prose_figures(timeline)), {"prose": _digest(timeline)})
        if is_warm_up:
            return found
        if self._goal == "code-edit":
            found = _with_edit(found, await _ask(engine, self._edit(seed)))
        if self._goal == "throughput":
            found = _with_burst(found, *await self._burst(engine, seed))
        if (memory := read_memory(engine.pid)) is not None:
            found = _adding(found, {"memory": float(memory.pss_bytes or memory.rss_bytes)})
        return found

    def _prose(self, seed: int, num_words: int, num_tokens: int) -> Question:
        prompt = own_corpus().prompt(num_words, seed)
        return Question(self._plan.model, prompt, num_tokens, {**full_length(self._plan.model), **UNCACHED})

    def _edit(self, seed: int) -> Question:
        return Question(self._plan.model, edit_prompt(seed), EDIT_TOKENS, {"stop": [STOP], **UNCACHED}, is_raw=True)

    async def _burst(self, engine: BenchEngine, seed: int) -> tuple[Sequence[Timeline], float]:
        """Several users at the same moment, and the seconds until the last was answered."""
        begin_s = time.perf_counter()
        questions = [self._prose(seed + user, BURST_WORDS, BURST_TOKENS) for user in range(1, BURST_USERS + 1)]
        timelines = await asyncio.gather(*(_ask(engine, question) for question in questions))
        return timelines, time.perf_counter() - begin_s


async def _ask(engine: BenchEngine, question: Question) -> Timeline:
    async with open_session(engine.target) as session:
        return await ask(session, engine.target, question)


def _prose_figures(timeline: Timeline) -> Iterator[tuple[str, float]]:
    answer = measure(timeline)
    values = {
        "latency": answer.latency_s,
        "TTFT": answer.ttft_s,
        "prefill": prefill_of(answer),
        "decode": answer.engine_decode_tok_per_s or answer.decode_tok_per_s,
    }
    yield from ((name, value) for name, value in values.items() if value is not None)


def _with_edit(found: Round, timeline: Timeline) -> Round:
    answer = measure(timeline)
    rate = answer.engine_decode_tok_per_s or answer.decode_tok_per_s
    timings = timeline.usage.timings if timeline.usage else None
    found = _adding(found, {} if rate is None else {"edit decode": rate})
    return msgspec.structs.replace(
        found,
        texts={**found.texts, "edit": _digest(timeline)},
        drafted_tokens=(timings.drafted_tokens if timings else None) or 0,
        accepted_tokens=(timings.accepted_tokens if timings else None) or 0,
    )


def _with_burst(found: Round, timelines: Sequence[Timeline], wall_s: float) -> Round:
    answers = [measure(timeline) for timeline in timelines]
    num_tokens = sum(answer.completion_tokens or 0 for answer in answers)
    waits = [answer.ttft_s for answer in answers if answer.ttft_s is not None]
    figures = {"decode of all users": num_tokens / wall_s}
    return _adding(found, figures | ({"TTFT of all users": max(waits)} if waits else {}))


def _adding(found: Round, figures: dict[str, float]) -> Round:
    return msgspec.structs.replace(found, figures={**found.figures, **figures})


def _digest(timeline: Timeline) -> str:
    return hashlib.sha256(timeline.text.encode()).hexdigest()[:16]
