"""Errors as the OpenAI API writes them."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from gemstead.api.errors import full_message
from gemstead.core.errors import ContextOverflow, GemsteadError, RequestInvalid

CODES = {
    "context_overflow": "context_length_exceeded",
    "name_unknown": "model_not_found",
    "model_missing": "model_not_found",
    "internal": "internal_error",
    "key_missing": "invalid_api_key",
    "key_invalid": "invalid_api_key",
    "quota_exceeded": "rate_limit_exceeded",
}
"""Where the API has its own word for a code of ours; the others keep theirs."""

TYPES = {"client": "invalid_request_error", "guard": "permission_error", "quota": "rate_limit_error"}
"""By who refused; engine, gateway and source are a server_error."""


class ErrorBody(msgspec.Struct, frozen=True):
    """The token counts come with a context overflow only, so that a client can cut its prompt by them."""

    message: str
    type: str
    param: str | None
    code: str
    prompt_tokens: int | UnsetType = UNSET
    context_length: int | UnsetType = UNSET


class ErrorReply(msgspec.Struct, frozen=True):
    error: ErrorBody


def encode_error(error: GemsteadError) -> bytes:
    return msgspec.json.encode({"error": error_body(error)})


def error_body(error: GemsteadError) -> ErrorBody:
    overflow = error if isinstance(error, ContextOverflow) else ContextOverflow("")
    return ErrorBody(
        message=full_message(error),
        type=TYPES.get(error.refuser, "server_error"),
        param=error.param if isinstance(error, RequestInvalid) else None,
        code=CODES.get(error.code, error.code),
        prompt_tokens=UNSET if overflow.prompt_tokens is None else overflow.prompt_tokens,
        context_length=UNSET if overflow.context_length is None else overflow.context_length,
    )
