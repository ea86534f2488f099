"""Loads a model as gemstead launches it, has it answer, and reads its memory."""

from __future__ import annotations

import msgspec

from benchmarks.memory_table.rows import Cell, Predicted, Row
from gemstead.app.bench_engine import BenchEngine, opened_engine
from gemstead.app.candidates import FAMILY, stored_candidate
from gemstead.app.machine_note import machine_note
from gemstead.app.setup import Setup, ensure_engine, this_machine
from gemstead.app.synthesize import generated_candidate, generated_name
from gemstead.bench.corpus import own_corpus
from gemstead.bench.memory import MemoryReading, read_memory
from gemstead.bench.run import Asker
from gemstead.bench.target import open_session
from gemstead.catalog.manifests import Manifest, now_utc
from gemstead.core.errors import EngineFailed
from gemstead.core.plan import PartName, Plan
from gemstead.engines.llama_cpp_buffers import read_buffers
from gemstead.planner.candidate import Goal
from gemstead.planner.plan import make_plan

TOUCH_TOKENS = 560
"""Asked for. The tokens of Gemma 4 are longer than the estimate, so that 470 to 480 come: nearly the batch of 512 that
the compute buffer is for."""


def predict(setup: Setup, cell: Cell) -> Predicted:
    """From the variant's shape and the quantization's rules, before any file is there. Raises: DoesNotFit."""
    name = generated_name(setup.store, f"{FAMILY}:{cell.variant}", cell.quant, is_tiny=False)
    entry = setup.store.catalog.model(name.model)
    assert entry.shape is not None
    return _predicted(make_plan(generated_candidate(name, entry.shape), this_machine(setup.loaded), _goal(setup, cell)))


async def load_cell(setup: Setup, manifest: Manifest, cell: Cell, predicted: Predicted) -> Row:
    """Loads the model without earlier prompts and context checkpoints: they fill later, and are bounded apart.

    Raises: DoesNotFit; EngineFailed if the engine ends, or leaves out what it reserves; as `stream.ask`.
    """
    installation, machine = ensure_engine(setup), this_machine(setup.loaded)
    plan = make_plan(stored_candidate(setup.store, manifest), machine, _goal(setup, cell))
    plan = msgspec.structs.replace(plan, prompt_cache_bytes=0, num_context_checkpoints=0)
    async with opened_engine(setup, plan, installation) as engine:
        reading = await _read_used(engine)
        reported = read_buffers(engine.log.path.read_text(encoding="utf-8", errors="replace"))
    if not reported.is_complete:
        raise EngineFailed(f"the log of {plan.model} does not name its buffers")
    return Row(
        cell=cell,
        predicted=predicted,
        reported=reported,
        reading=reading,
        engine_version=installation.version,
        machine=machine_note(machine).fingerprint,
        at=now_utc(),
    )


def _goal(setup: Setup, cell: Cell) -> Goal:
    return Goal(
        context_length=cell.context_length,
        num_slots=cell.num_slots,
        can_use_gpu=False,
        headroom=setup.loaded.settings.plan.headroom,
    )


def _predicted(plan: Plan) -> Predicted:
    """The plan's parts on the host."""

    def size(name: PartName, *, is_cold_only: bool = False) -> int:
        return sum(
            part.size.num_bytes
            for part in plan.memory
            if part.name == name and part.place == "host" and (part.is_reclaimable or not is_cold_only)
        )

    return Predicted(
        mapped_bytes=size("weights"),
        cold_bytes=size("weights", is_cold_only=True),
        repacked_bytes=size("repacked_weights"),
        kv_cache_bytes=size("kv_cache"),
        compute_bytes=size("compute_buffer"),
        runtime_bytes=size("runtime"),
    )


async def _read_used(engine: BenchEngine) -> MemoryReading:
    """After a batch has been through it. Raises: EngineFailed if it is gone by then."""
    async with open_session(engine.target) as session:
        asker = Asker(session, engine.target, engine.plan.model, own_corpus())
        await asker.ask(TOUCH_TOKENS, 2)
    if (reading := read_memory(engine.pid)) is None:
        raise EngineFailed(f"{engine.plan.model} ended before its memory was read")
    return reading
