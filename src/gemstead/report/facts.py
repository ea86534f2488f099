"""What is known of an installation when documents are written: plain values, gathered elsewhere.

Moments are seconds since 1970, UTC. None: not known, or not there; never a guess.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec


class ProgramFacts(msgspec.Struct, frozen=True):
    version: str
    python: str
    system: str
    host: str


class SettingFact(msgspec.Struct, frozen=True):
    """One that is not as shipped. `origin`: the file, variable or flag it was set by."""

    name: str
    value: str
    origin: str


class DoorFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Who can reach the server, and what is asked of them. `is_locked`: nobody gets in without a key or token."""

    host: str
    port: int
    is_loopback: bool
    is_locked: bool
    has_tls: bool
    allows_plain_http: bool = False
    certificate_ends_s: float | None = None
    issuer: str | None = None
    origins: tuple[str, ...] = ()
    max_body_bytes: int = 0
    max_connections: int = 0
    keeps_responses: bool = False
    max_idle_s: float = 0.0


class RunningFacts(msgspec.Struct, frozen=True):
    """A server that runs now."""

    model: str
    engine: str
    url: str
    started_s: float


class KeyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`oldest_active_s` is when the oldest active key was made."""

    num_active: int = 0
    num_expired: int = 0
    num_revoked: int = 0
    num_endless: int = 0
    """Active ones without an end."""
    num_admin: int = 0
    oldest_active_s: float | None = None
    last_used_s: float | None = None
    groups: tuple[str, ...] = ()


class RuleFacts(msgspec.Struct, frozen=True):
    """One rule of the policy, as it stands in the file; empty lists do not narrow it."""

    id: str
    effect: str
    groups: tuple[str, ...]
    models: tuple[str, ...]
    tools: tuple[str, ...]
    labels: tuple[str, ...]
    limits: tuple[str, ...]


class PolicyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`path` None: there is no file, the keys alone decide. `fault`: why the file cannot be read."""

    path: str | None = None
    sha256: str | None = None
    rules: tuple[RuleFacts, ...] = ()
    default_label: str = ""
    num_versions: int = 0
    fault: str | None = None


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A model in the store. `is_digest_published`: the publisher's own digest was compared. `accepted_position`: where
    the evidence has it that its licence was agreed to.
    """

    name: str
    quant: str | None
    place: str
    sha256: str
    licence: str | None
    licence_url: str | None = None
    accepted_s: float | None = None
    accepted_position: int | None = None
    is_digest_published: bool = False


Verdict: TypeAlias = Literal["ok", "findings", "not_looked"]


class EvidenceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`is_on`: a server started now would record. `verdict` is of verifying just now."""

    is_on: bool = False
    is_there: bool = False
    num_records: int = 0
    first_s: float | None = None
    last_s: float | None = None
    num_checkpoints: int = 0
    checkpoint_s: float | None = None
    second_place: str | None = None
    keep_days: int | None = None
    durability: str | None = None
    verdict: Verdict = "not_looked"
    findings: tuple[str, ...] = ()


class ContentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Whether prompts and replies are kept, and for which labels how many days."""

    is_on: bool = False
    days_by_label: tuple[tuple[str, int], ...] = ()
    num_subjects: int | None = None


class DiskFacts(msgspec.Struct, frozen=True):
    """`is_encrypted` None: cannot be told. False: the system does not encrypt it; the drive itself may."""

    is_encrypted: bool | None
    how: str


class Incident(msgspec.Struct, frozen=True):
    """Something that went wrong or was refused. `kind` names a sentence of the incident log; `number`: how often."""

    at_s: float
    kind: str
    number: int = 1
    detail: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """`config` is a hash over all that makes a document out of date."""

    at_s: float
    program: ProgramFacts
    door: DoorFacts
    keys: KeyFacts = KeyFacts()
    policy: PolicyFacts = PolicyFacts()
    evidence: EvidenceFacts = EvidenceFacts()
    content: ContentFacts = ContentFacts()
    disk: DiskFacts = DiskFacts(None, "")
    settings: tuple[SettingFact, ...] = ()
    running: tuple[RunningFacts, ...] = ()
    models: tuple[ModelFacts, ...] = ()
    outside: tuple[tuple[str, str], ...] = ()
    """What may be connected to beyond this machine: a use, named as in the texts, and an address."""
    open_files: tuple[str, ...] = ()
    """Files and folders of ours that others may read or write."""
    backup_s: float | None = None
    incidents: tuple[Incident, ...] = ()
    config: str = ""
