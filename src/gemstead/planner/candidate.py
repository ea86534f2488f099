"""What a plan is made for: a model file that is here or could be fetched, and what is wanted of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from gemstead.catalog.tensors import TensorSpec, file_bytes, tensor_table
from gemstead.core.errors import NameUnknown, RequestInvalid
from gemstead.core.plan import KvCacheDtype
from gemstead.core.shapes import ModelShape
from gemstead.core.speed import Workload
from gemstead.planner.kv_cache import DEFAULT_UBATCH_TOKENS
from gemstead.planner.weights import FileTensor

MAX_SLOTS = 256
"""llama.cpp's limit (LLAMA_MAX_SEQ)."""


class Candidate(msgspec.Struct, frozen=True):
    """One file of one model.

    `quant` as its publisher spells it; `mix` names the publisher's tensor types where they differ from a plain
    quantization ("ggml-org/Q4_0"). `tensors` are those of the file's header, once it is here. `file_bytes` None: not
    published. `is_qat`: trained for this quantization, so it loses less than its bits say.
    """

    model: str
    quant: str
    shape: ModelShape
    mix: str | None = None
    tensors: Sequence[FileTensor] | None = None
    file_bytes: int | None = None
    mmproj_bytes: int | None = None
    model_path: str | None = None
    mmproj_path: str | None = None
    is_qat: bool = False

    @property
    def label(self) -> str:
        return f"{self.model} {self.quant}"


Aim: TypeAlias = Literal["balanced", "quality", "latency", "concurrency", "energy"]
"""What advice puts first; see `planner/aims.py`."""


class Goal(msgspec.Struct, frozen=True):
    """What the user wants. `context_length` None: the planner chooses; it is what one slot holds.

    `headroom` is the share of the free memory to leave free. `can_use_gpu` False: the engine has no GPU support.
    `workload` is what speed is predicted for, `aim` what advice prefers among what fits. `can_quantize_kv`: where the
    KV cache of `kv_cache_dtype` does not fit, advice may take one of 8 bits.
    """

    context_length: int | None = None
    num_slots: int = 1
    kv_cache_dtype: KvCacheDtype = "f16"
    is_kv_unified: bool = False
    headroom: float = 0.1
    can_use_gpu: bool = True
    ubatch_tokens: int = DEFAULT_UBATCH_TOKENS
    workload: Workload = Workload()
    aim: Aim = "balanced"
    can_quantize_kv: bool = False


class Weights(msgspec.Struct, frozen=True):
    """Tensors to place, and the factor that brings their bytes to the size of the real file. `error` is relative."""

    tensors: Sequence[FileTensor]
    scale: float
    error: float
    is_read: bool


_SAME_SIZE = 0.001
"""A file that differs by less than this from the prediction follows the predicted types."""


def find_weights(candidate: Candidate) -> Weights:
    """The tensors of the file if it is here, else those its quantization's rules predict.

    Raises: RequestInvalid if neither the tensors, nor the rules, nor the size are known.
    """
    if candidate.tensors is not None:
        return Weights(candidate.tensors, scale=1.0, error=0.001, is_read=True)
    mix = candidate.mix or candidate.quant
    try:
        tensors: tuple[TensorSpec, ...] = tensor_table(candidate.shape, mix)
    except NameUnknown as exc:
        return _sized_weights(candidate, exc)
    if candidate.file_bytes is None:
        return Weights(tensors, scale=1.0, error=0.02, is_read=False)
    scale = candidate.file_bytes / file_bytes(candidate.shape, mix)
    if abs(scale - 1) < _SAME_SIZE:
        return Weights(tensors, scale=1.0, error=0.005, is_read=False)
    return Weights(tensors, scale=scale, error=0.05, is_read=False)


def _sized_weights(candidate: Candidate, exc: NameUnknown) -> Weights:
    """No rules for this quantization: take the nearest plain types and the published size."""
    if candidate.file_bytes is None:
        raise RequestInvalid(
            f"the size of {candidate.label} is not known",
            why=exc.what,
            hint=f"gemstead models pull {candidate.model}",
        ) from exc
    if candidate.shape.architecture != "gemma4":
        return Weights((), scale=1.0, error=0.02, is_read=False)
    plain = "Q8_0" if candidate.quant.upper().startswith("Q8") else "Q4_K_M"
    scale = candidate.file_bytes / file_bytes(candidate.shape, plain)
    return Weights(tensor_table(candidate.shape, plain), scale=scale, error=0.05, is_read=False)


def check_goal(goal: Goal, shape: ModelShape) -> None:
    """Raises: RequestInvalid if the goal cannot be meant."""
    if not 1 <= goal.num_slots <= MAX_SLOTS:
        raise RequestInvalid(
            f"{goal.num_slots} slots: must be from 1 to {MAX_SLOTS}", param="num_slots", hint="use --parallel 4"
        )
    if not 0 <= goal.headroom < 1:
        raise RequestInvalid(f"a head-room of {goal.headroom:g} is not a share from 0 to below 1", param="headroom")
    if goal.context_length is None:
        return
    if goal.context_length < 1:
        raise RequestInvalid(f"a context of {goal.context_length} tokens is none", param="context_length")
    if goal.context_length > shape.max_context:
        raise RequestInvalid(
            f"a context of {goal.context_length} is longer than the {shape.max_context} tokens {shape.name} can handle",
            param="context_length",
            hint=f"use --context {shape.max_context}",
        )
