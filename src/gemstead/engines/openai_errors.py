"""An engine's refusal as one of our errors: by its status first, by its text last.

Source: the error shapes of llama.cpp's server (tools/server/server-common.cpp and server-task.cpp, read 2026-11) and of
the OpenAI API reference, "error" object (read 2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from gemstead.core.errors import (
    ContextOverflow,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineRefused,
    GemsteadError,
    RequestInvalid,
)

MAX_ERROR_BYTES = 64 * 1024
"""How much of an error body is read."""

_OVERFLOW_TYPES = frozenset({"exceed_context_size_error", "context_length_exceeded"})

_CALLERS = ("not supported", "JSON schema error")
"""What llama.cpp says at 500 or 501 of a request that it cannot do: the caller's to change."""


def error_from_reply(status: int, body: bytes) -> GemsteadError:
    """What an HTTP status other than 200 means.

    400 and 422 are the caller's request; 401 and 403 are ours (the key is generated here); 429 and 503 pass; 502 and
    504 are a dead engine behind something. Any other 5xx is a refusal by an engine that stays healthy: llama.cpp
    answers 500 even to what it does not support, an image without a projector for one.
    """
    return _error(status, _parse(body))


def error_from_stream(error: object) -> GemsteadError:
    """What an `{"error": ...}` event in mid-stream means; its `code` counts as the status where it is one."""
    fields = error if isinstance(error, dict) else {"message": error}
    status = fields.get("code")
    if isinstance(status, int) and 400 <= status < 500:
        return _error(status, fields)
    return EngineFailed(f"the engine failed in mid-answer: {_text(fields.get('message')) or 'no reason given'}")


def _error(status: int, error: dict[str, Any]) -> GemsteadError:
    message = _text(error.get("message")) or f"status {status}"
    if _is_overflow(error):
        return _overflow(error, message)
    if status in (400, 422) or (status in (500, 501) and any(mark in message for mark in _CALLERS)):
        return RequestInvalid(f"the engine refused the request: {message}")
    if status in (401, 403):
        return EngineError(f"the engine did not accept gemstead's own key: {message}", hint="gemstead stop")
    if status in (429, 503):
        return EngineBusy(f"the engine is not ready for this request: {message}", retry_after_s=1.0)
    if status in (502, 504):
        return EngineFailed(f"the engine cannot be reached: {message}")
    return EngineRefused(f"the engine refused the request: {message}", why=f"it answered status {status}")


def _parse(body: bytes) -> dict[str, Any]:
    """The error object, or the whole text as its message: some engines answer HTML or plain text."""
    try:
        parsed = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {"message": body[:500].decode("utf-8", "replace").strip()}
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else {}
    return error if isinstance(error, dict) else {"message": error}


def _is_overflow(error: dict[str, Any]) -> bool:
    return bool(_OVERFLOW_TYPES & {_text(error.get("type")), _text(error.get("code"))})


def _overflow(error: dict[str, Any], message: str) -> ContextOverflow:
    prompt, context = error.get("n_prompt_tokens"), error.get("n_ctx")
    if not isinstance(prompt, int) or not isinstance(context, int):
        return ContextOverflow(f"the prompt does not fit the context length: {message}")
    return ContextOverflow(
        f"the prompt has {prompt} tokens, the context length is {context}",
        prompt_tokens=prompt,
        context_length=context,
        hint="shorten the prompt, or start the model with a larger --context",
    )


def _text(value: object) -> str:
    return value[:2000] if isinstance(value, str) else ""
