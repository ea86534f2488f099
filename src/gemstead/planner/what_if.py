"""Every choice side by side: variants, quantizations and contexts on one machine, fitting or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from gemstead.core.errors import RequestInvalid
from gemstead.core.plan import Plan
from gemstead.hardware.snapshot import Machine
from gemstead.planner.candidate import Candidate, Goal
from gemstead.planner.plan import Shortage, seek_plan

CONTEXTS = (8192, 32_768, 131_072)


class Case(msgspec.Struct, frozen=True):
    """One combination: its plan, or None and the bytes it lacks."""

    model: str
    quant: str
    context_length: int
    plan: Plan | None = None
    missing_bytes: int | None = None


def what_if(
    candidates: Sequence[Candidate], machine: Machine, goal: Goal, contexts: Sequence[int] = CONTEXTS
) -> list[Case]:
    """The cases in the order of the candidates; contexts longer than a model can handle are left out.

    Candidates that cannot be sized are left out too.
    """
    return [case for candidate in candidates for case in _cases(candidate, machine, goal, contexts)]


def _cases(candidate: Candidate, machine: Machine, goal: Goal, contexts: Sequence[int]) -> Iterator[Case]:
    for context in contexts:
        if context > candidate.shape.max_context:
            continue
        try:
            found = seek_plan(candidate, machine, msgspec.structs.replace(goal, context_length=context))
        except RequestInvalid:
            return
        if isinstance(found, Shortage):
            yield Case(candidate.model, candidate.quant, context, missing_bytes=found.missing_bytes)
        else:
            yield Case(candidate.model, candidate.quant, context, found)
