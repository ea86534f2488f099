"""`gemstead bench run`: one model or all that fit, measured on this machine, each finished point kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import msgspec

from gemstead import __version__
from gemstead.app.bench_engine import BenchEngine, opened_engine
from gemstead.app.bench_subject import is_on_gpu, prediction_of, subject_of
from gemstead.app.choose import choose, provide_choice
from gemstead.app.setup import Setup, ensure_engine, goal_of, this_machine
from gemstead.app.synthesize import DEFAULT_QUANT, generated_candidate, generated_name, synthesize
from gemstead.bench.energy import Meter, metered
from gemstead.bench.measures import Answer
from gemstead.bench.memory import MemoryReading, peak_of, read_memory
from gemstead.bench.noise import Noise, noise_between, read_cpu_times, read_load, time_loop
from gemstead.bench.results import Power, Protocol, Run, RunEnd, RunPoint, RunStart, Subject
from gemstead.bench.run import (
    MAX_ANSWER_VARIATION,
    MAX_CLOCK_GAP,
    cached_prompts,
    clock_gap,
    decode_variation,
    measure_engine,
)
from gemstead.bench.store import ResultStore, new_run_id
from gemstead.catalog.manifests import now_utc
from gemstead.core.errors import DoesNotFit, RequestInvalid
from gemstead.core.figures import Figure
from gemstead.core.plan import Plan
from gemstead.core.progress import ProgressEvent
from gemstead.engines.base import Installation
from gemstead.engines.llama_cpp_buffers import read_kept_bytes
from gemstead.hardware.nvidia import held_gpu_bytes
from gemstead.hardware.snapshot import Machine
from gemstead.planner.plan import make_plan


class Asked(msgspec.Struct, frozen=True):
    """`prompt_tokens` None: 128, 512 and 2048, as far as the context holds them. `watts`: as the user states them.

    `is_resuming`: an interrupted run of the same subject is finished instead of begun anew.
    """

    prompt_tokens: tuple[int, ...] | None = None
    answer_tokens: int = 64
    repeats: int = 5
    watts: float | None = None
    is_resuming: bool = True


DEFAULT_LENGTHS = (128, 512, 2048)
TEMPLATE_TOKENS = 64
"""Left free in the context: what a chat template adds, and the error of a prompt's length."""


def bench_model(setup: Setup, asked: Asked) -> Run:
    """Measures the model of the settings.

    Raises: as `provide`; RequestInvalid for prompts the context does not hold; EngineError if an answer fails. What was
    measured before is kept then, and found again by the next call.
    """
    # What earlier results taught stays out of the prediction that this result is held against.
    machine = this_machine(setup.loaded, is_corrected=False)
    installation = ensure_engine(setup)
    name = setup.loaded.settings.model.name
    plan = provide_choice(setup, machine, name, choose(setup, machine, name))
    return asyncio.run(_Bench(setup, machine, installation, asked).run(plan))


def bench_all(setup: Setup, asked: Asked, quant: str = DEFAULT_QUANT, *, is_keeping: bool = False) -> Iterator[Run]:
    """Every Gemma 4 variant that fits, with generated weights: memory and speed do not depend on what weights say.

    What is generated for it is removed again unless `is_keeping`. Variants that do not fit are named and left out.

    Raises: as `synthesize` and `bench_model`.
    """
    machine = this_machine(setup.loaded, is_corrected=False)
    installation = ensure_engine(setup)
    for entry in setup.store.catalog.models:
        if entry.shape is None:
            continue
        name = generated_name(setup.store, entry.name, quant, is_tiny=False)
        try:
            make_plan(generated_candidate(name, entry.shape), machine, goal_of(setup, machine))
        except DoesNotFit as exc:
            setup.say(f"left out: {exc.what}")
            continue
        is_new = all(manifest.name != str(name) for manifest in setup.store.list())
        synthesize(setup, entry.name, quant, is_tiny=False)
        try:
            plan = provide_choice(setup, machine, str(name), choose(setup, machine, str(name)))
            yield asyncio.run(_Bench(setup, machine, installation, asked).run(plan))
        finally:
            if is_new and not is_keeping:
                setup.store.remove(str(name))


