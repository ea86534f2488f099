"""The second engine of a model: the one that turns texts into vectors, beside the one that answers.

llama-server can do both in one process, but then reserves logits for every token of a batch from the start, and takes
no text longer than the batch of the chat. Measured with Gemma 4 E2B Q4_0 and batches of 512 tokens, November 2026: one
process grows from 1,171 MB of private memory to 2,176 MB, and 467 MiB of that are there before the first embedding. The
second process takes 1,125 MB, from the first embedding on, shares the file's pages, and leaves cached prompts alone.
"""

from __future__ import annotations

import msgspec

from gemstead.core.errors import DoesNotFit
from gemstead.core.figures import BytesFigure
from gemstead.core.plan import MemoryPart, PartName, Plan
from gemstead.core.shapes import ModelShape
from gemstead.core.units import format_bytes
from gemstead.hardware.snapshot import Machine
from gemstead.planner.buffers import COMPUTE_ERROR, RUNTIME_ERROR, compute_buffer_bytes, runtime_bytes
from gemstead.planner.candidate import Candidate, Goal, find_weights
from gemstead.planner.fit import find_budget
from gemstead.planner.kv_cache import kv_cells
from gemstead.planner.memory import Placement, memory_parts, place_weights

_F32_BYTES = 4
_LIVE_ROWS = 4
"""Hidden states alive beside the logits at the end of the graph: with these, 0.2 % off for E2B and SmolLM2 135M."""


def make_embed_plan(
    candidate: Candidate, machine: Machine, chat: Plan, context_length: int, headroom: float = 0.1
) -> Plan:
    """The plan of an engine for texts of up to `context_length` tokens, or of what the model can if that is less.

    It runs on the processor, except where card and processor share one memory: a card of its own is planned for the
    engine of `chat`. `machine` is as it is now, that engine's memory taken if it runs; if it does not, `chat` comes
    without its memory parts, because then there are no weights to share.

    Raises: DoesNotFit with the missing bytes.
    """
    tokens = min(context_length, candidate.shape.max_context)
    gpu_layers = (chat.gpu_layers or 0) if chat.gpu_available is None else 0
    goal = Goal(context_length=tokens, headroom=headroom, ubatch_tokens=tokens)
    parts = _parts(candidate, chat, goal, Placement(gpu_layers, is_unified_memory=True))
    budget = find_budget(machine, goal)
    plan = Plan(
        model=chat.model,
        quant=chat.quant,
        engine=chat.engine,
        context_length=tokens,
        num_slots=1,
        kv_cache_dtype=goal.kv_cache_dtype,
        ubatch_tokens=tokens,
        gpu_layers=gpu_layers,
        num_threads=chat.num_threads,
        memory=parts,
        host_available=budget.host_available,
        model_path=chat.model_path,
        purpose="embed",
    )
    missing_bytes = plan.resident_bytes("host") - budget.host_bytes
    if missing_bytes > 0:
        raise DoesNotFit(
            f"embeddings of {plan.model} need {format_bytes(plan.resident_bytes('host'))} of memory beside the engine "
            f"that answers, {format_bytes(missing_bytes)} more than {machine.name} has to give",
            missing_bytes=missing_bytes,
            why=f"{format_bytes(budget.host_available.num_bytes)} are free and {headroom:.0%} of them stay free",
            hint=f"set embeddings.context_length to less than {tokens}, or serve a smaller model",
        )
    return plan


def _parts(candidate: Candidate, chat: Plan, goal: Goal, placement: Placement) -> tuple[MemoryPart, ...]:
    """Every part it takes; of the weights, what the engine of `chat` does not keep in memory anyway."""
    shape, tokens = candidate.shape, goal.ubatch_tokens
    alone = msgspec.structs.replace(candidate, mmproj_bytes=None, mmproj_path=None)
    placed = place_weights(alone, find_weights(alone), ())
    planned = memory_parts(alone, placed, goal, tokens, placement)
    kept_bytes = sum(
        part.size.num_bytes
        for part in chat.memory
        if part.name == "weights" and part.place == "host" and not part.is_reclaimable
    )
    weights_bytes = sum(part.size.num_bytes for part in planned if part.name == "weights")
    return (
        _part("weights", max(0, weights_bytes - kept_bytes), 0.02),
        *(part for part in planned if part.name == "kv_cache"),
        _part("compute_buffer", _compute_bytes(shape, tokens), COMPUTE_ERROR),
        # The output rows among it are logits for every token, which nobody asked for.
        _part("runtime", runtime_bytes(shape, tokens), RUNTIME_ERROR),
    )


def _compute_bytes(shape: ModelShape, tokens: int) -> int:
    """The widest point of the graph is its end, where the logits of all tokens stand beside a few hidden states."""
    logits = _F32_BYTES * tokens * (shape.vocab_size + _LIVE_ROWS * shape.hidden_size)
    return max(logits, compute_buffer_bytes(shape, kv_cells(shape, tokens, 1, ubatch_tokens=tokens), 1, tokens))


def _part(name: PartName, num_bytes: int, error: float) -> MemoryPart:
    return MemoryPart(name, "host", BytesFigure(num_bytes, "computed", error))
