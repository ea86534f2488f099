"""The best variant and quantization for a machine: what fits with head-room, is fast enough, and answers best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from gemstead.core.errors import DoesNotFit, RequestInvalid
from gemstead.core.plan import Plan
from gemstead.core.units import format_bytes, format_duration
from gemstead.hardware.snapshot import Machine
from gemstead.planner.aims import is_keeping_up, is_slow, quality_key, rank_key
from gemstead.planner.candidate import Aim, Candidate, Goal
from gemstead.planner.plan import Shortage, seek_plan
from gemstead.planner.quality import is_coarse, variant_score

MAX_ALTERNATIVES = 5


class Rejected(msgspec.Struct, frozen=True):
    """A candidate that cannot run; `missing_bytes` None: for another reason than memory."""

    model: str
    quant: str
    reason: str
    missing_bytes: int | None = None


class Advice(msgspec.Struct, frozen=True):
    """`alternatives` fit too, best first. `reasons` say why `best` is, one sentence each."""

    best: Plan
    alternatives: tuple[Plan, ...]
    rejected: tuple[Rejected, ...]
    reasons: tuple[str, ...]


class _Option(msgspec.Struct, frozen=True):
    candidate: Candidate
    plan: Plan

    @property
    def tok_per_s(self) -> float | None:
        return self.plan.speed.decode_tok_per_s.value if self.plan.speed is not None else None


def advise(candidates: Sequence[Candidate], machine: Machine, goal: Goal | None = None) -> Advice:
    """Ranks what fits by the goal's aim; see `planner/aims.py`.

    A mixture of experts reads a fraction of its weights per token, so on processors and unified memory it often comes
    before a dense model of its size.

    Raises: DoesNotFit if nothing fits, with the bytes the smallest need lacks; RequestInvalid without candidates.
    """
    if not candidates:
        raise RequestInvalid("there is no model to choose from", hint="gemstead models list")
    goal = goal or Goal()
    options: list[_Option] = []
    rejected: list[Rejected] = []
    for candidate in candidates:
        _consider(candidate, machine, goal, options, rejected)
    if not options:
        raise _nothing_fits(rejected, machine)
    options.sort(key=lambda option: rank_key(option.candidate, option.plan, goal.aim))
    best = options[0]
    return Advice(
        best=best.plan,
        alternatives=tuple(option.plan for option in _alternatives(options)),
        rejected=tuple(rejected),
        reasons=tuple(_reasons(best, options, goal.aim)),
    )


def rank_candidates(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Best first by quality alone, whatever the machine: the order in which a refusal looks for what fits."""
    return sorted(candidates, key=lambda candidate: (is_coarse(candidate), *quality_key(candidate)))


def _consider(
    candidate: Candidate, machine: Machine, goal: Goal, options: list[_Option], rejected: list[Rejected]
) -> None:
    try:
        found = _seek(candidate, machine, goal)
    except RequestInvalid as exc:
        rejected.append(Rejected(candidate.model, candidate.quant, exc.what))
        return
    if isinstance(found, Shortage):
        reason = found.describe(candidate, machine)
        rejected.append(Rejected(candidate.model, candidate.quant, reason, found.missing_bytes))
    else:
        options.append(_Option(candidate, found))


def _seek(candidate: Candidate, machine: Machine, goal: Goal) -> Plan | Shortage:
    """With the KV cache asked for; with one of half the size if only that fits, or only that keeps up."""
    found = seek_plan(candidate, machine, goal)
    is_enough = isinstance(found, Plan) and is_keeping_up(found)
    if is_enough or not goal.can_quantize_kv or goal.kv_cache_dtype not in {"f16", "bf16"}:
        return found
    denser = seek_plan(candidate, machine, msgspec.structs.replace(goal, kv_cache_dtype="q8_0"))
    if isinstance(found, Shortage) or isinstance(denser, Shortage):
        return denser if isinstance(found, Shortage) else found
    return min(found, denser, key=_lateness)


def _lateness(plan: Plan) -> tuple[bool, float]:
    return (not is_keeping_up(plan), plan.speed.request_s if plan.speed is not None else 0.0)


def _alternatives(options: list[_Option]) -> list[_Option]:
    """The best file of every other variant first, then other files; `options` are sorted, the first is taken."""
    seen = {options[0].candidate.shape.name}
    firsts: list[_Option] = []
    others: list[_Option] = []
    for option in options[1:]:
        (others if option.candidate.shape.name in seen else firsts).append(option)
        seen.add(option.candidate.shape.name)
    return (firsts + others)[:MAX_ALTERNATIVES]


def _nothing_fits(rejected: list[Rejected], machine: Machine) -> DoesNotFit | RequestInvalid:
    too_large = [item for item in rejected if item.missing_bytes is not None]
    if not too_large:
        return RequestInvalid(rejected[0].reason, why="no candidate can be planned", hint="gemstead models list")
    nearest = min(too_large, key=lambda item: item.missing_bytes or 0)
    missing_bytes = nearest.missing_bytes or 0
    return DoesNotFit(
        f"nothing fits on {machine.name}: {nearest.model} {nearest.quant} comes nearest and lacks "
        f"{format_bytes(missing_bytes)}",
        missing_bytes=missing_bytes,
        hint="free some memory, ask for a shorter --context, or see a larger machine: gemstead plan --on laptop-32gb",
    )


_AIM_REASONS: dict[Aim, str] = {
    "latency": "answers soonest of what fits",
    "energy": "needs the least energy per token of what fits",
}


def _reasons(best: _Option, options: list[_Option], aim: Aim) -> Iterator[str]:
    score = variant_score(best.candidate)
    if aim in _AIM_REASONS and best.plan.speed is not None:
        yield f"{best.plan.model} {_AIM_REASONS[aim]}"
    elif score:
        yield f"{best.plan.model} answers best of what fits: mean {score:.0f} of 100 on six published benchmarks"
    if best.candidate.is_qat:
        yield f"{best.plan.quant} is what it was trained for (QAT): nearly the quality of 16 bits at 4"
    if best.plan.speed is not None and not best.plan.speed.is_in_time:
        yield "nothing that fits keeps the limit on the first token here"
    if aim == "balanced" and is_slow(best.plan):
        yield f"everything that fits is slow here: about {best.tok_per_s:.1f} tokens/s"
    named: set[str] = set()
    for option in options:
        variant, drawback = option.candidate.shape.name, _drawback(option.plan)
        if drawback and variant_score(option.candidate) > score and variant not in named:
            named.add(variant)
            yield f"{option.plan.model} fits too, but {drawback}"


def _drawback(plan: Plan) -> str | None:
    """Why a plan that fits comes late in the order."""
    speed = plan.speed
    if speed is None:
        return None
    if not speed.is_in_time and speed.ttft_s is not None:
        return f"its first token would take about {format_duration(speed.ttft_s.value)}"
    return f"would give about {speed.decode_tok_per_s.value:.1f} tokens/s" if is_slow(plan) else None
