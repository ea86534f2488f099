"""The admin desk: what the admin API asks for, done by the same functions that the command line uses."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from gemstead import __version__
from gemstead.access.buckets import MINUTE_US, Saved, new_bucket
from gemstead.access.key_store import KeyStore
from gemstead.access.limits import COUNTED
from gemstead.access.policy_file import parse_policy, read_policy, unenforced
from gemstead.access.records import KeyFields
from gemstead.api.admin.door import AdminServices, build_admin
from gemstead.api.admin.listen import OFF, admin_listener, host_of_listen
from gemstead.api.admin.shapes import (
    CheckPolicy,
    CreateKey,
    EvidenceList,
    EvidenceRecord,
    EvidenceView,
    ExplainPolicy,
    KeyList,
    KeyView,
    LimitView,
    ModelList,
    ModelView,
    NewCheckpoint,
    NewKeyView,
    PolicyAnswer,
    PolicyCheck,
    PolicyReload,
    PolicyVersionList,
    PolicyVersionView,
    PolicyView,
    RotateKey,
    ServerView,
    SignInFailureList,
    SignInFailureView,
    Usage,
    UsageList,
    key_view,
    new_key_view,
)
from gemstead.api.bind import check_bind
from gemstead.api.connections import ConnectionLimits
from gemstead.api.server import run_server
from gemstead.api.sign_in import SignIn
from gemstead.api.tls import load_tls
from gemstead.app import admin_evidence, keys, policies
from gemstead.app.evidence import is_recording, write_event
from gemstead.app.gateway import Gateway
from gemstead.app.governance import Governance, policy_path
from gemstead.core.caller import Caller
from gemstead.core.errors import RequestInvalid, SettingInvalid
from gemstead.core.moments import utc_text
from gemstead.evidence.records import event
from gemstead.settings.load import Loaded

T = TypeVar("T")

MAX_CONNECTIONS = 32
DRAIN_LIMIT_S = 5


class ServerDesk:
    """Implements `api.admin.routes.AdminDesk` for one running server; files and the database are read in threads."""

    def __init__(self, loaded: Loaded, gateway: Gateway, governance: Governance, url: str) -> None:
        self._loaded = loaded
        self._gateway = gateway
        self._governance = governance
        self._url = url
        self._started_s = time.time()

    async def keys(self, *, is_every: bool) -> KeyList:
        now_s = time.time()
        records = await self._with_keys(lambda store: store.list())
        return KeyList(tuple(key_view(one, now_s) for one in records if is_every or one.state(now_s) == "active"))

    async def create_key(self, asked: CreateKey, by: Caller) -> NewKeyView:
        now_s = time.time()
        fields = _fields_of(asked, now_s)
        made, record = await self._with_keys(lambda store: store.create(fields, now_s=now_s, created_by=_name(by)))
        return new_key_view(made, record, now_s)

    async def key(self, key_id: str) -> KeyView:
        return key_view(await self._with_keys(lambda store: store.find(key_id)), time.time())

    async def rotate_key(self, key_id: str, asked: RotateKey, by: Caller) -> NewKeyView:
        now_s, overlap_s = time.time(), _span_s("overlap", asked.overlap)
        made, record = await self._with_keys(
            lambda store: store.rotate(key_id, overlap_s=overlap_s, now_s=now_s, created_by=_name(by))
        )
        return new_key_view(made, record, now_s)

    async def revoke_key(self, key_id: str, by: Caller) -> KeyView:
        now_s = time.time()
        record = await self._with_keys(lambda store: store.revoke(key_id, now_s=now_s))
        await self._note("admin.key_revoked", by, key=record.id)
        return key_view(record, now_s)

    async def policy(self) -> PolicyView:
        watch = self._governance.watch
        policy = watch.current()
        return PolicyView(
            path=str(policy_path(self._loaded)) if watch.has_file else None,
            sha256=policy.sha256,
            rules=tuple(part.model_dump(mode="json", exclude_defaults=True) for part in policy.file.rules),
            not_enforced=tuple(unenforced(policy.file)),
        )

    async def check_policy(self, asked: CheckPolicy) -> PolicyCheck:
        try:
            text = await asyncio.to_thread(parse_policy, asked.text.encode())
        except SettingInvalid as exc:
            return PolicyCheck(problem=exc.what)
        return PolicyCheck(
            sha256=text.sha256, num_rules=len(text.file.rules), not_enforced=tuple(unenforced(text.file))
        )

    async def explain_policy(self, asked: ExplainPolicy) -> PolicyAnswer:
        question = policies.Question(
            model=asked.model,
            key=asked.key,
            groups=tuple(asked.groups),
            label=asked.label,
            tools=tuple(asked.tools),
            action=asked.action,
            dialect=asked.dialect,
        )
        found = await asyncio.to_thread(policies.explain, self._loaded, None, question)
        decision = found.decision
        return PolicyAnswer(
            is_allowed=decision.is_allowed,
            why=decision.why,
            rule_ids=decision.rule_ids,
            sha256=decision.sha256,
            limits=tuple(
                LimitView(name=one.name, value=one.value, per=one.per, rule_id=one.rule_id) for one in found.limits
            ),
        )

    async def reload_policy(self, by: Caller) -> PolicyReload:
        reloaded = await self._reloaded()
        await self._note("admin.policy_reloaded", by, result=reloaded.result, policy=reloaded.sha256)
        return reloaded

    async def _reloaded(self) -> PolicyReload:
        watch, path = self._governance.watch, policy_path(self._loaded)
        before = watch.current()
        try:
            if watch.has_file or path.exists():
                await asyncio.to_thread(read_policy, path)
            await asyncio.to_thread(watch.look)
        except SettingInvalid as exc:
            return PolicyReload(result="refused", sha256=before.sha256, why=exc.what)
        after = watch.current()
        return PolicyReload(result="unchanged" if after is before else "applied", sha256=after.sha256)

    async def policy_versions(self) -> PolicyVersionList:
        found = await asyncio.to_thread(policies.versions, self._loaded)
        return PolicyVersionList(
            tuple(
                PolicyVersionView(
                    number=one.number, sha256=one.sha256, applied_at=utc_text(one.applied_at_s), source=one.source
                )
                for one in found
            )
        )

    async def usage(self, key_id: str | None) -> UsageList:
        keeper, now_us = self._governance.keeper, time.time_ns() // 1000
        await keeper.tidy()
        rows = await asyncio.to_thread(keeper.rows)
        found = [usage_of(row, keeper.limit_of(row.bucket), now_us) for row in rows]
        return UsageList(tuple(one for one in found if key_id is None or one.subject == f"key/{key_id}"))

    async def sign_in_failures(self, since: str) -> SignInFailureList:
        since_s = time.time() - _span_s("since", since)
        rows = await asyncio.to_thread(keys.failures, self._loaded, since_s)
        return SignInFailureList(
            tuple(
                SignInFailureView(hour=utc_text(row.hour_s), network=row.network, reason=row.reason, number=row.number)
                for row in rows
            )
        )

    async def server(self) -> ServerView:
        queue, now_s = self._governance.governed.queue, time.time()
        records = await self._with_keys(lambda store: store.list())
        return ServerView(
            version=__version__,
            pid=os.getpid(),
            started_at=utc_text(self._started_s),
            url=self._url,
            engines=self._gateway.statuses(),
            num_running=queue.num_running,
            num_waiting=queue.num_waiting,
            policy_sha256=self._governance.watch.current().sha256,
            num_active_keys=sum(record.state(now_s) == "active" for record in records),
            evidence="on" if await asyncio.to_thread(is_recording, self._loaded) else "off",
        )

    async def models(self) -> ModelList:
        return ModelList(
            tuple(
                ModelView(
                    name=one.name,
                    sha256=one.sha256,
                    size_bytes=one.size_bytes,
                    stored_at=one.stored_at,
                    quant=one.quant,
                )
                for one in await self._gateway.desk.list_models()
            )
        )

    async def evidence(self) -> EvidenceView:
        return await asyncio.to_thread(admin_evidence.state, self._loaded)

    async def evidence_records(self, after: int, limit: int, kind: str | None, key: str | None) -> EvidenceList:
        return await asyncio.to_thread(admin_evidence.records, self._loaded, after, limit, kind, key)

    async def evidence_record(self, position: int) -> EvidenceRecord:
        return await asyncio.to_thread(admin_evidence.record, self._loaded, position)

    async def make_checkpoint(self, by: Caller) -> NewCheckpoint:
        await self._note("admin.checkpoint_asked", by)
        return await asyncio.to_thread(admin_evidence.checkpoint, self._loaded)

    async def _note(self, kind: str, by: Caller, **fields: str) -> None:
        """What the change itself does not record: who asked for it here. Raises: EvidenceUnavailable."""
        await asyncio.to_thread(write_event, self._loaded, event(kind, time.time(), by=_name(by), **fields))

    async def _with_keys(self, work: Callable[[KeyStore], T]) -> T:
        def done() -> T:
            with keys.key_store(self._loaded) as store:
                return work(store)

        return await asyncio.to_thread(done)


@asynccontextmanager
async def opened_admin(
    loaded: Loaded, gateway: Gateway, governance: Governance, sign_in: SignIn, url: str
) -> AsyncIterator[str]:
    """The admin API for as long as the block runs; gives where it listens, empty where it is off.

    Raises: what `check_admin` raises; AlreadyRunning.
    """
    where = loaded.settings.admin.listen
    if where == OFF:
        yield ""
        return
    check_admin(loaded)
    host, server = host_of_listen(where), loaded.settings.server
    tls = None if host is None else load_tls(server.tls_cert, server.tls_key)
    services = AdminServices(
        ServerDesk(loaded, gateway, governance, url), sign_in, frozenset(name.lower() for name in server.host_names)
    )
    stop = asyncio.Event()
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    with admin_listener(where) as listener:
        serving = asyncio.create_task(
            run_server(
                build_admin(services),
                listener,
                stop=stop,
                on_started=started.set_result,
                drain_limit_s=DRAIN_LIMIT_S,
                tls=tls,
                limits=ConnectionLimits(max_connections=MAX_CONNECTIONS),
            )
        )
        try:
            either: set[asyncio.Future[Any]] = {started, serving}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not started.done():
                serving.result()
            port = started.result()
            yield where if host is None else f"{'http' if tls is None else 'https'}://{_shown(host)}:{port}"
        finally:
            stop.set()
            await asyncio.wait({serving})


def check_admin(loaded: Loaded) -> None:
    """Whether the admin API may listen where the settings say; keys are always asked for there.

    Raises: PolicyRefused for an address that others reach, without TLS; SettingInvalid.
    """
    where, server = loaded.settings.admin.listen, loaded.settings.server
    if where == OFF or (host := host_of_listen(where)) is None:
        return
    has_tls = load_tls(server.tls_cert, server.tls_key) is not None
    check_bind(host, has_keys=True, has_tls=has_tls or server.allows_plain_http)


def usage_of(row: Saved, limit: int | None, now_us: int) -> Usage:
    """One row as people read it. Without its limit a minute's spending cannot be said to have leaked away."""
    place, _, name = row.bucket.rpartition("/")
    rule_id, _, subject = place.partition("/")
    if limit is None:
        spent = -(-row.level // MINUTE_US) if name.endswith("_minute") else row.level
        return Usage(rule_id=rule_id, subject=subject, name=name, spent=spent, limit=None, remaining=None, reset_s=None)
    kind, window = next((kind, window) for known, kind, window in COUNTED if known == name)
    bucket = new_bucket(row.bucket, limit, kind, window)
    bucket.restore(row)
    remaining = bucket.remaining(now_us)
    return Usage(
        rule_id=rule_id,
        subject=subject,
        name=name,
        spent=limit - remaining,
        limit=limit,
        remaining=remaining,
        reset_s=bucket.reset_us(now_us) / 1e6,
    )


def _fields_of(asked: CreateKey, now_s: float) -> KeyFields:
    """As `gemstead keys create` reads its options. Raises: RequestInvalid, NameUnknown."""
    return KeyFields(
        name=keys.read_name("name", asked.name),
        owner=keys.read_name("owner", asked.owner) if asked.owner else "",
        groups=keys.read_words("groups", asked.groups),
        scopes=keys.read_scopes(list(asked.scopes)),
        models=keys.read_words("models", asked.models),
        tools=keys.read_words("tools", asked.tools),
        labels=keys.read_words("labels", asked.labels),
        quota=keys.checked_quota(asked.quota),
        expires_at_s=keys.read_moment(asked.expires, now_s=now_s),
    )


def _span_s(name: str, text: str) -> float:
    try:
        return keys.read_span_s(text)
    except ValueError as exc:
        raise RequestInvalid(f"{name}: {text[:40]!r} is no span", param=name, hint="24h, 30m, 7d, 0") from exc


def _name(caller: Caller) -> str:
    return caller.key_id or ""


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
