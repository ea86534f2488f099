"""What chat completions and completions ask alike: sampling, streaming, and for whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias

import msgspec

from gemstead.api.body import warn_ignored
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Sampling, Warning

StopText: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
Penalty: TypeAlias = Annotated[float, msgspec.Meta(ge=-2, le=2)]
Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
RepeatPenalty: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=10)]
MaxTokens: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Bias: TypeAlias = Annotated[float, msgspec.Meta(ge=-100, le=100)]
ModelName: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class GenerationFields(msgspec.Struct, frozen=True, kw_only=True):
    """The fields both requests have, with the same meaning."""

    model: ModelName
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: Annotated[dict[str, Bias], msgspec.Meta(max_length=1024)] | None = None
    max_tokens: MaxTokens | None = None
    seed: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: StopText | Annotated[list[StopText], msgspec.Meta(max_length=16)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    user: str | None = None
    min_p: Share | None = None
    repeat_penalty: RepeatPenalty | None = None
    repetition_penalty: RepeatPenalty | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None


def canonical_sampling(asked: GenerationFields, max_tokens: int | None) -> Sampling:
    """Raises: RequestInvalid for a token that is none, or two names of one thing that contradict each other."""
    return Sampling(
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        min_p=asked.min_p,
        presence_penalty=asked.presence_penalty,
        frequency_penalty=asked.frequency_penalty,
        repeat_penalty=merged("repeat_penalty", asked.repeat_penalty, "repetition_penalty", asked.repetition_penalty),
        seed=asked.seed,
        stop=(asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ()),
        max_tokens=max_tokens,
        logit_bias=_logit_bias(asked.logit_bias or {}),
    )


def merged(name: str, value: Any, other_name: str, other: Any) -> Any:
    """Two names of one thing: one may be given, or both alike. Raises: RequestInvalid."""
    if value is not None and other is not None and value != other:
        raise RequestInvalid(f"{name} and {other_name} contradict each other", param=other_name, hint=f"send {name}")
    return other if value is None else value


def _logit_bias(biases: dict[str, float]) -> dict[int, float]:
    for token in biases:
        if not (token.isascii() and token.isdigit() and len(token) <= 9):
            raise RequestInvalid(f"{token[:40]!r} is not a token id", param="logit_bias")
    return {int(token): bias for token, bias in biases.items()}


def stream_raw(asked: GenerationFields) -> dict[str, Any]:
    """What only the stream's encoder reads back, for `ChatRequest.raw`. Raises: RequestInvalid."""
    if asked.stream_options is None:
        return {}
    if not asked.stream:
        raise RequestInvalid("stream_options needs stream", param="stream_options", hint='set "stream": true')
    return {"include_usage": bool(asked.stream_options.include_usage)}


def warn_stream_options(asked: GenerationFields) -> Iterator[Warning]:
    if asked.stream_options is not None and asked.stream_options.include_obfuscation:
        yield warn_ignored("stream_options.include_obfuscation", "chunks are not padded")
