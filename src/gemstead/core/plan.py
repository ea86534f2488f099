"""What would run and what it needs. The planner makes it; engines turn it into a command line; people read it first."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from gemstead.core.figures import BytesFigure

KvCacheDtype: TypeAlias = Literal["f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]

Place: TypeAlias = Literal["host", "gpu"]


class MemoryPart(msgspec.Struct, frozen=True):
    """One line of the memory table, e.g. ("kv_cache", "host", 60 MiB, computed)."""

    name: Literal["weights", "repacked_weights", "kv_cache", "compute_buffer", "mmproj", "drafter", "runtime"]
    place: Place
    size: BytesFigure
    is_reclaimable: bool = False
    """True: file-backed pages the system may drop and read again (memory-mapped weights)."""


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
    is_kv_unified: bool = False
    """True: all slots share one KV pool of num_slots * context_length tokens."""
    reasons: tuple[str, ...] = ()
    """Why these choices, one short sentence each."""
    warnings: tuple[str, ...] = ()

    def needed_bytes(self, place: Place) -> int:
        return sum(part.size.num_bytes for part in self.memory if part.place == place)
