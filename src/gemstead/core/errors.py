"""Every error gemstead raises on purpose.

    GemsteadError
    |- RequestInvalid        what the caller asked cannot be done as asked
    |  |- SettingInvalid     a setting is unknown or has a bad value
    |  |- NameUnknown        no such model, engine, profile ... (carries the nearest valid name)
    |  `- ContextOverflow    the prompt does not fit the context length
    |- Missing               something needed is not here
    |  |- ModelMissing       the artefact is not in the store
    |  |- EngineMissing      no engine program is installed
    |  `- ToolMissing        a compiler, cmake ... is not on PATH
    |- DoesNotFit            the plan needs more memory or disk than there is
    |  `- DiskFull
    |- FileDamaged           a file is not what it claims to be
    |  `- DigestMismatch
    |- SourceError           a model source did not deliver
    |  |- SourceUnauthorized (401)  |- SourceForbidden (403)
    |  |- SourceNotFound (404)      `- SourceUnreachable (offline, DNS, refused, timed out)
    |- EngineError           the engine program did not deliver
    |  |- EngineFailed       it crashed or will not start
    |  |- EngineRefused      it answered with an error
    |  |- EngineBusy         no slot in time
    |  |- EngineTimeout
    |  `- ReplyBroken        its reply broke a promise and could not be mended
    |- SignInRefused         the door does not know who asks
    |  |- KeyMissing          no key and no token came with the call
    |  |- KeyInvalid          one came, and it opens nothing
    |  `- TooManyFailures     too many of those from one address
    |- SignInUnavailable     nobody can tell now whether a token is good
    |- PolicyRefused         a rule of the operator says no
    |  |- ScopeMissing        the key is good, and not for this
    |  |- GuardRefused        a guard found what must not pass
    |  `- HeldForReview       a guard found what somebody has to look at first
    |- GuardFailed           a guard could not look, so nothing passes
    |- QuotaExceeded         a limit of the caller's key, group or model has no room now
    |- LimitsUnavailable     what was spent cannot be kept, so nothing more may be
    |- EvidenceUnavailable   what happens cannot be recorded, so nothing more may
    |- ContentUnavailable    what a rule says must be kept cannot be kept
    |- AlreadyRunning        another process holds the lock or the port
    |- Interrupted           the user pressed Ctrl-C
    `- Relayed               any of these, told by another process of ours

No HTTP status and no exit code in here: `api/errors.py` maps `code` to a status, `cli/errors.py` to an exit code.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

if TYPE_CHECKING:
    from gemstead.core.quota import QuotaState

Refuser: TypeAlias = Literal["client", "gateway", "guard", "quota", "engine", "source"]

BrokenPromise: TypeAlias = Literal[
    "no_finish",
    "event_after_finish",
    "error_finish",
    "finish_mismatch",
    "empty_reply",
    "endless_reply",
    "leaked_token",
    "unused_run",
    "repetition_loop",
    "unparsed_call",
    "unknown_tool",
    "arguments_invalid",
    "arguments_off_schema",
    "tool_choice_ignored",
    "too_many_calls",
    "json_invalid",
    "json_off_schema",
    "text_around_json",
]
"""What can be wrong with an engine's reply: a closed set, because metrics count by it."""


SignInFailure: TypeAlias = Literal[
    "missing",
    "malformed",
    "unknown",
    "expired",
    "revoked",
    "limited",
    "token_expired",
    "token_audience",
    "token_issuer",
    "token_algorithm",
    "token_signature",
    "token_claims",
]
"""Why a sign-in failed: a closed set, because metrics count by it."""


