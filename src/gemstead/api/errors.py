"""Which HTTP status each error code gets: the one table. And the errors that only HTTP knows."""

from __future__ import annotations

from gemstead.core.errors import GemsteadError, PolicyRefused, RequestInvalid, kind_of


class PathUnknown(RequestInvalid):
    code = "path_unknown"


class MethodRefused(RequestInvalid):
    code = "method_refused"


class ContentTypeRefused(RequestInvalid):
    code = "content_type_refused"


class BodyTooLarge(RequestInvalid):
    code = "body_too_large"


class BodyTooSlow(RequestInvalid):
    code = "body_too_slow"


class ResponseUnknown(RequestInvalid):
    """No kept response, or no item of one, has that id."""

    code = "response_not_found"


class PreviousResponseUnknown(ResponseUnknown):
    code = "previous_response_not_found"


class NoGuard(PathUnknown):
    """Nothing here can judge a text: no answer, and above all not "harmless"."""

    code = "no_guard"


class HostRefused(PolicyRefused):
    code = "host_refused"


STATUS_OF_CODE = {
    "request_invalid": 400,
    "context_overflow": 400,
    "sign_in_refused": 401,
    "key_missing": 401,
    "key_invalid": 401,
    "policy_refused": 403,
    "scope_missing": 403,
    "guard_refused": 403,
    "held_for_review": 403,
    "host_refused": 403,
    "name_unknown": 404,
    "model_missing": 404,
    "path_unknown": 404,
    "no_guard": 404,
    "response_not_found": 404,
    "previous_response_not_found": 404,
    "method_refused": 405,
    "body_too_slow": 408,
    "body_too_large": 413,
    "content_type_refused": 415,
    "too_many_failures": 429,
    "quota_exceeded": 429,
    "internal": 500,
    "setting_invalid": 500,
    "file_damaged": 500,
    "digest_mismatch": 500,
    "already_running": 500,
    "engine_error": 502,
    "engine_refused": 502,
    "reply_broken": 502,
    "source_error": 502,
    "source_unauthorized": 502,
    "source_forbidden": 502,
    "source_not_found": 502,
    "missing": 503,
    "engine_missing": 503,
    "tool_missing": 503,
    "does_not_fit": 503,
    "disk_full": 503,
    "engine_failed": 503,
    "engine_busy": 503,
    "source_unreachable": 503,
    "interrupted": 503,
    "guard_failed": 503,
    "sign_in_unavailable": 503,
    "limits_unavailable": 503,
    "evidence_unavailable": 503,
    "content_unavailable": 503,
    "engine_timeout": 504,
}

RETRY_AFTER_S = 5.0
"""What a retryable error says when it does not know better; an engine that crashed is back in about that time."""


def http_status(error: GemsteadError) -> int:
    """An error without a row is ours to explain: 500."""
    return STATUS_OF_CODE.get(kind_of(error).code, 500)


def retry_after_s(error: GemsteadError) -> float | None:
    """Seconds for `Retry-After`; None: trying again would not help."""
    if error.retry_after_s is not None:
        return error.retry_after_s
    return RETRY_AFTER_S if error.retryable else None


def challenge(error: GemsteadError) -> bytes | None:
    """What `WWW-Authenticate` says beside a 401. Source: RFC 6750, section 3."""
    if http_status(error) != 401:
        return None
    return b'Bearer realm="gemstead"' + (b"" if error.code == "key_missing" else b', error="invalid_token"')


def full_message(error: GemsteadError) -> str:
    """What happened, why, and what to do, in one line: many clients show their user nothing but this."""
    message = error.what if error.why is None else f"{error.what}: {error.why}"
    return message if error.hint is None else f"{message} (hint: {error.hint})"
