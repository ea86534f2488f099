"""What would run and what it needs. The planner makes it; engines turn it into a command line; people read it first."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from gemstead.core.figures import BytesFigure
from gemstead.core.speed import Speed

KvCacheDtype: TypeAlias = Literal["f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]

Place: TypeAlias = Literal["host", "gpu"]


Purpose: TypeAlias = Literal["chat", "embed"]
"""What an engine is started for: to answer, or to turn texts into vectors."""

FlashAttention: TypeAlias = Literal["auto", "on", "off"]

Speculation: TypeAlias = Literal["off", "ngram", "draft"]
"""How tokens are guessed ahead, to be checked in one batch: from the text so far, or by a drafter model."""

PartName: TypeAlias = Literal[
    "weights", "repacked_weights", "kv_cache", "compute_buffer", "mmproj", "drafter", "runtime"
]


class MemoryPart(msgspec.Struct, frozen=True):
    """One line of the memory table, e.g. ("kv_cache", "host", 60 MiB, computed)."""

    name: PartName
    place: Place
    size: BytesFigure
    is_reclaimable: bool = False
    """True: pages of the mapped file that nobody reads after loading; the system drops them when it needs memory."""


class Plan(msgspec.Struct, frozen=True):
    """One model on one machine, ready to start.

    `context_length` is the tokens one slot holds; `num_slots` the sequences at once. `gpu_layers` None: let the engine
    decide. `model_path` is None while nothing is downloaded.
    """

    model: str
    quant: str
    engine: str
    context_length: int
    num_slots: int
    kv_cache_dtype: KvCacheDtype
    ubatch_tokens: int
    gpu_layers: int | None
    num_threads: int
    memory: tuple[MemoryPart, ...]
    host_available: BytesFigure
    gpu_available: BytesFigure | None = None
    download_bytes: int | None = None
    model_path: str | None = None
    mmproj_path: str | None = None
    purpose: Purpose = "chat"
    is_kv_unified: bool = False
    """True: all slots share one KV pool of num_slots * context_length tokens."""
    prompt_cache_bytes: int = 0
    """Host memory the engine may fill later with earlier prompts; taken from what the parts above leave over."""
    num_context_checkpoints: int = 0
    """Copies of one slot's sliding KV cache the engine may keep later, per slot; likewise."""
    batch_tokens: int | None = None
    """Prompt tokens handed over at once, a multiple of `ubatch_tokens`; None: the engine's own."""
    flash_attention: FlashAttention = "auto"
    speculation: Speculation = "off"
    drafter_path: str | None = None
    """The drafter's file, for `speculation` "draft"."""
    speed: Speed | None = None
    """Predicted; None where the machine's memory bandwidth is not known."""
    reasons: tuple[str, ...] = ()
    """Why these choices, one short sentence each."""
    warnings: tuple[str, ...] = ()

    def needed_bytes(self, place: Place) -> int:
        """Everything the engine maps or allocates at the start, as its own log adds up."""
        return sum(part.size.num_bytes for part in self.memory if part.place == place)

    def resident_bytes(self, place: Place) -> int:
        """What must stay in memory: `needed_bytes` without the reclaimable parts. Admission asks this."""
        return sum(part.size.num_bytes for part in self.memory if part.place == place and not part.is_reclaimable)