class GemsteadError(Exception):
    """An error with a stable code, a sentence that says what happened, and the command that fixes it.

    `what` names the offending value; `why` explains where that helps; `hint` is one command or one change.
    `request_id` is the request it ended, once a door has answered with it.
    """

    code: ClassVar[str] = "internal"
    refuser: ClassVar[Refuser] = "gateway"
    retryable: ClassVar[bool] = False

    def __init__(
        self, what: str, *, why: str | None = None, hint: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint
        self.retry_after_s = retry_after_s
        self.request_id: str | None = None


class RequestInvalid(GemsteadError):
    """The caller asked for something that cannot be done as asked. `param` names the field."""

    code = "request_invalid"
    refuser = "client"

    def __init__(self, what: str, *, param: str | None = None, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, why=why, hint=hint)
        self.param = param


class SettingInvalid(RequestInvalid):
    code = "setting_invalid"


class NameUnknown(RequestInvalid):
    """`kind` `name` is not known; the hint carries the nearest valid name."""

    code = "name_unknown"

    def __init__(
        self, kind: str, name: str, valid: list[str], *, param: str | None = None, hint: str | None = None
    ) -> None:
        near = get_close_matches(name, valid, n=1, cutoff=0.5)
        known = ", ".join(valid[:12]) + (", ..." if len(valid) > 12 else "")
        suggestion = f"did you mean {near[0]!r}?" if near else f"known: {known}"
        super().__init__(f"unknown {kind} {name!r}", param=param, hint=f"{suggestion} {hint}" if hint else suggestion)
        self.name = name
        self.nearest = near[0] if near else None


class ContextOverflow(RequestInvalid):
    code = "context_overflow"

    def __init__(
        self, what: str, *, prompt_tokens: int | None = None, context_length: int | None = None, hint: str | None = None
    ) -> None:
        super().__init__(what, hint=hint)
        self.prompt_tokens = prompt_tokens
        self.context_length = context_length


class Missing(GemsteadError):
    code = "missing"


class ModelMissing(Missing):
    code = "model_missing"


class EngineMissing(Missing):
    code = "engine_missing"


class ToolMissing(Missing):
    code = "tool_missing"


class DoesNotFit(GemsteadError):
    """The plan needs `missing_bytes` more than the machine has."""

    code = "does_not_fit"

    def __init__(self, what: str, *, missing_bytes: int, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, why=why, hint=hint)
        self.missing_bytes = missing_bytes


class DiskFull(DoesNotFit):
    code = "disk_full"


class FileDamaged(GemsteadError):
    code = "file_damaged"


class DigestMismatch(FileDamaged):
    code = "digest_mismatch"


class SourceError(GemsteadError):
    code = "source_error"
    refuser = "source"
    retryable = True


class SourceUnauthorized(SourceError):
    code = "source_unauthorized"
    retryable = False


class SourceForbidden(SourceError):
    code = "source_forbidden"
    retryable = False


class SourceNotFound(SourceError):
    code = "source_not_found"
    retryable = False


class SourceUnreachable(SourceError):
    code = "source_unreachable"


class EngineError(GemsteadError):
    code = "engine_error"
    refuser = "engine"


class EngineFailed(EngineError):
    code = "engine_failed"
    retryable = True


class EngineRefused(EngineError):
    code = "engine_refused"


class EngineBusy(EngineError):
    code = "engine_busy"
    retryable = True


class EngineTimeout(EngineError):
    code = "engine_timeout"
    retryable = True


class ReplyBroken(EngineError):
    """A reply that is not what it has to be, and could not be mended."""

    code = "reply_broken"

    def __init__(self, kind: BrokenPromise, what: str, *, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, why=why, hint=hint)
        self.kind = kind


class PolicyRefused(GemsteadError):
    code = "policy_refused"
    refuser = "guard"


class ScopeMissing(PolicyRefused):
    """The caller is known and may do other things."""

    code = "scope_missing"


class GuardRefused(PolicyRefused):
    """`guard` is the name of the one that refuses. What it found is told by kind and number, never repeated."""

    code = "guard_refused"

    def __init__(self, what: str, *, guard: str, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, why=why, hint=hint)
        self.guard = guard


class HeldForReview(PolicyRefused):
    code = "held_for_review"


class GuardFailed(GemsteadError):
    """`guard` failed or took too long: closed is what a guard is when it is broken."""

    code = "guard_failed"
    retryable = True

    def __init__(self, what: str, *, guard: str, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, why=why, hint=hint)
        self.guard = guard


class QuotaExceeded(GemsteadError):
    """`limit` is the limit's name; `retry_after_s` None: as it stands it never fits. `state` is what is left."""

    code = "quota_exceeded"
    refuser = "quota"

    def __init__(
        self,
        what: str,
        *,
        limit: str,
        why: str | None = None,
        hint: str | None = None,
        retry_after_s: float | None = None,
        state: QuotaState | None = None,
    ) -> None:
        super().__init__(what, why=why, hint=hint, retry_after_s=retry_after_s)
        self.limit = limit
        self.state = state


class LimitsUnavailable(GemsteadError):
    code = "limits_unavailable"
    retryable = True


class EvidenceUnavailable(GemsteadError):
    """No record, no answer."""

    code = "evidence_unavailable"
    retryable = True


class ContentUnavailable(GemsteadError):
    """A rule says that this text is kept, and it cannot be: so it is not given out either."""

    code = "content_unavailable"
    retryable = True


class SignInRefused(GemsteadError):
    """Who asks is not known. `reason` is one word of a closed set, for metrics and records, never for the caller."""

    code = "sign_in_refused"
    refuser = "client"
    reason: SignInFailure = "unknown"


class KeyMissing(SignInRefused):
    code = "key_missing"
    reason = "missing"


class KeyInvalid(SignInRefused):
    """`key_id` is set only where the secret was right: what a stranger writes into a key is no key's id."""

    code = "key_invalid"

    def __init__(
        self,
        what: str,
        *,
        reason: SignInFailure,
        key_id: str | None = None,
        why: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, why=why, hint=hint)
        self.reason = reason
        self.key_id = key_id


class TooManyFailures(SignInRefused):
    code = "too_many_failures"
    reason = "limited"


class SignInUnavailable(GemsteadError):
    code = "sign_in_unavailable"
    retryable = True


class AlreadyRunning(GemsteadError):
    code = "already_running"


class Interrupted(GemsteadError):
    code = "interrupted"
    refuser = "client"


class Relayed(GemsteadError):
    """An error that another process of ours raised, in its words and with its code."""

    code = "relayed"

    def __init__(self, original_code: str, what: str, *, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, why=why, hint=hint)
        self.original_code = original_code


def kind_of(exc: GemsteadError) -> type[GemsteadError]:
    """The class that says how to treat `exc`: its own, or for a relayed error the class with the original code."""
    if not isinstance(exc, Relayed):
        return type(exc)
    return next((kind for kind in _every_kind(GemsteadError) if kind.code == exc.original_code), GemsteadError)


def _every_kind(root: type[GemsteadError]) -> Iterator[type[GemsteadError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from _every_kind(kind)
