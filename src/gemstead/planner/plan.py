"""From a model, a machine and a goal to the plan that would run, or the reason why it cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from gemstead.core.errors import DoesNotFit, RequestInvalid
from gemstead.core.plan import Plan
from gemstead.core.speed import Speed
from gemstead.core.units import format_bytes
from gemstead.hardware.snapshot import Machine
from gemstead.planner.caches import bound_caches
from gemstead.planner.candidate import Candidate, Goal, Weights, check_goal, find_weights
from gemstead.planner.fit import Budget, Fit, find_budget, find_fit
from gemstead.planner.kv_cache import kv_cache_bytes
from gemstead.planner.memory import place_weights
from gemstead.planner.speed import Layout, Model, predict_speed
from gemstead.planner.traffic import gguf_traffic
from gemstead.planner.units import find_units

ENGINE = "llama.cpp"

USUAL_CONTEXT = 32_768
"""Chosen when nobody asks: room for long documents, while the KV cache stays far smaller than the weights."""

SMALLEST_CONTEXT = 2048
"""Below this a chat hardly fits; the planner does not go there by itself."""


class Shortage(msgspec.Struct, frozen=True):
    """Why a candidate does not fit: at its shortest context it needs `needed_bytes` of the host, and lacks some."""

    context_length: int
    needed_bytes: int
    missing_bytes: int

    def describe(self, candidate: Candidate, machine: Machine) -> str:
        return (
            f"{candidate.label} needs {format_bytes(self.needed_bytes)} of memory at a context of "
            f"{self.context_length}, {format_bytes(self.missing_bytes)} more than {machine.name} has to give"
        )


def make_plan(
    candidate: Candidate, machine: Machine, goal: Goal | None = None, alternatives: Sequence[Candidate] = ()
) -> Plan:
    """The plan for this candidate on this machine. `alternatives`, best first, are what a refusal may suggest.

    Raises: DoesNotFit with the missing bytes and the nearest choice that fits; RequestInvalid for a goal that cannot
    be meant or a file whose size nobody knows.
    """
    goal = goal or Goal()
    found = seek_plan(candidate, machine, goal)
    if isinstance(found, Shortage):
        raise _refusal(candidate, machine, goal, found, alternatives)
    return found


def seek_plan(candidate: Candidate, machine: Machine, goal: Goal) -> Plan | Shortage:
    """As `make_plan`, but what does not fit is an answer too: a comparison of many asks for no advice on each.

    Raises: RequestInvalid, likewise.
    """
    check_goal(goal, candidate.shape)
    budget, weights = find_budget(machine, goal), find_weights(candidate)
    placed = place_weights(candidate, weights, machine.cpu.instruction_sets)
    fit, context_length = None, 0
    for context_length in _contexts(goal, candidate.shape.max_context):
        fit = find_fit(candidate, placed, goal, context_length, budget)
        if fit.is_fitting:
            plan = _plan(candidate, machine, goal, context_length, fit, budget)
            speed = _speed(candidate, weights, machine, goal, plan)
            return msgspec.structs.replace(plan, speed=speed, reasons=(*plan.reasons, *_corrections(speed)))
    assert fit is not None
    return Shortage(context_length, budget.host_bytes + fit.missing_bytes, fit.missing_bytes)


def _contexts(goal: Goal, max_context: int) -> Iterator[int]:
    """What is asked for; else the usual context, and halves of it while it does not fit."""
    if goal.context_length is not None:
        yield goal.context_length
        return
    context = min(USUAL_CONTEXT, max_context)
    yield context
    while context // 2 >= SMALLEST_CONTEXT:
        context //= 2
        yield context


def _plan(candidate: Candidate, machine: Machine, goal: Goal, context_length: int, fit: Fit, budget: Budget) -> Plan:
    host_resident = sum(part.size.num_bytes for part in fit.parts if part.place == "host" and not part.is_reclaimable)
    kv_cache = kv_cache_bytes(
        candidate.shape,
        context_length,
        goal.num_slots,
        goal.kv_cache_dtype,
        ubatch_tokens=goal.ubatch_tokens,
        is_unified=goal.is_kv_unified,
    )
    is_on_gpu = fit.placement.gpu_place == "gpu"
    caches = bound_caches(budget.host_bytes - host_resident, kv_cache.sliding_bytes, is_on_gpu=is_on_gpu)
    return Plan(
        model=candidate.model,
        quant=candidate.quant,
        engine=ENGINE,
        context_length=context_length,
        num_slots=goal.num_slots,
        kv_cache_dtype=goal.kv_cache_dtype,
        ubatch_tokens=goal.ubatch_tokens,
        gpu_layers=fit.placement.gpu_layers,
        num_threads=machine.cpu.usable_cores,
        memory=fit.parts,
        host_available=budget.host_available,
        gpu_available=budget.gpu_available,
        download_bytes=_download_bytes(candidate),
        model_path=candidate.model_path,
        mmproj_path=candidate.mmproj_path,
        is_kv_unified=goal.is_kv_unified,
        prompt_cache_bytes=caches.prompt_cache_bytes,
        num_context_checkpoints=caches.num_checkpoints,
        reasons=tuple(_reasons(candidate, machine, goal, context_length, fit)),
        warnings=tuple(_warnings(candidate, machine, fit)),
    )


def _speed(candidate: Candidate, weights: Weights, machine: Machine, goal: Goal, plan: Plan) -> Speed | None:
    """None too where only the size of the file is known: what one token reads of it then is not."""
    if not weights.tensors:
        return None
    traffic = gguf_traffic(weights.tensors, weights.scale)
    units = find_units(machine, plan.engine, candidate.shape.num_layers, plan.gpu_layers or 0)
    model = Model(candidate.shape, traffic, candidate.quant, plan.kv_cache_dtype)
    layout = Layout(units, plan.context_length, plan.num_slots, plan.ubatch_tokens, machine.power, machine.corrections)
    return predict_speed(model, layout, goal.workload)


def _corrections(speed: Speed | None) -> Iterator[str]:
    """How measurements on this machine changed the prediction."""
    figures = {"decode": speed.decode_tok_per_s, "prefill": speed.prefill_tok_per_s} if speed is not None else {}
    for name, figure in figures.items():
        if figure is not None and figure.source is not None:
            yield f"{name} is {figure.source}"


def _download_bytes(candidate: Candidate) -> int | None:
    """What is still to be fetched; None if the size is unknown or nothing is missing."""
    if candidate.model_path is not None:
        return None
    mmproj = candidate.mmproj_bytes or 0 if candidate.mmproj_path is None else 0
    return None if candidate.file_bytes is None else candidate.file_bytes + mmproj


def _reasons(candidate: Candidate, machine: Machine, goal: Goal, context_length: int, fit: Fit) -> Iterator[str]:
    everything = candidate.shape.num_layers + 1
    names = " + ".join(gpu.name for gpu in machine.gpus)
    if fit.placement.gpu_layers == everything:
        yield f"all layers run on {names}"
    elif fit.placement.has_gpu:
        yield f"{fit.placement.gpu_layers} of {everything} layers fit on {names}, the others run on the processor"
    elif machine.gpus and goal.can_use_gpu:
        yield f"nothing fits on {names}: everything runs on the processor"
    else:
        yield f"runs on the processor with {machine.cpu.usable_cores} threads, one per usable core"
    if goal.context_length is None:
        usual = min(USUAL_CONTEXT, candidate.shape.max_context)
        note = "the usual context" if context_length == usual else f"the longest half of {usual} that fits"
        yield f"context {context_length}: {note} (the model can do {candidate.shape.max_context})"


def _warnings(candidate: Candidate, machine: Machine, fit: Fit) -> Iterator[str]:
    download = _download_bytes(candidate)
    if download is not None and machine.disk is not None and download > machine.disk.free_bytes:
        yield (
            f"{format_bytes(download)} are to be downloaded, and only {format_bytes(machine.disk.free_bytes)} are free "
            f"at {machine.disk.path}"
        )
    if fit.placement.has_gpu and len(machine.own_memory_gpus) > 1:
        yield "the memory of several GPUs is counted as one: each needs its own buffers, so less may fit"


def _refusal(
    candidate: Candidate, machine: Machine, goal: Goal, shortage: Shortage, alternatives: Sequence[Candidate]
) -> DoesNotFit:
    goal = msgspec.structs.replace(goal, context_length=shortage.context_length)
    free_bytes = machine.memory.available.num_bytes
    return DoesNotFit(
        shortage.describe(candidate, machine),
        missing_bytes=shortage.missing_bytes,
        why=f"{format_bytes(free_bytes)} are free and {goal.headroom:.0%} of them stay free",
        hint=_nearest_choice(candidate, machine, goal, alternatives),
    )


def _nearest_choice(candidate: Candidate, machine: Machine, goal: Goal, alternatives: Sequence[Candidate]) -> str:
    """The smallest change that fits: a denser KV cache, a shorter context, fewer slots, another file or machine."""
    for flags, changed in _smaller_goals(goal):
        if _fits(candidate, machine, changed):
            return f"use {flags}"
    for other in alternatives:
        fitting = next((changed for changed in _same_or_shorter(goal, other) if _fits(other, machine, changed)), None)
        if fitting is not None:
            return f"use --model {other.model} ({other.quant}, context {fitting.context_length})"
    return "free some memory, or see what a larger machine could run: gemstead plan --on laptop-64gb"


def _smaller_goals(goal: Goal) -> Iterator[tuple[str, Goal]]:
    assert goal.context_length is not None
    if goal.kv_cache_dtype in {"f16", "bf16"}:
        yield "--kv q8_0", msgspec.structs.replace(goal, kv_cache_dtype="q8_0")
    for context in _halves(goal.context_length):
        yield f"--context {context}", msgspec.structs.replace(goal, context_length=context)
    slots = goal.num_slots
    while slots > 1:
        slots //= 2
        yield f"--parallel {slots}", msgspec.structs.replace(goal, num_slots=slots)


def _same_or_shorter(goal: Goal, candidate: Candidate) -> Iterator[Goal]:
    assert goal.context_length is not None
    longest = min(goal.context_length, candidate.shape.max_context)
    for context in (longest, *_halves(longest)):
        yield msgspec.structs.replace(goal, context_length=context)


def _halves(context: int) -> Iterator[int]:
    """Powers of two below `context`, largest first."""
    half = 1 << (context - 1).bit_length() - 1
    while half >= SMALLEST_CONTEXT:
        if half < context:
            yield half
        half //= 2


def _fits(candidate: Candidate, machine: Machine, goal: Goal) -> bool:
    try:
        return isinstance(seek_plan(candidate, machine, goal), Plan)
    except RequestInvalid:
        # An alternative that cannot even be sized, or whose rows a denser cache does not suit, is none.
        return False
