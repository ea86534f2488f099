"""Policies, callers and clocks for tests of access."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import HealthCheck, settings

from gemstead.access.buckets import Saved
from gemstead.access.policy import Policy, Query, policy_of
from gemstead.access.policy_file import PolicyFile, PolicyText, RulePart, parse_policy
from gemstead.core.caller import Caller, Origin
from gemstead.core.errors import LimitsUnavailable

steady = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For properties: what a busy machine makes slow is no failure."""


def rule(rule_id: str = "r", effect: str = "allow", **fields: Any) -> RulePart:
    return RulePart.model_validate({"id": rule_id, "effect": effect, **fields})


def policy(*rules: RulePart, **fields: Any) -> Policy:
    return Policy(PolicyFile(version=1, rules=rules, **fields), "hash")


def toml_policy(text: str) -> Policy:
    return policy_of(toml_text(text))


def toml_text(text: str) -> PolicyText:
    return parse_policy(text.encode())


def query(**fields: Any) -> Query:
    return Query(**({"action": "chat", "model": "m", "label": "internal", "groups": ("staff",)} | fields))


def caller(key_id: str = "k1", *groups: str, **fields: Any) -> Caller:
    return Caller(key_id=key_id, groups=groups or ("staff",), scopes=frozenset({"use"}), **fields)


def origin(key_id: str = "k1", *groups: str, label: str = "", **fields: Any) -> Origin:
    return Origin(caller(key_id, *groups, **fields), "req", "openai", "", label)


class Clock:
    """Microseconds that pass only when told to."""

    def __init__(self, now_us: int = 1_800_000_000_000_000) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us

    def pass_s(self, seconds: float) -> None:
        self.now_us += round(seconds * 1_000_000)


class MemoryLimits:
    """Keeps what was spent in memory; `is_broken` makes it fail as a full disk does, `num_busy` as often say that
    somebody else is writing.
    """

    def __init__(self) -> None:
        self.rows: dict[str, Saved] = {}
        self.written: dict[str, Saved] = {}
        self.num_commits = 0
        self.num_busy = 0
        self.is_broken = False

    def swap(self, old: Sequence[Saved], new: Sequence[Saved]) -> bool:
        if any(self.rows.get(row.bucket, Saved(row.bucket, 0, 0, "")) != row for row in old) or not self.begin():
            return False
        self.write(new)
        self.commit()
        return True

    def begin(self) -> bool:
        if self.num_busy:
            self.num_busy -= 1
            return False
        return True

    def read(self, buckets: Sequence[str]) -> list[Saved]:
        return [self.rows[bucket] for bucket in buckets if bucket in self.rows]

    def write(self, rows: Iterable[Saved]) -> None:
        self.written = {row.bucket: row for row in rows}

    def commit(self) -> None:
        if self.is_broken:
            raise LimitsUnavailable("the disk is full")
        self.num_commits += 1
        self.rows.update(self.written)

    def rollback(self) -> None:
        self.written = {}

    def tidy(self) -> None:
        pass
