"""Whether greedy answers make sense: the garbage that broken builds and damaged files give shows at once."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gemstead.catalog.manifests import Manifest
from gemstead.doctor.asking import Reply, ask, manifest_of
from gemstead.doctor.check import Check
from gemstead.doctor.finding import Evidence, Finding
from gemstead.doctor.subject import Subject
from gemstead.engines.base import Engine
from gemstead.gemma.markers import MARKER

QUESTION = "What is the capital of France? Answer with one word."
EXPECTED = "paris"
MAX_TOKENS = 32
FAMILIES_THAT_KNOW = ("gemma4:", "gemma3:1b", "gemma3:4b")
"""Whose real weights answer this for certain. With the smallest models the first token is nearly a tie."""

_UNUSED = re.compile(r"<unused\d+>")

OTHER_BUILD = "gemstead engine install, then: gemstead doctor --deep"
VERIFY = "gemstead models verify"


async def check(subject: Subject, engine: Engine) -> list[Finding]:
    reply = await ask(engine, QUESTION, MAX_TOKENS)
    manifest = manifest_of(subject, engine)
    if manifest is not None and manifest.form != "weights":
        return [_of_generated(engine.model, reply)]
    what = f"{engine.model} answers {reply.text.strip()[:40]!r}"
    return list(judge(reply, manifest)) or [Finding("ok", what, evidence=_evidence(reply))]


def _of_generated(model: str, reply: Reply) -> Finding:
    """Generated weights answer nonsense, or nothing: only that the answer ends can be judged."""
    if reply.finish_reason is None:
        return Finding("error", f"the answer of {model} has no end", fix=OTHER_BUILD, evidence=_evidence(reply))
    why = "its words mean nothing, so they are not judged"
    what = f"{model} answers and ends ({reply.finish_reason}); its weights are generated"
    return Finding("ok", what, why, evidence=_evidence(reply))


def _evidence(reply: Reply) -> dict[str, Evidence]:
    return {"question": QUESTION, "answer": reply.text[:200], "finish_reason": reply.finish_reason}


def judge(reply: Reply, manifest: Manifest | None) -> Iterator[Finding]:
    """What is wrong with an answer to `QUESTION`; the first thing found is the cause of what follows it."""
    evidence = _evidence(reply)
    if reply.finish_reason is None or not reply.text.strip():
        what = "the answer is empty" if reply.finish_reason else "the answer has no end"
        yield Finding("error", what, "the engine said it was done", OTHER_BUILD, evidence)
    elif unused := _UNUSED.search(reply.text):
        why = "a sign of a broken build or GPU driver, rarely of a damaged file"
        yield Finding("error", f"the answer holds {unused[0]}", why, OTHER_BUILD, evidence)
    elif control := MARKER.search(reply.text):
        why = "control tokens leak: the build does not know this model's format, or the template is old"
        yield Finding("error", f"the answer holds {control[0]}", why, OTHER_BUILD, evidence)
    elif manifest is not None and manifest.model.startswith(FAMILIES_THAT_KNOW):
        if EXPECTED not in reply.text.lower():
            why = "this model knows: file, build or quantization is broken"
            yield Finding(
                "error", f"asked for the capital of France, it says {reply.text[:60]!r}", why, VERIFY, evidence
            )
        elif reply.finish_reason != "stop":
            what = f"one word was asked for, and {MAX_TOKENS} tokens were not enough"
            yield Finding("warning", what, "it may not know where to stop", OTHER_BUILD, evidence)


CHECK = Check(
    name="sanity",
    group="answers",
    looks_at="the greedy answer to a question every Gemma 4 knows",
    complains_when="it is empty, has no end, is wrong, or holds `<unused..>` or control tokens",
    ask=check,
    sources=(
        "https://github.com/ggml-org/llama.cpp/issues/21321",
        "https://github.com/ggml-org/llama.cpp/issues/26088",
    ),
)
