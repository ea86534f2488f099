"""Answers are worse than they should be: file, template, build, cache, or quantization."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.core.plan import Plan
from gemstead.doctor.finding import Finding
from gemstead.doctor.path import DecisionPath, Step
from gemstead.doctor.subject import Subject

COARSE_PREFIXES = ("Q2", "Q3", "IQ1", "IQ2", "IQ3")
COARSE_CACHES = ("q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")


def _cache(subject: Subject) -> Iterator[Finding]:
    dtype = subject.loaded.settings.model.kv_cache_dtype
    if dtype in COARSE_CACHES:
        why = "the longer the conversation, the more it costs; f16 is exact, q8_0 nearly"
        yield Finding("warning", f"the KV cache is kept as {dtype}", why, "gemstead up --kv q8_0")
    else:
        yield Finding("ok", f"the KV cache is kept as {dtype}")


def _quantization(subject: Subject) -> Iterator[Finding]:
    plan = subject.plan(None)
    if plan.quant.upper().removeprefix("UD-").startswith(COARSE_PREFIXES):
        why = "below four bits a smaller variant at four bits usually answers better"
        yield Finding("warning", f"{plan.model} is quantized to {plan.quant}", why, "gemstead plan")
        return
    yield Finding("ok", f"{plan.model} is quantized to {plan.quant}: four bits or more", *_finer(subject, plan))


def _finer(subject: Subject, plan: Plan) -> tuple[str, str] | tuple[()]:
    """How to see what this quantization costs."""
    if plan.quant.upper() in ("Q8_0", "BF16", "F16"):
        return ()
    manifest = subject.store.find(plan.model)
    command = f"gemstead bench quality --model {plan.model}"
    if manifest is None or manifest.model not in {model.name for model in subject.store.catalog.models}:
        return ("held against a higher precision, a text and questions show what is lost", command)
    finer = f"{manifest.model}-q8_0" + ("" if manifest.form == "weights" else f"@{manifest.form}")
    return (
        "held against 8 bits of the same model, a text and questions show what is lost",
        f"{command} --against {finer}",
    )


def _sampling(subject: Subject) -> Iterator[Finding]:
    names = " ".join(subject.loaded.settings.engine.extra_args)
    if not names:
        yield Finding("ok", "no extra flags change how the engine computes or renders")
        return
    why = "flags can change how it computes and renders; leave them out to compare"
    yield Finding("note", f"the engine gets extra flags: {names}", why, "gemstead config show --origin")


PATH = DecisionPath(
    name="quality",
    title="Quality loss",
    symptom="answers are wrong, poor, repetitive, or tools are not called",
    steps=(
        Step("Is it the publisher's newest file, whole?", check="files"),
        Step("Does it carry a current chat template?", check="template"),
        Step("Has the engine's build a known bug?", check="engine"),
        Step("Is the KV cache quantized too far?", look=_cache),
        Step("Are the weights quantized too far?", look=_quantization),
        Step("Do extra flags change what the model sees?", look=_sampling),
    ),
    last_resort="gemstead doctor --deep (it asks the model, and looks at its tokens)",
)
