"""Reads what documents say about this installation. It looks; it makes, changes and fetches nothing."""

from __future__ import annotations

import hashlib
import json
import platform
import socket
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from gemstead import __version__
from gemstead.access.key_store import KeyStore
from gemstead.access.policy_file import LABELS, PolicyFile, read_policy
from gemstead.access.records import KeyRecord
from gemstead.api.hosts import is_loopback
from gemstead.app.door_lock import is_locked
from gemstead.app.governance import policy_path
from gemstead.app.policies import versions
from gemstead.app.report_disk import disk_facts, open_to_others
from gemstead.app.report_evidence import accepted_positions, evidence_facts, incidents
from gemstead.app.servers import running_servers
from gemstead.catalog.entries import Licence
from gemstead.catalog.licences import acceptance_of
from gemstead.catalog.manifests import Manifest
from gemstead.catalog.store import Store
from gemstead.core.errors import GemsteadError, SettingInvalid
from gemstead.report.facts import (
    ContentFacts,
    DoorFacts,
    Facts,
    KeyFacts,
    ModelFacts,
    PolicyFacts,
    ProgramFacts,
    RuleFacts,
    RunningFacts,
    SettingFact,
)
from gemstead.settings.load import Loaded
from gemstead.settings.show import as_rows
from gemstead.store.database import open_database


def gather(loaded: Loaded, *, config: str = "", now_s: float | None = None) -> Facts:
    """`config` is the hash of what documents are made of.

    Raises: FileDamaged, SettingInvalid for a database or record of ours that cannot be read.
    """
    now_s = time.time() if now_s is None else now_s
    program = ProgramFacts(__version__, platform.python_version(), platform.platform(terse=True), socket.gethostname())
    policy, file = _policy(loaded)
    evidence = evidence_facts(loaded)
    return Facts(
        at_s=now_s,
        program=program,
        door=_door(loaded),
        keys=_keys(loaded, now_s),
        policy=policy,
        evidence=evidence,
        content=_content(loaded, file, is_recorded=evidence.is_on),
        disk=disk_facts(loaded.paths.data),
        settings=tuple(_settings(loaded)),
        running=tuple(
            RunningFacts(one.model, one.engine, one.url, _seconds(one.started_at))
            for one in running_servers(loaded.paths.servers)
        ),
        models=tuple(_models(loaded)),
        outside=tuple(_outside(loaded)),
        open_files=tuple(open_to_others(loaded.paths)),
        backup_s=_last_backup_s(loaded),
        incidents=tuple(incidents(loaded, evidence, now_s)),
        config=config,
    )


def configuration(loaded: Loaded) -> dict[str, str]:
    """What makes documents out of date once it changes, each as a hash. Raises: as `gather`."""
    policy, _file = _policy(loaded)
    return {
        "program": __version__,
        "settings": hash_of([(one.name, one.value) for one in _settings(loaded)]),
        "policy": policy.sha256 or "",
        "models": hash_of([(one.name, one.sha256) for one in _models(loaded)]),
    }


