"""From so many users, tokens each, and seconds to the first token to a goal, and to the machines that keep it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gemstead.core.errors import DoesNotFit, RequestInvalid
from gemstead.core.plan import Plan
from gemstead.core.speed import Workload
from gemstead.hardware.snapshot import Machine
from gemstead.planner.advise import advise
from gemstead.planner.aims import is_keeping_up
from gemstead.planner.candidate import MAX_SLOTS, Candidate, Goal

_SMALLEST_CONTEXT = 1024


class MachineOption(msgspec.Struct, frozen=True):
    """What would run on a named machine."""

    machine: str
    plan: Plan


def serving_goal(goal: Goal, num_users: int, tokens: int, max_ttft_s: float | None) -> Goal:
    """`goal` for `num_users` at the same moment, each with `tokens` of its own: half prompt, half answer.

    Every user gets a slot, and every slot the next power of two above `tokens`, unless the goal names a context. A KV
    cache of 8 bits may be taken where 16 do not fit.

    Raises: RequestInvalid if a number cannot be meant.
    """
    if not 1 <= num_users <= MAX_SLOTS:
        raise RequestInvalid(
            f"{num_users} users at once: one engine serves from 1 to {MAX_SLOTS}", param="users", hint="use --users 50"
        )
    if tokens < 2:
        raise RequestInvalid(f"{tokens} tokens are no prompt and answer", param="tokens", hint="use --tokens 600")
    if max_ttft_s is not None and max_ttft_s <= 0:
        raise RequestInvalid(f"a first token within {max_ttft_s:g} s cannot be", param="ttft", hint="use --ttft 2")
    context = goal.context_length or max(_SMALLEST_CONTEXT, 1 << (tokens - 1).bit_length())
    if context < tokens:
        raise RequestInvalid(
            f"{tokens} tokens do not fit into a context of {context}", param="context", hint=f"use --context {tokens}"
        )
    return msgspec.structs.replace(
        goal,
        context_length=context,
        num_slots=num_users,
        workload=Workload(num_users, tokens - tokens // 2, tokens // 2, max_ttft_s),
        can_quantize_kv=True,
    )


def machines_that_do(
    candidates: Sequence[Candidate], machines: Sequence[Machine], goal: Goal
) -> tuple[MachineOption, ...]:
    """The machines on which the best choice keeps the goal's limits at a bearable rate, in the order given."""
    found = []
    for machine in machines:
        try:
            plan = advise(candidates, machine, goal).best
        except (DoesNotFit, RequestInvalid):
            continue
        if plan.speed is not None and is_keeping_up(plan):
            found.append(MachineOption(machine.name, plan))
    return tuple(found)
