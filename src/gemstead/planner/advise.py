"""The best variant and quantization for a machine: what fits with head-room, is fast enough, and answers best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from gemstead.core.errors import DoesNotFit, RequestInvalid
from gemstead.core.plan import Plan
from gemstead.core.units import format_bytes
from gemstead.hardware.snapshot import Machine
from gemstead.planner.candidate import Candidate, Goal, find_weights
from gemstead.planner.plan import make_plan
from gemstead.planner.quality import is_coarse, quant_rank, variant_score
from gemstead.planner.speed_bound import BEARABLE_TOK_PER_S, max_tok_per_s

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
    tok_per_s_bound: float | None

    @property
    def is_slow(self) -> bool:
        return self.tok_per_s_bound is not None and self.tok_per_s_bound < BEARABLE_TOK_PER_S


def advise(candidates: Sequence[Candidate], machine: Machine, goal: Goal | None = None) -> Advice:
    """Ranks what fits: bearably fast before slow, four bits and more before fewer, then by variant and quantization.

    A mixture of experts reads a fraction of its weights per token, so on processors and unified memory it often comes
    before a dense model of its size.

    Raises: DoesNotFit if nothing fits, with the bytes the smallest need lacks; RequestInvalid without candidates.
    """
    if not candidates:
        raise RequestInvalid("there is no model to choose from", hint="gemstead models list")
    options: list[_Option] = []
    rejected: list[Rejected] = []
    for candidate in candidates:
        _consider(candidate, machine, goal or Goal(), options, rejected)
    if not options:
        raise _nothing_fits(rejected, machine)
    options.sort(key=_rank)
    best = options[0]
    return Advice(
        best=best.plan,
        alternatives=tuple(option.plan for option in _alternatives(options)),
        rejected=tuple(rejected),
        reasons=tuple(_reasons(best, options)),
    )


def rank_candidates(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Best first by quality alone, whatever the machine: the order in which a refusal looks for what fits."""
    return sorted(candidates, key=lambda candidate: (is_coarse(candidate), *_quality_key(candidate)))


def _consider(
    candidate: Candidate, machine: Machine, goal: Goal, options: list[_Option], rejected: list[Rejected]
) -> None:
    try:
        plan = make_plan(candidate, machine, goal)
        bound = max_tok_per_s(candidate, find_weights(candidate), plan, machine)
    except DoesNotFit as exc:
        rejected.append(Rejected(candidate.model, candidate.quant, exc.what, exc.missing_bytes))
    except RequestInvalid as exc:
        rejected.append(Rejected(candidate.model, candidate.quant, exc.what))
    else:
        options.append(_Option(candidate, plan, bound))


def _quality_key(candidate: Candidate) -> tuple[float, int]:
    return (-variant_score(candidate), quant_rank(candidate))


def _rank(option: _Option) -> tuple[bool, bool, float, int]:
    return (option.is_slow, is_coarse(option.candidate), *_quality_key(option.candidate))


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


def _reasons(best: _Option, options: list[_Option]) -> Iterator[str]:
    score = variant_score(best.candidate)
    if score:
        yield f"{best.plan.model} answers best of what fits: mean {score:.0f} of 100 on six published benchmarks"
    if best.candidate.is_qat:
        yield f"{best.plan.quant} is what it was trained for (QAT): nearly the quality of 16 bits at 4"
    if best.is_slow:
        yield f"everything that fits is slow here: memory bandwidth allows at most {best.tok_per_s_bound:.1f} tokens/s"
    named: set[str] = set()
    for option in options:
        variant = option.candidate.shape.name
        if option.is_slow and variant_score(option.candidate) > score and variant not in named:
            named.add(variant)
            bound = option.tok_per_s_bound
            yield f"{option.plan.model} fits too, but memory bandwidth allows at most {bound:.1f} tokens/s"
