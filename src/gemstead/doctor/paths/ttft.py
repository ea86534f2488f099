"""The first token is slow: loading, waiting, prefill, or thinking."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.core.units import format_bytes, format_duration
from gemstead.doctor.engine_logs import read_runs
from gemstead.doctor.finding import Evidence, Finding
from gemstead.doctor.path import DecisionPath, Step
from gemstead.doctor.subject import Subject

LONG_PROMPT_TOKENS = 2000
"""A few pages: what people paste."""
BEARABLE_S = 10.0


def _loading(subject: Subject) -> Iterator[Finding]:
    servers = [server for server in subject.servers() if server.state == "ready"]
    if servers:
        yield Finding("ok", f"{servers[0].model} is loaded and ready")
        return
    plan = subject.plan(None)
    weights_bytes = sum(part.size.num_bytes for part in plan.memory if part.name in ("weights", "mmproj"))
    why = f"the first question would wait until {format_bytes(weights_bytes)} are read from the disk"
    yield Finding("warning", "no server is ready", why, f"gemstead up --model {plan.model}")


def _prefill(subject: Subject) -> Iterator[Finding]:
    """By what the engine itself measured in its last log that has a long enough prompt."""
    runs = read_runs(subject.loaded.paths.logs, subject.kind)
    run = next((run for run in runs if run.prefill_tok_per_s is not None), None)
    if run is None or run.prefill_tok_per_s is None:
        why = "no engine log of this machine has a prompt that is long enough"
        yield Finding("note", "the prefill speed here is not known yet", why, "gemstead doctor --deep")
        return
    wait_s = LONG_PROMPT_TOKENS / run.prefill_tok_per_s
    what = (
        f"prefill ran at {run.prefill_tok_per_s:.0f} tok/s: {LONG_PROMPT_TOKENS} tokens wait {format_duration(wait_s)}"
    )
    evidence: dict[str, Evidence] = {"prefill_tok_per_s": run.prefill_tok_per_s, "log": str(run.path)}
    if wait_s <= BEARABLE_S:
        yield Finding("ok", what, evidence=evidence)
        return
    why = "the time to the first token grows with the prompt: shorten it, or take a smaller variant"
    yield Finding("warning", what, why, "gemstead plan", evidence)


def _waiting(subject: Subject) -> Iterator[Finding]:
    settings = subject.loaded.settings
    num_slots = settings.model.num_slots
    if num_slots == 1:
        why = "a second request waits until the first is answered"
        yield Finding("note", "one slot: one answer at a time", why, "gemstead up --parallel 2")
    else:
        yield Finding("ok", f"{num_slots} answers at once")
    if settings.model.is_thinking:
        why = "the first token of the answer comes after all of its thoughts"
        yield Finding("warning", "thinking is on where a request does not say", why, "set model.is_thinking to false")


PATH = DecisionPath(
    name="ttft",
    title="Slow first token",
    symptom="it takes long until an answer begins",
    steps=(
        Step("Is the model loaded, or is it loaded by the first question?", look=_loading),
        Step("If it is loaded each time: how fast is the disk?", check="disk"),
        Step("How long does prefill take here?", look=_prefill),
        Step("Does the request wait for another, or does the model think first?", look=_waiting),
        Step("Is memory short, so that weights are read again and again?", check="memory"),
        Step("Are cores, instruction sets or swap the limit?", check="machine"),
    ),
    last_resort="gemstead doctor --deep (it shows whether prompts are evaluated anew each time)",
)