def hash_of(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _settings(loaded: Loaded) -> Iterator[SettingFact]:
    """Secrets are shown as ***."""
    for row in as_rows(loaded):
        if row["origin"] != "default":
            origin = f"{row['origin']} {row['where']}".strip()
            yield SettingFact(row["name"], json.dumps(row["value"], ensure_ascii=False), origin)


def _door(loaded: Loaded) -> DoorFacts:
    server, responses = loaded.settings.server, loaded.settings.responses
    return DoorFacts(
        host=server.host,
        port=server.port,
        is_loopback=is_loopback(server.host),
        is_locked=is_locked(loaded),
        has_tls=server.tls_cert is not None,
        allows_plain_http=server.allows_plain_http,
        certificate_ends_s=_certificate_ends_s(server.tls_cert),
        issuer=loaded.settings.oidc.issuer,
        origins=server.allowed_origins,
        max_body_bytes=server.max_body_bytes,
        max_connections=server.max_connections,
        keeps_responses=responses.keep == "memory",
        max_idle_s=responses.max_idle_s,
    )


def _certificate_ends_s(path: str | None) -> float | None:
    """None, too, for a file that cannot be read here: the server says what is wrong with it."""
    if path is None:
        return None
    from cryptography.x509 import load_pem_x509_certificate

    try:
        return load_pem_x509_certificate(Path(path).expanduser().read_bytes()).not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return None


def _keys(loaded: Loaded, now_s: float) -> KeyFacts:
    if not loaded.paths.database.exists():
        return KeyFacts()
    connection = open_database(loaded.paths.database).raw()
    try:
        keys = KeyStore(connection, lambda: b"").list()
    finally:
        connection.close()
    active = [key for key in keys if key.state(now_s) == "active"]
    used = [key.last_used_at_s for key in keys if key.last_used_at_s is not None]
    return KeyFacts(
        num_active=len(active),
        num_expired=sum(key.state(now_s) == "expired" for key in keys),
        num_revoked=sum(key.state(now_s) == "revoked" for key in keys),
        num_endless=sum(key.end_s() is None for key in active),
        num_admin=sum("admin" in key.fields.scopes for key in active),
        oldest_active_s=min((key.created_at_s for key in active), default=None),
        last_used_s=max(used, default=None),
        groups=_groups(active),
    )


def _groups(keys: list[KeyRecord]) -> tuple[str, ...]:
    return tuple(sorted({group for key in keys for group in key.fields.groups}))


def _policy(loaded: Loaded) -> tuple[PolicyFacts, PolicyFile | None]:
    path, num_versions = policy_path(loaded), len(versions(loaded))
    if loaded.settings.policy.file is None and not path.exists():
        return PolicyFacts(num_versions=num_versions), None
    try:
        text = read_policy(path)
    except SettingInvalid as exc:
        return PolicyFacts(path=str(path), num_versions=num_versions, fault=exc.what), None
    rules = tuple(
        RuleFacts(
            rule.id,
            rule.effect,
            rule.groups,
            rule.models,
            rule.tools,
            rule.labels,
            tuple(f"{name} {value}" for name, value in rule.limits.model_dump(exclude_none=True).items()),
        )
        for rule in text.file.rules
    )
    facts = PolicyFacts(
        path=str(path),
        sha256=text.sha256,
        rules=rules,
        default_label=text.file.default_label,
        num_versions=num_versions,
    )
    return facts, text.file


def _content(loaded: Loaded, file: PolicyFile | None, *, is_recorded: bool) -> ContentFacts:
    """For each label the longest that any rule keeps it; content is kept only with a record of its exchange."""
    default_days = loaded.settings.content.retention_days
    days: dict[str, int] = {}
    for rule in file.rules if file is not None and is_recorded else ():
        if rule.effect == "allow" and rule.keeps_content:
            kept = default_days if rule.retention_days is None else rule.retention_days
            for label in rule.labels or LABELS:
                days[label] = max(kept, days.get(label, 0))
    kept_labels = tuple((label, days[label]) for label in LABELS if days.get(label))
    return ContentFacts(is_on=bool(kept_labels), days_by_label=kept_labels, num_subjects=_num_subjects(loaded))


def _num_subjects(loaded: Loaded) -> int | None:
    """None: nothing was ever kept."""
    if not loaded.paths.content.exists():
        return None
    connection = open_database(loaded.paths.content, "content").raw()
    try:
        return int(connection.execute("SELECT count(*) FROM subjects").fetchone()[0])
    finally:
        connection.close()


def _models(loaded: Loaded) -> Iterator[ModelFacts]:
    store, positions = Store(loaded.paths.models), accepted_positions(loaded)
    for manifest in store.list():
        licence = _licence(store, manifest)
        accepted = None if licence is None else acceptance_of(store.licences, licence)
        yield ModelFacts(
            name=manifest.name,
            quant=manifest.quant,
            place="file" if manifest.source == "file" else manifest.place,
            sha256=manifest.files[0].sha256,
            licence=manifest.licence,
            licence_url=None if licence is None else licence.url,
            accepted_s=None if accepted is None else _seconds(accepted.accepted_at),
            accepted_position=positions.get(manifest.licence or ""),
            is_digest_published=manifest.is_digest_published,
        )


def _licence(store: Store, manifest: Manifest) -> Licence | None:
    return next((one for one in store.catalog.licences if one.id == manifest.licence), None)


def _outside(loaded: Loaded) -> Iterator[tuple[str, str]]:
    settings = loaded.settings
    if not settings.sources.is_offline:
        yield "hub", settings.sources.hf_endpoint
    if settings.oidc.issuer is not None:
        yield "issuer", settings.oidc.issuer
    if settings.evidence.second_place is not None:
        yield "second_place", settings.evidence.second_place


def _seconds(moment: str) -> float:
    """Of ISO 8601 with its zone. Raises: ValueError."""
    return datetime.fromisoformat(moment).timestamp()


def _last_backup_s(loaded: Loaded) -> float | None:
    from gemstead.app.backup import list_backups

    try:
        made = [_seconds(one.made_at) for one in list_backups(loaded)]
    except (GemsteadError, ValueError):
        return None
    return max(made, default=None)
