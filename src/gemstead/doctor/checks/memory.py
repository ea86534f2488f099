"""Whether the plan of the settings fits now, and what is left beside it."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.core.errors import DoesNotFit
from gemstead.core.figures import BytesFigure
from gemstead.core.plan import Place, Plan
from gemstead.core.units import format_bytes
from gemstead.doctor.check import Check
from gemstead.doctor.finding import Evidence, Finding
from gemstead.doctor.nearest_plan import command_for, smaller_than_planned
from gemstead.doctor.subject import Subject


def look(subject: Subject) -> Iterator[Finding]:
    yield from _look_at_kills(subject)
    try:
        plan = subject.plan(None)
    except DoesNotFit as exc:
        if holders := [server.model for server in subject.servers()]:
            yield Finding("note", f"no room for another model beside {', '.join(holders)}", exc.what)
            return
        yield Finding("error", exc.what, exc.why, command_for(exc), {"missing_bytes": exc.missing_bytes})
        return
    yield _head_room(plan)
    for warning in plan.warnings:
        yield Finding("note", warning)


def _look_at_kills(subject: Subject) -> Iterator[Finding]:
    num_kills = subject.memory_history.num_oom_kills
    if num_kills:
        yield Finding(
            "warning",
            f"the kernel has killed {num_kills} processes here because memory ran out",
            "since this control group began; one of them may have been an engine",
            smaller_than_planned(subject),
            {"oom_kills": num_kills},
        )


def _head_room(plan: Plan) -> Finding:
    places: tuple[tuple[Place, BytesFigure | None], ...] = (("host", plan.host_available), ("gpu", plan.gpu_available))
    shown: list[str] = []
    evidence: dict[str, Evidence] = {"quant": plan.quant, "num_slots": plan.num_slots}
    for place, available in places:
        needed_bytes = plan.resident_bytes(place)
        if available is not None and needed_bytes:
            shown.append(f"~{format_bytes(needed_bytes)} of {format_bytes(available.num_bytes)} ({place})")
            evidence |= {f"{place}_needed_bytes": needed_bytes, f"{place}_free_bytes": available.num_bytes}
    what = f"{plan.model} at context {plan.context_length} needs {', '.join(shown)}"
    return Finding("ok", what, evidence=evidence)


CHECK = Check(
    name="memory",
    group="machine",
    looks_at="the plan of the model in the settings against the memory that is free now; kills by the kernel",
    complains_when="it does not fit with the head-room left free, or processes were killed because memory ran out",
    look=look,
)
