"""`policy.toml` as people write it: typed, every unknown key an error with its place."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gemstead.access.limit_values import MAX_LIMIT
from gemstead.core.errors import SettingInvalid

MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_RULES = 10_000

Label: TypeAlias = Literal["public", "internal", "confidential", "secret"]
LABELS: tuple[Label, ...] = get_args(Label)
"""From what may be known to all to what harms most: what a text is made of has the highest label of its sources."""

Action: TypeAlias = Literal["chat", "embed", "rag", "tool", "admin"]
ACTIONS: tuple[Action, ...] = get_args(Action)
GuardAction: TypeAlias = Literal["off", "report", "mask", "tokenise", "hold", "refuse"]
GUARD_ACTIONS: tuple[GuardAction, ...] = get_args(GuardAction)
"""From lenient to strict; the same words as `guardrails.base.ACTIONS`, which stands above this room."""


Pattern = Annotated[str, Field(min_length=1, max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Count = Annotated[int, Field(ge=0, le=MAX_LIMIT)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LimitsPart(Part):
    requests_per_minute: Count | None = None
    requests_per_day: Count | None = None
    requests_per_month: Count | None = None
    tokens_per_minute: Count | None = None
    tokens_per_day: Count | None = None
    tokens_per_month: Count | None = None
    concurrent_requests: Annotated[int, Field(ge=1, le=100_000)] | None = None
    waiting_requests: Annotated[int, Field(ge=0, le=100_000)] | None = None
    max_context_tokens: Count | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=MAX_LIMIT)] | None = None
    weight: Annotated[int, Field(ge=1, le=1000)] | None = None


class CloudPart(Part):
    """Whether a request may leave this machine, and where to."""

    allow: bool = False
    providers: Annotated[tuple[Name, ...], Field(strict=False)] = ()


class RulePart(Part):
    """One rule. An empty list does not narrow it: every group, model, tool, label, dialect."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    effect: Literal["allow", "deny"]
    note: Annotated[str, Field(max_length=1000)] = ""
    groups: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    actions: Annotated[tuple[Action, ...], Field(strict=False)] = ()
    models: Annotated[tuple[Pattern, ...], Field(strict=False)] = ()
    tools: Annotated[tuple[Pattern, ...], Field(strict=False)] = ()
    labels: Annotated[tuple[Label, ...], Field(strict=False)] = ()
    dialects: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    per: Literal["key", "group", "model", "rule"] = "key"
    """Who shares the rule's limits."""
    limits: LimitsPart = LimitsPart()
    guards: dict[Name, GuardAction] = {}
    requires_approval: bool = False
    keeps_content: bool | None = None
    retention_days: Annotated[int, Field(ge=0, le=36_500)] | None = None
    cloud: CloudPart | None = None

    @model_validator(mode="after")
    def _a_deny_only_denies(self) -> RulePart:
        if self.effect == "deny" and (set_fields := self.model_fields_set & ONLY_FOR_ALLOW):
            raise ValueError(f"a deny rule cannot set {', '.join(sorted(set_fields))}")
        if self.per in ("group", "model") and self.limits.waiting_requests is not None:
            raise ValueError("waiting_requests can only be limited per key")
        return self


ONLY_FOR_ALLOW = {
    *("per", "limits", "guards", "requires_approval", "keeps_content", "retention_days", "cloud"),
}

UNENFORCED = {
    "requires_approval": "nothing waits for an approval yet",
    "cloud": "no request leaves this machine yet, whatever the rule says",
}
"""What a rule may say already and no part of the program acts on: `policy check` tells."""

UNENFORCED_ACTIONS = {
    "rag": "there is no document search yet",
    "tool": "tools are run by the caller; what a rule limits is which may be offered to the model (actions: chat)",
    "admin": "who may change models is decided by the key's scope alone",
}


class PolicyFile(Part):
    version: Literal[1]
    default_label: Label = "internal"
    """Of a request that does not say (header `x-gemstead-label`)."""
    rules: Annotated[tuple[RulePart, ...], Field(strict=False, max_length=MAX_RULES)] = ()

    @model_validator(mode="after")
    def _ids_are_unique(self) -> PolicyFile:
        seen: set[str] = set()
        for rule in self.rules:
            if rule.id in seen:
                raise ValueError(f"two rules have the id {rule.id!r}")
            seen.add(rule.id)
        return self


class PolicyText(msgspec.Struct, frozen=True):
    """One version of a policy file. `sha256` is of the bytes of the file."""

    file: PolicyFile
    sha256: str
    text: str


def read_policy(path: Path) -> PolicyText:
    """Raises: SettingInvalid, naming file and place, for one that is missing, too large or broken."""
    try:
        with path.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise SettingInvalid(
            f"the policy file {path} cannot be read: {exc.strerror}", hint="gemstead policy init writes one"
        ) from exc
    return parse_policy(content, str(path))


def parse_policy(content: bytes, name: str = "policy.toml") -> PolicyText:
    """Raises: SettingInvalid, as `read_policy`."""
    if len(content) > MAX_FILE_BYTES:
        raise SettingInvalid(f"the policy file {name} is larger than {MAX_FILE_BYTES} bytes")
    try:
        text = content.decode("utf-8")
        file = PolicyFile.model_validate(tomllib.loads(text))
    except UnicodeDecodeError as exc:
        raise SettingInvalid(f"the policy file {name} is not UTF-8") from exc
    except tomllib.TOMLDecodeError as exc:
        raise SettingInvalid(f"the policy file {name} is no TOML: {exc}") from exc
    except ValidationError as exc:
        raise SettingInvalid(f"{name}: {_first_error(exc)}", hint="docs/policy.md lists what a rule may say") from exc
    return PolicyText(file, hashlib.sha256(content).hexdigest(), text)


def unenforced(file: PolicyFile) -> list[str]:
    """What the file asks for and nothing does: one sentence each."""
    said = []
    for rule in file.rules:
        said += [f"rule {rule.id}: {UNENFORCED[name]}" for name in UNENFORCED if name in rule.model_fields_set]
        held = [name for name, action in rule.guards.items() if action == "hold"]
        said += [f"rule {rule.id}: nobody can release what {name} holds yet, so it is refused" for name in held]
        said += [f"rule {rule.id}: {UNENFORCED_ACTIONS[one]}" for one in rule.actions if one in UNENFORCED_ACTIONS]
    return said


def _first_error(exc: ValidationError) -> str:
    found: Any = exc.errors(include_url=False)[0]
    place = ".".join(str(part + 1) if isinstance(part, int) else str(part) for part in found["loc"])
    more = exc.error_count() - 1
    return f"{place or 'file'}: {found['msg']}" + (f" (and {more} more)" if more else "")
