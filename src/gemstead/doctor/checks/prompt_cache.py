"""Whether a prompt that was seen before is evaluated again: with chats that grows with every turn."""

from __future__ import annotations

from gemstead.doctor.asking import Reply, ask
from gemstead.doctor.check import Check
from gemstead.doctor.finding import Finding
from gemstead.doctor.subject import Subject
from gemstead.engines.base import Engine

PROMPT = "The lamp keeper writes down wind, tide and visitors. " * 24 + "How many days passed?"
"""Some 300 tokens: more than one batch of the smallest, far below every sliding window."""
MAX_REPEATED_SHARE = 0.5


async def check(_subject: Subject, engine: Engine) -> list[Finding]:
    first = await ask(engine, PROMPT, 2)
    second = await ask(engine, PROMPT, 2)
    return [judge(first, second)]


def judge(first: Reply, second: Reply) -> Finding:
    """The same question twice: the second time nearly everything should come from the cache."""
    prompt_tokens = second.usage.prompt_tokens if second.usage else None
    again = second.prefill_tokens
    if prompt_tokens is None or again is None:
        return Finding("note", "this engine does not tell how many prompt tokens it evaluates")
    evidence = {
        "prompt_tokens": prompt_tokens,
        "first_prefill_tokens": first.prefill_tokens,
        "second_prefill_tokens": again,
    }
    if again <= MAX_REPEATED_SHARE * prompt_tokens:
        return Finding("ok", f"asked again, {again} of {prompt_tokens} prompt tokens are evaluated", evidence=evidence)
    return Finding(
        "warning",
        f"asked again, {again} of {prompt_tokens} prompt tokens are evaluated anew",
        "every turn of a chat pays for all turns before it; whole caches for sliding layers help, and take memory",
        "GEMSTEAD_ENGINE_EXTRA_ARGS=--swa-full gemstead up",
        evidence,
    )


CHECK = Check(
    name="prompt_cache",
    group="answers",
    looks_at="how many tokens of a prompt are evaluated when it comes a second time",
    complains_when="more than half are",
    ask=check,
    sources=("https://github.com/ggml-org/llama.cpp/issues/21468",),
)
