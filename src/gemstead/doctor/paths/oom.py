"""Memory ran out: what took it, and what fits instead."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.core.errors import DoesNotFit
from gemstead.core.units import format_bytes
from gemstead.doctor.finding import Finding
from gemstead.doctor.nearest_plan import command_for, smaller_than_planned
from gemstead.doctor.path import DecisionPath, Step
from gemstead.doctor.subject import Subject

BIG_SHARE = 0.25
"""Of all memory: a server of ours with more is worth naming."""


def _others(subject: Subject) -> Iterator[Finding]:
    memory = subject.machine.memory
    usable_bytes = memory.limit_bytes or memory.total_bytes
    taken_bytes = max(0, usable_bytes - memory.available.num_bytes)
    shown = f"{format_bytes(taken_bytes)} of {format_bytes(usable_bytes)} are taken by everything that runs now"
    yield Finding("note", shown, evidence={"taken_bytes": taken_bytes, "usable_bytes": usable_bytes})
    for server in subject.servers():
        is_big = server.rss_bytes > BIG_SHARE * usable_bytes
        what = f"our server with {server.model} holds {format_bytes(server.rss_bytes)}"
        yield Finding("warning" if is_big else "note", what, fix=f"gemstead stop {server.port}")


def _cache(subject: Subject) -> Iterator[Finding]:
    plan = subject.plan(None)
    kv_bytes = sum(part.size.num_bytes for part in plan.memory if part.name == "kv_cache")
    all_bytes = plan.resident_bytes("host") + plan.resident_bytes("gpu")
    what = f"the KV cache takes ~{format_bytes(kv_bytes)} of ~{format_bytes(all_bytes)}"
    slots = f"{plan.num_slots} x {plan.context_length} tokens, {plan.kv_cache_dtype}"
    is_worth = kv_bytes > BIG_SHARE * all_bytes
    fix = f"gemstead up --model {plan.model} --context {plan.context_length // 2} --kv q8_0" if is_worth else None
    yield Finding("note", what, slots, fix, {"kv_cache_bytes": kv_bytes})


def _nearest(subject: Subject) -> Iterator[Finding]:
    try:
        subject.plan(None)
    except DoesNotFit as exc:
        yield Finding("error", exc.what, exc.why, command_for(exc))
        return
    what = "the plan of the settings fits as memory is now; if it ran out all the same, this needs less"
    yield Finding("note", what, fix=smaller_than_planned(subject))


PATH = DecisionPath(
    name="oom",
    title="Out of memory",
    symptom="the engine does not start, dies, or the machine stalls",
    steps=(
        Step("Did an engine end because memory ran out?", check="last_run"),
        Step("Does the plan fit in what is free now?", check="memory"),
        Step("Is less memory usable than the machine has, or is it swapping?", check="machine"),
        Step("Who else holds memory?", look=_others),
        Step("How much of it is the KV cache?", look=_cache),
        Step("What is the nearest thing that fits?", look=_nearest),
    ),
    last_resort="gemstead plan",
)
