"""Embeddings as the OpenAI API asks for them and writes them."""

from __future__ import annotations

import base64
import struct
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from gemstead.api.body import apply_fields, bounded, decode_json, take_fields
from gemstead.api.dialect import DecodedEmbed
from gemstead.api.extension import ReplyExtension, reply_extension
from gemstead.api.openai.rest_fields import EMBEDDING_FIELDS
from gemstead.api.openai.sampling import ModelName
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Embeddings, EmbedRequest

MAX_TEXTS = 2048
"""The API's own limit."""

BASE64 = "base64"

Input: TypeAlias = str | Annotated[list[str | int | list[int]], msgspec.Meta(min_length=1, max_length=MAX_TEXTS)]


class EmbeddingRequest(msgspec.Struct, frozen=True):
    """Every field of `rest_fields.EMBEDDING_FIELDS`."""

    model: ModelName
    input: Input
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=2**20)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None


class EmbeddingBody(msgspec.Struct, frozen=True, kw_only=True):
    """`embedding` is the floats, or their little-endian 32-bit bytes as base64."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: tuple[float, ...] | str


class EmbeddingUsage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[EmbeddingBody, ...]
    model: str
    usage: EmbeddingUsage
    gemstead: ReplyExtension | UnsetType = UNSET


def decode_embedding(payload: bytes) -> DecodedEmbed:
    """Raises: RequestInvalid whose `param` is the field's path, such as `input[3]`."""
    body = decode_json(payload, example='{"model": ..., "input": ...}')
    warnings = list(apply_fields(body, EMBEDDING_FIELDS))
    asked = take_fields(body, EmbeddingRequest)
    request = EmbedRequest(
        model=asked.model,
        texts=_texts(asked.input),
        dimensions=asked.dimensions,
        user=asked.user,
        raw={"encoding_format": asked.encoding_format} if asked.encoding_format else {},
    )
    return DecodedEmbed(request, bounded(warnings))


def _texts(asked: str | list[Any]) -> tuple[str, ...]:
    texts: list[str] = []
    for index, text in enumerate([asked] if isinstance(asked, str) else asked):
        path = "input" if isinstance(asked, str) else f"input[{index}]"
        if not isinstance(text, str):
            raise RequestInvalid(
                "inputs of token ids are not taken",
                param=path,
                why="ids of another tokenizer would silently mean another text",
                hint="send texts (LangChain: check_embedding_ctx_length=False)",
            )
        if not text:
            raise RequestInvalid("the text is empty", param=path)
        texts.append(text)
    return tuple(texts)


def encode_embeddings(request: EmbedRequest, embeddings: Embeddings) -> bytes:
    is_base64 = request.raw.get("encoding_format") == BASE64
    return msgspec.json.encode(
        EmbeddingList(
            data=tuple(
                EmbeddingBody(index=index, embedding=_packed(vector) if is_base64 else vector)
                for index, vector in enumerate(embeddings.vectors)
            ),
            model=request.model,
            usage=EmbeddingUsage(embeddings.prompt_tokens, embeddings.prompt_tokens),
            gemstead=reply_extension(embeddings.warnings),
        )
    )


def _packed(vector: tuple[float, ...]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
