"""How each control is switched off: one function or more, replaced by one that lets everything through.

A switch names where a function is defined. It is put before other modules import it, so that they get the replacement.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemstead.core.errors import GemsteadError


@dataclass(frozen=True)
class Switch:
    """`place` is "module:name" or "module:Class.name"; `made` gets the original and gives what stands in its place."""

    place: str
    made: Callable[[Any], Any]

    def found(self) -> tuple[Any, str]:
        """The module or class, and the name in it. Raises: AttributeError if there is none."""
        module_name, _, path = self.place.partition(":")
        owner: Any = importlib.import_module(module_name)
        *outer, name = path.split(".")
        for part in outer:
            owner = getattr(owner, part)
        getattr(owner, name)
        return owner, name

    def put(self) -> None:
        owner, name = self.found()
        setattr(owner, name, self.made(getattr(owner, name)))


def always(value: object) -> Callable[[Any], Any]:
    """A function that gives `value` whatever it is asked."""
    return lambda _original: lambda *_args, **_named: value


def unrefused(original: Any) -> Any:
    """What raises an error of ours gives None instead."""

    def let_through(*args: Any, **named: Any) -> Any:
        try:
            return original(*args, **named)
        except GemsteadError:
            return None

    return let_through


def _unbroken_tokens(original: Any) -> Any:
    return lambda request, _tokens: original(request, frozenset())


def _looking_once(original: Any) -> Any:
    def look(self: Any) -> None:
        if not self.__dict__.get("has_looked"):
            self.has_looked = True
            original(self)

    return look


def _unchecked_token(_original: Any) -> Any:
    def decode(_self: Any, token: str, _jwk: Any, _algorithm: str) -> Any:
        import jwt

        return jwt.decode(token, options={"verify_signature": False})

    return decode


def _allowing(_original: Any) -> Any:
    return lambda self, _rule_ids, _why: self._yes([], frozenset())


def _taking_broken_policies(_original: Any) -> Any:
    """A broken file is taken for one without rules."""

    def refuse(self: Any, _exc: GemsteadError) -> None:
        from gemstead.access.policy import Policy
        from gemstead.access.policy_file import PolicyFile

        self.policy = Policy(PolicyFile(version=1))

    return refuse


def _unfitted(_original: Any) -> Any:
    async def fit(_engine: Any, request: Any, *_args: Any, **_named: Any) -> Any:
        from gemstead.pipeline.context import Fitted

        return Fitted(request)

    return fit


def _expecting_nothing(original: Any) -> Any:
    def download(remote: Any, *args: Any, **named: Any) -> Any:
        import msgspec

        return original(msgspec.structs.replace(remote, sha256=None, size_bytes=None), *args, **named)

    return download


def _unverified(_original: Any) -> Any:
    return lambda self, text, *_args, **_named: self.require(text)


def _with_key_in_argv(original: Any) -> Any:
    return lambda endpoint: (*original(endpoint), "--api-key", endpoint.api_key)


def _of_nobody(original: Any) -> Any:
    return lambda self, _owner, what: original(self, None, what)


def _told(_original: Any) -> Any:
    return lambda self: f"NewKey({self.id}, {self.text})"


def _read_by_all(original: Any) -> Any:
    def read(path: Path, given: str | None = None) -> Any:
        try:
            return original(path, given)
        except GemsteadError:
            return path.read_bytes()

    return read


def _unbounded_body(original: Any) -> Any:
    return lambda self, media_type, _max_bytes, limit_s: original(self, media_type, 10**12, limit_s)


def _unhurried_body(original: Any) -> Any:
    return lambda self, media_type, max_bytes, _limit_s: original(self, media_type, max_bytes, 10**6)


def _unwatched(_original: Any) -> Any:
    @asynccontextmanager
    async def watched(_receive: Any) -> AsyncIterator[None]:
        yield

    return watched


def _spending_unkept(original: Any) -> Any:
    async def reserve(self: Any, claim: Any, num_tokens: int) -> Any:
        from gemstead.core.errors import LimitsUnavailable

        try:
            return await original(self, claim, num_tokens)
        except LimitsUnavailable:
            return self._taken(claim, num_tokens)

    return reserve


def _one_flow(original: Any) -> Any:
    """First come, first served: everybody stands in one line."""

    def place(self: Any, ticket: Any) -> Any:
        import msgspec

        return original(self, msgspec.structs.replace(ticket, flow="all"))

    return place


def _patient(original: Any) -> Any:
    return lambda self, max_running, max_waiting, _wait_limit_s: original(self, max_running, max_waiting, 10**6)


def _unsigned(_original: Any) -> Any:
    def opened(note: str, origin: str, _public: bytes) -> Any:
        from gemstead.evidence.checkpoint import _parsed

        return _parsed(note.rpartition("\n\n")[0] + "\n", origin)

    return opened


def _as_called(_original: Any) -> Any:
    return lambda _self, call: call


def _plain_reader(_original: Any) -> Any:
    """Reads any reply as text of a model without tokens of its own."""

    def reader(self: Any, own: Any) -> Any:
        from gemstead.pipeline.text_check import _PlainReader
        from gemstead.pipeline.token_filter import TokenFilter

        return _PlainReader(own, TokenFilter(None), self._repairs)

    return reader


def _any_stored(_original: Any) -> Any:
    return lambda _given, stored: stored is not None


def _unadmitted(_original: Any) -> Any:
    @asynccontextmanager
    async def admit(_self: Any, _request: Any) -> AsyncIterator[None]:
        yield

    return admit


def _unwritten(original: Any) -> Any:
    """What could not be recorded counts as recorded."""

    def write(self: Any, what: str, record: Any) -> asyncio.Future[int]:
        from gemstead.core.errors import EvidenceUnavailable

        given = asyncio.get_running_loop().create_future()
        try:
            written = original(self, what, record)
        except EvidenceUnavailable:
            given.set_result(0)
            return given
        written.add_done_callback(lambda done: given.set_result(0 if done.exception() else done.result()))
        return given

    return write


def _at_once(_original: Any) -> Any:
    async def safe(_self: Any) -> None:
        return

    return safe


def _in_plain_text(_original: Any) -> Any:
    return lambda _self, pieces: b" ".join(pieces).decode(errors="replace")


SWITCHES: dict[str, tuple[Switch, ...]] = {
    "control-tokens": (Switch("gemstead.gemma.neutralise:neutralise", _unbroken_tokens),),
    "locked-door": (Switch("gemstead.access.lock:Lock.is_required", always(False)),),
    "wrong-secret": (Switch("gemstead.access.keys:is_same_hash", _any_stored),),
    "scopes": (Switch("gemstead.api.call:Call.require_scope", always(None)),),
    "key-end": (Switch("gemstead.access.records:KeyRecord.state", always("active")),),
    "revocation": (Switch("gemstead.access.key_ring:KeyRing._look", _looking_once),),
    "sign-in-limit": (Switch("gemstead.access.failures:FailureLimit.wait_s", always(0.0)),),
    "token-claims": (Switch("gemstead.access.tokens:Tokens._decode", _unchecked_token),),
    "default-deny": (Switch("gemstead.access.policy:Policy._no", _allowing),),
    "deny-wins": (Switch("gemstead.access.policy:_denies", always(False)),),
    "tools-offered": (Switch("gemstead.access.policy:Rule.covers_tool", always(True)),),
    "policy-reload": (Switch("gemstead.access.policy_watch:PolicyWatch._refuse", _taking_broken_policies),),
    "known-tools": (Switch("gemstead.pipeline.call_check:CallCheck._checked", _as_called),),
    "call-schema": (Switch("gemstead.pipeline.schemas:first_fault", always(None)),),
    "reply-schema": (Switch("gemstead.pipeline.schemas:first_fault", always(None)),),
    "schema-references": (Switch("gemstead.pipeline.schemas:validator_of", unrefused),),
    "leaked-tokens": (Switch("gemstead.pipeline.text_check:TextCheck._new_reader", _plain_reader),),
    "empty-replies": (Switch("gemstead.pipeline.verify:ReplyCheck._empty", always(())),),
    "said-omissions": (Switch("gemstead.pipeline.context:fit_context", _unfitted),),
    "digests": (Switch("gemstead.catalog.download:download", _expecting_nothing),),
    "verify-store": (Switch("gemstead.catalog.store:Store.verify", _unverified),),
    "file-bounds": (Switch("gemstead.catalog.gguf_parse:parse_header", unrefused),),
    "file-names": (Switch("gemstead.catalog.manifests:checked_file_name", unrefused),),
    "licences": (Switch("gemstead.catalog.licences:require_acceptance", always(None)),),
    "engine-flags": (Switch("gemstead.engines.extra_args:check_extra_args", unrefused),),
    "engine-key": (Switch("gemstead.engines.kinds.llama_cpp:_listen", _with_key_in_argv),),
    "bind": (Switch("gemstead.api.bind:check_bind", always(None)),),
    "hosts": (Switch("gemstead.api.hosts:check_host", always(None)),),
    "form-origins": (Switch("gemstead.api.hosts:check_origin", always(None)),),
    "own-responses": (
        Switch("gemstead.api.conversations:Conversations.find", _of_nobody),
        Switch("gemstead.api.conversations:Conversations.keep", _of_nobody),
    ),
    "no-secrets-shown": (Switch("gemstead.access.keys:NewKey.__repr__", _told),),
    "pepper-mode": (Switch("gemstead.access.pepper:read_pepper", _read_by_all),),
    "body-size": (Switch("gemstead.api.call:Call.read_body", _unbounded_body),),
    "body-time": (Switch("gemstead.api.call:Call.read_body", _unhurried_body),),
    "disconnects": (Switch("gemstead.api.disconnect:cancelled_if_client_leaves", _unwatched),),
    "limits": (Switch("gemstead.access.limits:LimitKeeper.check", always(None)),),
    "limits-closed": (Switch("gemstead.access.limits:LimitKeeper.reserve", _spending_unkept),),
    "fair-queue": (Switch("gemstead.access.fair_queue:FairQueue.place", _one_flow),),
    "media-bounds": (Switch("gemstead.pipeline.media:_check_counts", always(None)),),
    "loops": (Switch("gemstead.gemma.garbage:GarbageWatch.feed", always(None)),),
    "admission": (Switch("gemstead.access.fair_queue:FairQueue.__init__", _patient),),
    "crash-backoff": (Switch("gemstead.engines.restarts:restart_delay_s", always(0.0)),),
    "chain": (Switch("gemstead.evidence.chain:first_break", always(None)),),
    "signatures": (Switch("gemstead.evidence.checkpoint:opened", _unsigned),),
    "limits-shared": (Switch("gemstead.access.counts:Counts._see", always(None)),),
    "limits-aside": (Switch("gemstead.pipeline.govern:Governed.admit_aside", _unadmitted),),
    "lengths": (Switch("gemstead.pipeline.govern:_fits", always(True)),),
    "slow-heads": (Switch("gemstead.api.connections:BoundedProtocol._wait", always(None)),),
    "connections": (Switch("gemstead.api.connections:Slots.take", always(True)),),
    "tls": (Switch("gemstead.api.tls:load_tls", always(None)),),
    "browser-headers": (Switch("gemstead.api.call:SECURITY_HEADERS", lambda _original: ()),),
    "admin-apart": (Switch("gemstead.api.call:Call.require_scope", always(None)),),
    "tampering": (Switch("gemstead.evidence.verify:Report.add", always(None)),),
    "no-record-no-answer": (Switch("gemstead.pipeline.recording:Recorder.write", _unwritten),),
    "record-first": (Switch("gemstead.pipeline.recording:Entry.safe", _at_once),),
    "no-text-in-records": (Switch("gemstead.evidence.pseudonyms:KeyedHash.of", _in_plain_text),),
    "pseudonyms": (Switch("gemstead.evidence.pseudonyms:Pseudonyms.of", lambda _original: lambda _s, who, _at_s: who),),
    "key-changes-recorded": (Switch("gemstead.app.evidence:write_key_change", unrefused),),
    "cuts": (Switch("gemstead.evidence.cuts:open_exchanges", lambda _original: lambda *_args: []),),
    "expiry": (Switch("gemstead.evidence.expiry:_blank", always(0)),),
    "content-encrypted": (
        Switch("gemstead.evidence.vault.master_key:sealed", lambda _original: lambda _key, plain, _bound_to: plain),
        Switch("gemstead.evidence.vault.master_key:opened", lambda _original: lambda _key, plain, _to, _what: plain),
    ),
    "erasure": (Switch("gemstead.evidence.vault.vault:Vault.erase", always(0)),),
    "personal-data": (Switch("gemstead.guardrails.detect.personal:PersonalData.next", always(None)),),
    "secrets": (Switch("gemstead.guardrails.detect.credentials:Credentials.next", always(None)),),
    "links": (Switch("gemstead.guardrails.rules.markup:_Markup.next", always(None)),),
    "canary": (Switch("gemstead.guardrails.rules.canary:_Canaries.next", always(None)),),
}
"""By the id of the control in `controls.toml`."""
