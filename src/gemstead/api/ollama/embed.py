"""The bodies of /api/embed and the older /api/embeddings, and their replies."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec

from gemstead.api.body import apply_fields, bounded, decode_json, take_fields
from gemstead.api.dialect import DecodedEmbed, Field
from gemstead.api.ollama.durations import keep_alive_s
from gemstead.api.ollama.fields import EMBED_FIELDS, EMBEDDINGS_FIELDS
from gemstead.api.ollama.request import ModelText
from gemstead.core.types import Embeddings, EmbedRequest, Warning

T = TypeVar("T")


class OllamaEmbedRequest(msgspec.Struct, frozen=True):
    model: ModelText
    input: str | Annotated[list[str], msgspec.Meta(max_length=2048)]
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=65536)] | None = None
    keep_alive: float | str | None = None


class OllamaEmbeddingsRequest(msgspec.Struct, frozen=True):
    model: ModelText
    prompt: str
    keep_alive: float | str | None = None


class EmbedBody(msgspec.Struct, frozen=True):
    model: str
    embeddings: tuple[tuple[float, ...], ...]
    prompt_eval_count: int


class EmbeddingsBody(msgspec.Struct, frozen=True):
    embedding: tuple[float, ...]


def decode_embed(payload: bytes) -> DecodedEmbed:
    """Raises: RequestInvalid whose `param` is the field's path."""
    asked, warnings = _take(payload, EMBED_FIELDS, OllamaEmbedRequest, '{"model": ..., "input": [...]}')
    texts = (asked.input,) if isinstance(asked.input, str) else tuple(asked.input)
    request = EmbedRequest(
        model=asked.model, texts=texts, dimensions=asked.dimensions, keep_alive_s=keep_alive_s(asked.keep_alive)
    )
    return DecodedEmbed(request, warnings)


def decode_embeddings(payload: bytes) -> DecodedEmbed:
    """Raises: as `decode_embed`."""
    asked, warnings = _take(payload, EMBEDDINGS_FIELDS, OllamaEmbeddingsRequest, '{"model": ..., "prompt": ...}')
    request = EmbedRequest(model=asked.model, texts=(asked.prompt,), keep_alive_s=keep_alive_s(asked.keep_alive))
    return DecodedEmbed(request, warnings)


def _take(payload: bytes, fields: dict[str, Field], kind: type[T], example: str) -> tuple[T, tuple[Warning, ...]]:
    body: dict[str, Any] = decode_json(payload, example=example)
    warnings = bounded(list(apply_fields(body, fields)))
    return take_fields(body, kind), warnings


def encode_embed(request: EmbedRequest, embeddings: Embeddings) -> bytes:
    return msgspec.json.encode(EmbedBody(request.model, embeddings.vectors, embeddings.prompt_tokens))


def encode_embeddings(request: EmbedRequest, embeddings: Embeddings) -> bytes:  # noqa: ARG001 (one signature)
    (vector,) = embeddings.vectors
    return msgspec.json.encode(EmbeddingsBody(vector))
