"""What the `policy` commands do: on files and the database, so that they work with and without a running server."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import msgspec

from gemstead.access.key_store import KeyStore
from gemstead.access.limit_store import PolicyVersion, PolicyVersions
from gemstead.access.limit_values import Limits, limits_of
from gemstead.access.policy import Decision, Policy, Query, built_in_policy, policy_of
from gemstead.access.policy_file import ACTIONS, LABELS, Action, Label, PolicyText, read_policy
from gemstead.access.records import KeyFields
from gemstead.app.governance import policy_path
from gemstead.core.errors import NameUnknown, PolicyRefused, SettingInvalid
from gemstead.settings.load import Loaded
from gemstead.store.database import open_database


class Question(msgspec.Struct, frozen=True):
    """As the command line puts it. `key` is an id or a name."""

    model: str
    key: str | None = None
    groups: tuple[str, ...] = ()
    label: str | None = None
    tools: tuple[str, ...] = ()
    action: str = "chat"
    dialect: str = ""


class NamedLimit(msgspec.Struct, frozen=True):
    name: str
    value: int
    per: str
    rule_id: str


class Explanation(msgspec.Struct, frozen=True):
    """`path` None: there is no policy file."""

    path: str | None
    query: Query
    decision: Decision
    limits: tuple[NamedLimit, ...]


def path_of(loaded: Loaded, file: Path | None) -> Path:
    return policy_path(loaded) if file is None else file


def read(loaded: Loaded, file: Path | None) -> tuple[Path, PolicyText]:
    """Raises: SettingInvalid."""
    path = path_of(loaded, file)
    return path, read_policy(path)


def policy(loaded: Loaded, file: Path | None) -> tuple[Path | None, Policy]:
    """The policy of a file, or without one what a server does then. Raises: SettingInvalid."""
    path = path_of(loaded, file)
    if file is None and loaded.settings.policy.file is None and not path.exists():
        return None, built_in_policy()
    return path, policy_of(read_policy(path))


def write_new(path: Path, text: str) -> Path:
    """Raises: SettingInvalid if there is one already, or it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError as exc:
        raise SettingInvalid(f"{path} is there already", hint="gemstead policy check") from exc
    except OSError as exc:
        raise SettingInvalid(f"{path} cannot be written: {exc.strerror}") from exc
    return path


def explain(loaded: Loaded, file: Path | None, asked: Question) -> Explanation:
    """Raises: NameUnknown for a key, action or label that is none; PolicyRefused for a key that cannot ask models."""
    path, rules = policy(loaded, file)
    fields = KeyFields(name="", groups=asked.groups) if asked.key is None else _key(loaded, asked.key)
    query = Query(
        action=_action(asked.action),
        model=asked.model,
        label=_label(asked.label or rules.file.default_label),
        groups=fields.groups,
        dialect=asked.dialect,
        tools=asked.tools,
        key_models=fields.models,
        key_tools=fields.tools,
        key_labels=fields.labels,
    )
    decision = rules.decide(query)
    own = [NamedLimit(name, value, "key", "key") for name, value in limits_of(fields.quota).named().items()]
    counted = [one for quota in decision.quotas for one in _named(quota.limits, quota.per, quota.rule_id)]
    limits = (*counted, *own) if decision.is_allowed else ()
    return Explanation(None if path is None else str(path), query, decision, limits)


def versions(loaded: Loaded) -> list[PolicyVersion]:
    """Oldest first; none where no server has run yet."""
    if not loaded.paths.database.exists():
        return []
    connection = open_database(loaded.paths.database).raw()
    try:
        return PolicyVersions(connection).list()
    finally:
        connection.close()


def _named(limits: Limits, per: str, rule_id: str) -> list[NamedLimit]:
    return [NamedLimit(name, value, per, rule_id) for name, value in limits.named().items()]


def _key(loaded: Loaded, name_or_id: str) -> KeyFields:
    if not loaded.paths.database.exists():
        raise NameUnknown("key", name_or_id, [])
    connection = open_database(loaded.paths.database).raw()
    try:
        fields = KeyStore(connection, lambda: b"").find(name_or_id).fields
    finally:
        connection.close()
    if "use" not in fields.scopes:
        raise PolicyRefused(f"the key {name_or_id} lacks the scope use: it may ask no model", hint="gemstead keys show")
    return fields


def _action(name: str) -> Action:
    return next((one for one in ACTIONS if one == name), None) or _unknown("action", name, ACTIONS)


def _label(name: str) -> Label:
    return next((one for one in LABELS if one == name), None) or _unknown("label", name, LABELS)


def _unknown(kind: str, name: str, valid: tuple[str, ...]) -> NoReturn:
    raise NameUnknown(kind, name, list(valid))
