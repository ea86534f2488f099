"""Errors as the Anthropic API writes them.

Source: Anthropic API reference, "Errors"; `details.error_code` as the official Python client 2.12 reads it.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from gemstead.api.errors import full_message, http_status
from gemstead.core.errors import ContextOverflow, GemsteadError, RequestInvalid

TYPES_BY_CODE = {
    "engine_busy": "overloaded_error",
    "interrupted": "overloaded_error",
    "engine_timeout": "timeout_error",
    "body_too_large": "request_too_large",
}
"""Where the API has a type for a cause; the others go by their status."""

TYPES_BY_STATUS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
"""Any other 4xx is an invalid_request_error, any 5xx an api_error."""


class ErrorDetails(msgspec.Struct, frozen=True):
    """`error_code` is gemstead's own. The token counts come with a context overflow only."""

    error_code: str
    param: str | UnsetType = UNSET
    prompt_tokens: int | UnsetType = UNSET
    context_length: int | UnsetType = UNSET


class ErrorBody(msgspec.Struct, frozen=True):
    type: str
    message: str
    details: ErrorDetails


class ErrorReply(msgspec.Struct, frozen=True):
    """`request_id` is null in mid-stream: the answer's head has said it."""

    error: ErrorBody
    request_id: str | None
    type: Literal["error"] = "error"


def encode_error(error: GemsteadError) -> bytes:
    param = error.param if isinstance(error, RequestInvalid) else None
    overflow = error if isinstance(error, ContextOverflow) else ContextOverflow("")
    details = ErrorDetails(
        error_code=error.code,
        param=UNSET if param is None else param,
        prompt_tokens=UNSET if overflow.prompt_tokens is None else overflow.prompt_tokens,
        context_length=UNSET if overflow.context_length is None else overflow.context_length,
    )
    body = ErrorBody(_type(error), full_message(error), details)
    return msgspec.json.encode(ErrorReply(body, error.request_id))


def _type(error: GemsteadError) -> str:
    status = http_status(error)
    fallback = "invalid_request_error" if status < 500 else "api_error"
    return TYPES_BY_CODE.get(error.code) or TYPES_BY_STATUS.get(status, fallback)
