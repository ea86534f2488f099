"""Bounds for what llama-server keeps later in host memory, out of what a plan leaves over.

Untold, llama-server takes up to 8 GiB for earlier prompts (`--cache-ram`) and 32 context checkpoints per slot
(`--ctx-checkpoints`), each as large as a slot's sliding cache: for Gemma 4 31B that is 32 * 1.2 GiB.
Source: llama.cpp, common/common.h and tools/server/server-context.cpp, release of November 2026.
"""

from __future__ import annotations

import msgspec

from gemstead.core.units import GIB, MIB

MAX_PROMPT_CACHE_BYTES = 8 * GIB
MAX_CHECKPOINTS = 8
"""Enough for an answer, its question and a few turns back; more only pays for long branching chats."""

_STEP_BYTES = 64 * MIB
_PROMPT_CACHE_SHARE = 0.25
_CHECKPOINT_SHARE = 0.25


class CacheBounds(msgspec.Struct, frozen=True):
    """`num_checkpoints` per slot."""

    prompt_cache_bytes: int
    num_checkpoints: int


def bound_caches(spare_bytes: int, sliding_bytes: int, *, is_on_gpu: bool = False) -> CacheBounds:
    """A quarter of the `spare_bytes` for prompts, a quarter for checkpoints: the rest is for whatever else runs.

    `sliding_bytes` is the sliding cache of all slots, so one checkpoint of each. A model without sliding layers needs
    none: its cache can be cut back to any token. `is_on_gpu`: the cache is on a card of its own, and no checkpoints are
    kept: copying them to the host took longer than computing the tokens again would. On an H100 they cut the prefill of
    Gemma 4 31B from 2,950 to 1,630 tokens per second (4,096 tokens), of 26B-A4B from 8,420 to 4,930.
    """
    spare = max(0, spare_bytes)
    prompt_bytes = min(MAX_PROMPT_CACHE_BYTES, int(spare * _PROMPT_CACHE_SHARE))
    has_checkpoints = sliding_bytes > 0 and not is_on_gpu
    affordable = int(spare * _CHECKPOINT_SHARE) // sliding_bytes if has_checkpoints else 0
    return CacheBounds(
        prompt_cache_bytes=prompt_bytes // _STEP_BYTES * _STEP_BYTES,
        num_checkpoints=min(MAX_CHECKPOINTS, affordable),
    )
