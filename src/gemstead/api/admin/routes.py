"""What the admin API answers: one row a route, each one function of the desk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol

import msgspec

from gemstead.api.admin.shapes import (
    CheckPolicy,
    CreateKey,
    EvidenceList,
    EvidenceRecord,
    EvidenceView,
    ExplainPolicy,
    KeyList,
    KeyView,
    ModelList,
    NewCheckpoint,
    NewKeyView,
    PolicyAnswer,
    PolicyCheck,
    PolicyReload,
    PolicyVersionList,
    PolicyView,
    RotateKey,
    ServerView,
    SignInFailureList,
    UsageList,
)
from gemstead.core.caller import Caller
from gemstead.core.errors import RequestInvalid

ROOT = "/admin/v1"

MAX_DIGITS = 15


class AdminDesk(Protocol):
    """The wiring implements it, with the same functions that the command line uses. `by` is who asks.

    Every method that names a key raises NameUnknown; what is malformed raises RequestInvalid. A change that cannot be
    recorded raises, and the answer is that error.
    """

    async def keys(self, *, is_every: bool) -> KeyList: ...

    async def create_key(self, asked: CreateKey, by: Caller) -> NewKeyView: ...

    async def key(self, key_id: str) -> KeyView: ...

    async def rotate_key(self, key_id: str, asked: RotateKey, by: Caller) -> NewKeyView: ...

    async def revoke_key(self, key_id: str, by: Caller) -> KeyView: ...

    async def policy(self) -> PolicyView: ...

    async def check_policy(self, asked: CheckPolicy) -> PolicyCheck: ...

    async def explain_policy(self, asked: ExplainPolicy) -> PolicyAnswer: ...

    async def reload_policy(self, by: Caller) -> PolicyReload: ...

    async def policy_versions(self) -> PolicyVersionList: ...

    async def usage(self, key_id: str | None) -> UsageList: ...

    async def sign_in_failures(self, since: str) -> SignInFailureList: ...

    async def server(self) -> ServerView: ...

    async def models(self) -> ModelList: ...

    async def evidence(self) -> EvidenceView: ...

    async def evidence_records(self, after: int, limit: int, kind: str | None, key: str | None) -> EvidenceList: ...

    async def evidence_record(self, position: int) -> EvidenceRecord: ...

    async def make_checkpoint(self, by: Caller) -> NewCheckpoint: ...


class Asked(msgspec.Struct, frozen=True):
    """One call of a route: `body` is decoded, `names` are of the path, `query` what stands behind its `?`."""

    caller: Caller
    body: Any
    names: Mapping[str, str]
    query: Mapping[str, str]


class AdminRoute(msgspec.Struct, frozen=True, kw_only=True):
    """`request_type` None: no body is read. `query` are the parameters it knows, each with a sentence."""

    method: Literal["GET", "POST"]
    path: str
    summary: str
    answer: Callable[[AdminDesk, Asked], Awaitable[Any]]
    reply_type: Any
    request_type: Any = None
    query: Mapping[str, str] = {}
    is_change: bool = False


def _number(asked: Asked, name: str, default: int) -> int:
    return _integer(name, asked.query[name]) if name in asked.query else default


def _integer(name: str, text: str) -> int:
    """Raises: RequestInvalid."""
    if not text.isdecimal() or len(text) > MAX_DIGITS:
        raise RequestInvalid(f"{name} {text[:30]!r} is no number", param=name)
    return int(text)


ROUTES: tuple[AdminRoute, ...] = (
    AdminRoute(
        method="GET",
        path="/keys",
        summary="The keys, oldest first",
        answer=lambda desk, asked: desk.keys(is_every=asked.query.get("all") == "true"),
        reply_type=KeyList,
        query={"all": "true: those that are revoked or expired, too"},
    ),
    AdminRoute(
        method="POST",
        path="/keys",
        summary="Make a key; it is shown this once",
        answer=lambda desk, asked: desk.create_key(asked.body, asked.caller),
        request_type=CreateKey,
        reply_type=NewKeyView,
        is_change=True,
    ),
    AdminRoute(
        method="GET",
        path="/keys/{key_id}",
        summary="One key, without its secret",
        answer=lambda desk, asked: desk.key(asked.names["key_id"]),
        reply_type=KeyView,
    ),
    AdminRoute(
        method="POST",
        path="/keys/{key_id}/rotate",
        summary="A new key with the same rights; the old one ends after the overlap",
        answer=lambda desk, asked: desk.rotate_key(asked.names["key_id"], asked.body, asked.caller),
        request_type=RotateKey,
        reply_type=NewKeyView,
        is_change=True,
    ),
    AdminRoute(
        method="POST",
        path="/keys/{key_id}/revoke",
        summary="End a key, at once and for good",
        answer=lambda desk, asked: desk.revoke_key(asked.names["key_id"], asked.caller),
        reply_type=KeyView,
        is_change=True,
    ),
    AdminRoute(
        method="GET",
        path="/policy",
        summary="The policy that is in force",
        answer=lambda desk, _asked: desk.policy(),
        reply_type=PolicyView,
    ),
    AdminRoute(
        method="POST",
        path="/policy/check",
        summary="What is wrong with a policy, if anything; changes nothing",
        answer=lambda desk, asked: desk.check_policy(asked.body),
        request_type=CheckPolicy,
        reply_type=PolicyCheck,
    ),
    AdminRoute(
        method="POST",
        path="/policy/explain",
        summary="Whether a caller may do that, and which rules decide",
        answer=lambda desk, asked: desk.explain_policy(asked.body),
        request_type=ExplainPolicy,
        reply_type=PolicyAnswer,
    ),
    AdminRoute(
        method="POST",
        path="/policy/reload",
        summary="Look at the policy file now; a broken one is refused and the old one stays",
        answer=lambda desk, asked: desk.reload_policy(asked.caller),
        reply_type=PolicyReload,
        is_change=True,
    ),
    AdminRoute(
        method="GET",
        path="/policy/versions",
        summary="Every policy that was ever applied here",
        answer=lambda desk, _asked: desk.policy_versions(),
        reply_type=PolicyVersionList,
    ),
    AdminRoute(
        method="GET",
        path="/limits",
        summary="What is spent of limits, by rule and subject",
        answer=lambda desk, asked: desk.usage(asked.query.get("key")),
        reply_type=UsageList,
        query={"key": "only what counts for the key with this id"},
    ),
    AdminRoute(
        method="GET",
        path="/sign-in-failures",
        summary="Failed sign-ins by hour, network and reason",
        answer=lambda desk, asked: desk.sign_in_failures(asked.query.get("since", "7d")),
        reply_type=SignInFailureList,
        query={"since": "how far back: 24h, 7d (the default)"},
    ),
    AdminRoute(
        method="GET",
        path="/server",
        summary="What this server runs and how busy it is",
        answer=lambda desk, _asked: desk.server(),
        reply_type=ServerView,
    ),
    AdminRoute(
        method="GET",
        path="/models",
        summary="The models of the store",
        answer=lambda desk, _asked: desk.models(),
        reply_type=ModelList,
    ),
    AdminRoute(
        method="GET",
        path="/evidence",
        summary="How many records there are, and the last signed checkpoint",
        answer=lambda desk, _asked: desk.evidence(),
        reply_type=EvidenceView,
    ),
    AdminRoute(
        method="GET",
        path="/evidence/records",
        summary="Records of the evidence, in order",
        answer=lambda desk, asked: desk.evidence_records(
            _number(asked, "after", -1), _number(asked, "limit", 100), asked.query.get("kind"), asked.query.get("key")
        ),
        reply_type=EvidenceList,
        query={
            "after": "only those behind this position",
            "limit": "how many, 1000 at most; 100 if not said",
            "kind": "only this kind: exchange.closed ...",
            "key": "only those of the key with this id",
        },
    ),
    AdminRoute(
        method="GET",
        path="/evidence/records/{position}",
        summary="One record",
        answer=lambda desk, asked: desk.evidence_record(_integer("position", asked.names["position"])),
        reply_type=EvidenceRecord,
    ),
    AdminRoute(
        method="POST",
        path="/evidence/checkpoint",
        summary="Sign a checkpoint of everything recorded so far",
        answer=lambda desk, asked: desk.make_checkpoint(asked.caller),
        reply_type=NewCheckpoint,
        is_change=True,
    ),
)
