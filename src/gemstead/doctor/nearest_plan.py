"""After memory ran out: the nearest thing that fits, as one command."""

from __future__ import annotations

import re

from gemstead.core.errors import DoesNotFit, GemsteadError
from gemstead.core.plan import Plan
from gemstead.doctor.subject import Subject
from gemstead.planner.plan import SMALLEST_CONTEXT

MORE_HEADROOM = (0.1, 0.2, 0.35, 0.5)
"""On top of the settings' own share: the plan that ran left too little, so one that leaves more is looked for."""
MAX_HEADROOM = 0.9
_OTHER_MODEL = re.compile(r"use --model (?P<model>\S+) \(.*context (?P<context>\d+)\)")
"""How the planner names another model that fits."""


def command_for(refusal: DoesNotFit) -> str:
    """The refusal's hint as a command: `use --context 4096` becomes `gemstead up --context 4096`."""
    hint = refusal.hint or "free some memory"
    if other := _OTHER_MODEL.fullmatch(hint):
        return f"gemstead up --model {other['model']} --context {other['context']}"
    return f"gemstead up {hint.removeprefix('use ')}" if hint.startswith("use --") else hint


def smaller_than_planned(subject: Subject) -> str:
    """A command that needs less than the plan of the settings, which ran out of memory though it should have fitted.

    Where nothing can be planned, the command that says why.
    """
    own = subject.loaded.settings.plan.headroom
    try:
        planned = subject.plan(None)
        for more in MORE_HEADROOM:
            smaller = subject.plan(min(own + more, MAX_HEADROOM))
            if _size(smaller) < _size(planned):
                return up_command(smaller)
    except DoesNotFit as exc:
        return command_for(exc)
    except GemsteadError:
        return "gemstead plan"
    context = max(SMALLEST_CONTEXT, planned.context_length // 2)
    return f"gemstead up --model {planned.model} --context {context} --kv q8_0"


def up_command(plan: Plan) -> str:
    """Starts exactly `plan`."""
    slots = f" --parallel {plan.num_slots}" if plan.num_slots > 1 else ""
    return f"gemstead up --model {plan.model} --context {plan.context_length} --kv {plan.kv_cache_dtype}{slots}"


def _size(plan: Plan) -> int:
    return plan.resident_bytes("host") + plan.resident_bytes("gpu")
