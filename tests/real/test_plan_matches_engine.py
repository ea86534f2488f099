"""The memory a plan promises is the memory llama-server reports for the same command line."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from gemstead.bench.corpus import own_corpus
from gemstead.bench.memory import read_memory
from gemstead.bench.stream import Question, ask
from gemstead.bench.target import Target, open_session
from gemstead.catalog.gguf import read_gguf
from gemstead.core.errors import EngineBusy, EngineFailed
from gemstead.core.plan import Plan
from gemstead.core.units import MIB
from gemstead.engines.base import Endpoint, Installation
from gemstead.engines.kinds.llama_cpp import ENGINE
from gemstead.engines.llama_cpp_buffers import Buffers, read_buffers
from gemstead.hardware.probe import probe
from gemstead.planner.candidate import Candidate, Goal
from gemstead.planner.kv_cache import kv_cache_bytes
from gemstead.planner.plan import make_plan

pytestmark = pytest.mark.real

START_LIMIT_S = 120


def plan_for(model: Path, goal: Goal) -> tuple[Plan, Candidate]:
    """The plan for a file that is here, from its own header, on this machine's processor."""
    gguf = read_gguf(model)
    candidate = Candidate(
        "gemma4:e2b@synthetic",
        "Q4_0",
        gguf.shape(),
        tensors=gguf.tensors,
        file_bytes=gguf.size_bytes,
        model_path=str(model),
    )
    return make_plan(candidate, probe(model.parent), goal), candidate


@contextmanager
def started(program: Path, plan: Plan, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """llama-server started as the engine would; yields it and its log. It is gone when the block ends."""
    # The name must end so: llama-server takes any other for a host to listen on.
    endpoint = Endpoint(api_key="only-for-this-test", socket_path=folder / "e.sock")
    command = ENGINE.command(plan, Installation("llama.cpp", program, "tried", "given"), endpoint)
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command.argv, stdout=output, stderr=output, env=os.environ | command.env | command.secret_env
        )
    try:
        yield process, log
    finally:
        process.kill()
        process.wait(30)


def reported_buffers(program: Path, plan: Plan, folder: Path) -> Buffers:
    """What the server logs until its last buffer is reserved."""
    with started(program, plan, folder) as (process, log):
        give_up_at = time.monotonic() + START_LIMIT_S
        while not (buffers := read_buffers(log.read_text(errors="replace"))).is_complete:
            assert process.poll() is None, f"the server ended:\n{log.read_text(errors='replace')[-3000:]}"
            assert time.monotonic() < give_up_at, f"it is still loading:\n{log.read_text(errors='replace')[-3000:]}"
            time.sleep(0.1)
        return buffers


async def answered(folder: Path, prompt: str) -> None:
    """One answer of the server that `started` runs in `folder`, as soon as it is ready."""
    headers = {"Authorization": "Bearer only-for-this-test"}
    target = Target("started", "http://engine", str(folder / "e.sock"), headers)
    async with asyncio.timeout(START_LIMIT_S), open_session(target) as session:
        while True:
            try:
                await ask(session, target, Question("it", prompt, 2))
            except (EngineFailed, EngineBusy):
                await asyncio.sleep(0.2)  # it does not listen yet, or still loads
            else:
                return


async def test_what_the_process_holds_is_what_was_planned_within_3_percent(
    llama_server: Path, synthetic_e2b: Path, tmp_path: Path
) -> None:
    plan, _ = plan_for(synthetic_e2b, Goal(context_length=8192, num_slots=2, can_use_gpu=False))
    plan = msgspec.structs.replace(plan, prompt_cache_bytes=0, num_context_checkpoints=0)
    with started(llama_server, plan, tmp_path) as (process, _):
        await answered(tmp_path, own_corpus().prompt(420, seed=1))
        reading = read_memory(process.pid)
    assert reading is not None
    # Of the file only what is in memory counts here: other programs may have its pages mapped, too, or none left.
    held_bytes = (reading.anon_bytes or 0) + (reading.shmem_bytes or 0) + planned(plan, "weights")
    assert plan.needed_bytes("host") == pytest.approx(held_bytes, rel=0.03)


def planned(plan: Plan, name: str) -> int:
    return sum(part.size.num_bytes for part in plan.memory if part.name == name and part.place == "host")


@pytest.mark.parametrize("context_length", [4096, 32_768])
@pytest.mark.parametrize("num_slots", [1, 4])
def test_weights_and_kv_cache_are_what_the_engine_reports_to_the_mib(
    llama_server: Path, synthetic_e2b: Path, tmp_path: Path, context_length: int, num_slots: int
) -> None:
    goal = Goal(context_length=context_length, num_slots=num_slots, can_use_gpu=False)
    plan, candidate = plan_for(synthetic_e2b, goal)
    reported = reported_buffers(llama_server, plan, tmp_path)
    kv_cache = kv_cache_bytes(candidate.shape, context_length, num_slots, plan.kv_cache_dtype)
    assert planned(plan, "weights") == pytest.approx(reported.mapped_bytes, abs=MIB)
    assert planned(plan, "repacked_weights") == pytest.approx(reported.repacked_bytes, abs=MIB)
    assert kv_cache.full_bytes == pytest.approx(reported.kv_full_bytes, abs=MIB)
    assert kv_cache.sliding_bytes == pytest.approx(reported.kv_sliding_bytes, abs=MIB)
    assert planned(plan, "kv_cache") == kv_cache.total_bytes
    assert planned(plan, "compute_buffer") == pytest.approx(reported.compute_bytes, rel=0.1)


def test_a_shared_pool_with_a_denser_cache_is_what_the_engine_reports_to_the_mib(
    llama_server: Path, synthetic_e2b: Path, tmp_path: Path
) -> None:
    goal = Goal(context_length=8192, num_slots=3, kv_cache_dtype="q8_0", is_kv_unified=True, can_use_gpu=False)
    plan, _ = plan_for(synthetic_e2b, goal)
    reported = reported_buffers(llama_server, plan, tmp_path)
    assert planned(plan, "kv_cache") == pytest.approx(reported.kv_full_bytes + reported.kv_sliding_bytes, abs=MIB)
