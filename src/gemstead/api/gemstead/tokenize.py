"""What `/tokenize` is asked and answers: how many tokens a request's prompt has, before it is sent."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gemstead.api.body import apply_fields, bounded, decode_json, take_fields
from gemstead.api.dialect import Decoded, Field
from gemstead.api.openai.request import ChatCompletionRequest, decode_chat
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import ChatRequest


class TextRequest(msgspec.Struct, frozen=True):
    """A text as it stands, without a template."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    prompt: str


TEXT_FIELDS: dict[str, Field] = {
    "model": Field("honoured", "a name from /v1/models"),
    "prompt": Field("honoured", "a text, continued without a template"),
}

TokenizeRequest = TextRequest | ChatCompletionRequest


class TokenizeReply(msgspec.Struct, frozen=True):
    """`count` is what `usage.prompt_tokens` of the answer would be. `tokens` are those of a `prompt`, without what the
    engine puts before it; null for messages, whose template only the engine knows. `max_model_len` is the context
    length under the name that other servers give it.
    """

    count: int
    max_model_len: int | None
    tokens: tuple[int, ...] | None


def decode_tokenize(payload: bytes) -> Decoded:
    """`model` with `prompt`, or the body of a chat completion. Raises: RequestInvalid naming the field."""
    body = decode_json(payload, example='{"model": ..., "messages": [...]} or {"model": ..., "prompt": ...}')
    if "prompt" not in body:
        return decode_chat(payload)
    if "messages" in body:
        raise RequestInvalid("prompt and messages exclude each other", param="prompt", hint="send one of them")
    warnings = list(apply_fields(body, TEXT_FIELDS))
    asked = take_fields(body, TextRequest)
    return Decoded(ChatRequest(asked.model, (), prompt=asked.prompt), bounded(warnings))


def encode_tokenize(count: int, tokens: tuple[int, ...] | None, context_length: int | None) -> bytes:
    return msgspec.json.encode(TokenizeReply(count, context_length, tokens))