class _Bench:
    """Measures plans on one machine with one engine program."""

    def __init__(self, setup: Setup, machine: Machine, installation: Installation, asked: Asked) -> None:
        self._setup = setup
        self._machine = machine
        self._installation = installation
        self._asked = asked
        self._store = ResultStore(setup.loaded.paths.data)

    async def run(self, plan: Plan) -> Run:
        protocol = protocol_of(self._asked, plan)
        run = self._unfinished(plan, protocol) or self._begin(plan, protocol)
        load, loop = read_load(), await asyncio.to_thread(time_loop)
        async with metered() as meter, opened_engine(self._setup, plan, self._installation) as engine:
            before = read_cpu_times([engine.pid])
            memory, idle_w = await self._measure(run, engine, meter)
            after = read_cpu_times([engine.pid])
        loops = (loop, await asyncio.to_thread(time_loop))
        noise = noise_between(before, after, loops, load, is_on_gpu=is_on_gpu(plan))
        power = Power(meter.sources, idle_w, assumed_power(self._asked, self._machine))
        end = self._end(run, engine, memory, power, noise)
        self._store.append(msgspec.structs.replace(end, vram_bytes=meter.vram_bytes))
        return self._store.find_run(run.start.run)

    def _unfinished(self, plan: Plan, protocol: Protocol) -> Run | None:
        """The newest interrupted run of the same subject by the same protocol."""
        if not self._asked.is_resuming:
            return None
        subject = self._subject(plan)
        for run in reversed(self._store.read().runs):
            if run.end is None and run.start.subject == subject and run.start.protocol == protocol:
                self._setup.say(f"going on with {run.start.run}: {len(run.points)} points are there")
                return run
        return None

    def _begin(self, plan: Plan, protocol: Protocol) -> Run:
        start = RunStart(new_run_id(), now_utc(), __version__, self._subject(plan), protocol, prediction_of(plan))
        self._store.append(start)
        return Run(start, (), None)

    def _subject(self, plan: Plan) -> Subject:
        return subject_of(self._setup, plan, self._installation, self._machine)

    async def _measure(self, run: Run, engine: BenchEngine, meter: Meter) -> tuple[MemoryReading | None, float | None]:
        protocol, lengths = run.start.protocol, run.missing
        readings = [read_memory(engine.pid)]
        task, total = f"bench {engine.plan.model}", len(lengths) * protocol.repeats

        def on_point(length: int, answers: Sequence[Answer]) -> None:
            readings.append(read_memory(engine.pid))
            self._store.append(RunPoint(run.start.run, length, tuple(answers)))

        def on_answer(number: int) -> None:
            self._setup.progress(ProgressEvent(task, number, total, "steps", is_done=number == total))

        idle_w = await measure_engine(
            engine.target, engine.plan.model, protocol, lengths, meter, on_point=on_point, on_answer=on_answer
        )
        memory = peak_of(reading for reading in readings if reading is not None)
        if memory is not None:
            kept_bytes = read_kept_bytes(engine.log.path.read_text(encoding="utf-8", errors="replace"))
            gpu_bytes = held_gpu_bytes(engine.pid) if engine.plan.needed_bytes("gpu") else None
            memory = msgspec.structs.replace(memory, kept_bytes=kept_bytes, gpu_bytes=gpu_bytes)
        return memory, idle_w

    def _end(self, run: Run, engine: BenchEngine, memory: MemoryReading | None, power: Power, noise: Noise) -> RunEnd:
        points = self._store.find_run(run.start.run).points
        warnings = tuple(warning for point in points for warning in _warnings(point))
        return RunEnd(run.start.run, now_utc(), engine.load_s, memory, power, noise, warnings=warnings)


def _warnings(point: RunPoint) -> Iterator[str]:
    """Why not to believe the answers of one prompt length."""
    if num := cached_prompts(point.prompt_tokens, point.answers):
        yield f"{num} of {len(point.answers)} prompts of {point.prompt_tokens} tokens came partly from a cache"
    gap = clock_gap(point.answers)
    if gap is not None and abs(gap) > MAX_CLOCK_GAP:
        yield f"decode at {point.prompt_tokens} tokens is {gap:+.0%} off the engine's own clock"
    variation = decode_variation(point.answers)
    if variation is not None and variation > MAX_ANSWER_VARIATION:
        yield f"decode at {point.prompt_tokens} tokens varies by {variation:.0%} from answer to answer"


def protocol_of(asked: Asked, plan: Plan) -> Protocol:
    """Raises: RequestInvalid if the context of the plan does not hold a prompt with its answer."""
    room = plan.context_length - asked.answer_tokens - TEMPLATE_TOKENS
    lengths = asked.prompt_tokens or tuple(length for length in DEFAULT_LENGTHS if length <= room)
    if not lengths or max(lengths) > room:
        longest = max(lengths, default=DEFAULT_LENGTHS[0])
        raise RequestInvalid(
            f"a prompt of {longest} tokens with {asked.answer_tokens} of answer does not fit a context of "
            f"{plan.context_length}",
            param="depths",
            hint=f"use --context {longest + asked.answer_tokens + TEMPLATE_TOKENS}",
        )
    return Protocol(tuple(sorted(set(lengths))), asked.answer_tokens, asked.repeats)


def assumed_power(asked: Asked, machine: Machine) -> Figure | None:
    """What the machine draws while it generates: as stated, else as its profile says; None: nobody says."""
    if asked.watts is not None:
        return Figure(asked.watts, "assumed", None, "stated on the command line")
    return machine.power
