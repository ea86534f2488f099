"""What guessing tokens ahead takes of the memory. Pure."""

from __future__ import annotations

import msgspec

from gemstead.core.figures import BytesFigure
from gemstead.core.plan import MemoryPart, Plan
from gemstead.core.units import MIB

NGRAM_POOL_BYTES = 16 * MIB
"""llama.cpp's `ngram-mod`: 4 Mi entries of 4 bytes, whatever the model (common/speculative.cpp, read 2026-11)."""
NGRAM_TOKENS = 64
"""Most tokens it drafts at once: each needs a row of logits beside the one there is anyway."""
DRAFT_TOKENS = 3
"""llama-server's default for a drafter."""
LOGIT_BYTES = 4


def with_speculation(plan: Plan, vocab_size: int, drafter_bytes: int) -> Plan:
    """`plan` with the memory of its speculation, on the host and at the cost of the prompt cache, and a sentence on it.

    Each row of logits is there twice, where it is computed and where it is read from: with Gemma 3 270M memory was
    measured to grow by 131 MiB, against the 144 computed here. A drafter's own KV cache is not in the sum; those of
    Gemma 4 read the cache of the model they draft for.
    """
    if plan.speculation == "off":
        return plan
    num_tokens = NGRAM_TOKENS if plan.speculation == "ngram" else DRAFT_TOKENS
    weights_bytes = NGRAM_POOL_BYTES if plan.speculation == "ngram" else drafter_bytes
    logits_bytes = 2 * num_tokens * vocab_size * LOGIT_BYTES * plan.num_slots
    size = BytesFigure(weights_bytes + logits_bytes, "computed", 0.2)
    return msgspec.structs.replace(
        plan,
        prompt_cache_bytes=max(0, plan.prompt_cache_bytes - size.num_bytes),
        memory=(*plan.memory, MemoryPart("drafter", "host", size)),
        reasons=(*plan.reasons, f"speculation: {_WORDS[plan.speculation]}"),
    )


_WORDS = {
    "ngram": "text that recurs is guessed ahead and checked in one batch; free text is left alone",
    "draft": "a drafter guesses ahead",
}
