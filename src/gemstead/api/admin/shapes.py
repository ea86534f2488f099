"""Bodies of the admin API. Moments are ISO 8601, UTC; spans are as the command line takes them (`90d`, `24h`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gemstead.access.keys import NewKey
from gemstead.access.records import KeyFields, KeyRecord, KeyState, Scope
from gemstead.api.readiness import EngineStatus
from gemstead.core.moments import utc_text

Word = Annotated[str, Meta(max_length=200)]
Words = Annotated[list[Word], Meta(max_length=100)]
Span = Annotated[str, Meta(max_length=40)]
Sha256 = Annotated[str, Meta(min_length=64, max_length=64)]

MAX_POLICY_CHARS = 1024 * 1024


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is sent; a field nobody knows is refused."""


class CreateKey(Body, frozen=True):
    """As `gemstead keys create`."""

    name: Word
    owner: Word = ""
    groups: Words = []
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=3)] = msgspec.field(default_factory=lambda: ["use"])
    models: Words = []
    tools: Words = []
    labels: Words = []
    quota: dict[str, int] = {}
    expires: Span = "90d"


class RotateKey(Body, frozen=True):
    overlap: Span = "24h"


class CheckPolicy(Body, frozen=True):
    text: Annotated[str, Meta(max_length=MAX_POLICY_CHARS)]


class ExplainPolicy(Body, frozen=True):
    """As `gemstead policy explain`; `key` is an id or a name."""

    model: Word
    key: Word | None = None
    groups: Words = []
    label: Word | None = None
    tools: Words = []
    action: Word = "chat"
    dialect: Word = ""


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    state: KeyState
    owner: str
    groups: tuple[str, ...]
    scopes: tuple[Scope, ...]
    models: tuple[str, ...]
    tools: tuple[str, ...]
    labels: tuple[str, ...]
    quota: dict[str, int]
    created_at: str
    created_by: str
    expires_at: str | None
    ends_at: str | None
    last_used_at: str | None
    revoked_at: str | None
    rotated_from: str | None


class KeyList(msgspec.Struct, frozen=True):
    keys: tuple[KeyView, ...]


class NewKeyView(msgspec.Struct, frozen=True):
    """`key` is the whole key: it is in this answer and nowhere else."""

    key: str
    record: KeyView

    def __repr__(self) -> str:
        return f"NewKeyView({self.record.id})"


class PolicyView(msgspec.Struct, frozen=True, kw_only=True):
    """What is in force. `path` None: there is no file, and the keys alone decide."""

    path: str | None
    sha256: str
    rules: tuple[dict[str, Any], ...]
    not_enforced: tuple[str, ...] = ()


class PolicyCheck(msgspec.Struct, frozen=True, kw_only=True):
    """`problem` None: it can be applied. Nothing is changed by asking."""

    sha256: str | None = None
    num_rules: int = 0
    not_enforced: tuple[str, ...] = ()
    problem: str | None = None


class PolicyReload(msgspec.Struct, frozen=True, kw_only=True):
    """`sha256` is in force afterwards, whatever the result; `why` says what is wrong with a file that was refused."""

    result: Literal["applied", "unchanged", "refused"]
    sha256: str
    why: str | None = None


class LimitView(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    value: int
    per: str
    rule_id: str


class PolicyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    is_allowed: bool
    why: str
    rule_ids: tuple[str, ...]
    sha256: str
    limits: tuple[LimitView, ...]


class PolicyVersionView(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    sha256: str
    applied_at: str
    source: str


class PolicyVersionList(msgspec.Struct, frozen=True):
    """Oldest first."""

    versions: tuple[PolicyVersionView, ...]


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What counts against one limit. `limit` and `remaining` None: this server was not asked for it since it began.

    `subject` is `key/ID`, `group/NAME`, `model/NAME` or `rule`.
    """

    rule_id: str
    subject: str
    name: str
    spent: int
    limit: int | None
    remaining: int | None
    reset_s: float | None


class UsageList(msgspec.Struct, frozen=True):
    usage: tuple[Usage, ...]


class SignInFailureView(msgspec.Struct, frozen=True, kw_only=True):
    hour: str
    network: str
    reason: str
    number: int


class SignInFailureList(msgspec.Struct, frozen=True):
    """Newest hour first."""

    failures: tuple[SignInFailureView, ...]


class ServerView(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    pid: int
    started_at: str
    url: str
    engines: tuple[EngineStatus, ...]
    num_running: int
    num_waiting: int
    policy_sha256: str
    num_active_keys: int
    evidence: Literal["on", "off"]


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    sha256: str
    size_bytes: int
    stored_at: str
    quant: str | None


class ModelList(msgspec.Struct, frozen=True):
    models: tuple[ModelView, ...]


class CheckpointView(msgspec.Struct, frozen=True, kw_only=True):
    """`note` is the signed text, as it stands in the second place."""

    size: int
    at: str
    note: str


class EvidenceView(msgspec.Struct, frozen=True, kw_only=True):
    """`is_on`: whether what happens now is recorded."""

    is_on: bool
    num_records: int
    checkpoint: CheckpointView | None


class NewCheckpoint(msgspec.Struct, frozen=True):
    note: str


class EvidenceRecord(msgspec.Struct, frozen=True):
    """`record` None: its time is over and it was blanked; its hash stands in the chain."""

    position: int
    record: Any


class EvidenceList(msgspec.Struct, frozen=True):
    """In order; the position of the last one is the next call's `after`."""

    records: tuple[EvidenceRecord, ...]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    message: str
    request_id: str
    why: str | None = None
    hint: str | None = None


class ErrorReply(msgspec.Struct, frozen=True):
    error: Problem


def key_view(record: KeyRecord, now_s: float) -> KeyView:
    fields: KeyFields = record.fields
    return KeyView(
        id=record.id,
        name=fields.name,
        state=record.state(now_s),
        owner=fields.owner,
        groups=fields.groups,
        scopes=fields.scopes,
        models=fields.models,
        tools=fields.tools,
        labels=fields.labels,
        quota=fields.quota,
        created_at=utc_text(record.created_at_s),
        created_by=record.created_by,
        expires_at=_maybe(fields.expires_at_s),
        ends_at=_maybe(record.end_s()),
        last_used_at=_maybe(record.last_used_at_s),
        revoked_at=_maybe(record.revoked_at_s),
        rotated_from=record.rotated_from,
    )


def new_key_view(key: NewKey, record: KeyRecord, now_s: float) -> NewKeyView:
    return NewKeyView(key.text, key_view(record, now_s))


def _maybe(at_s: float | None) -> str | None:
    return None if at_s is None else utc_text(at_s)
