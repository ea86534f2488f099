"""What a policy decides: an index over its rules, and one pure function. Deny wins; where no rule allows, no."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

import msgspec

from gemstead.access.limit_values import NO_LIMITS, Limits, smallest
from gemstead.access.policy_file import ACTIONS, GUARD_ACTIONS, LABELS, Action, Label, PolicyFile, PolicyText, RulePart

NAMELESS = "anonymous"
"""The group of a caller that has none."""

MAX_REMEMBERED = 4096
"""Decisions kept per policy; model names are the caller's word, so this has to be bounded."""

MAX_NAME_CHARS = 256
"""Of a model or a tool that is asked about: matching a longer one could take long."""

EVERY_GROUP = "*"

BUILT_IN = "built-in"
"""Stands for the policy's hash where there is no file."""


class Query(msgspec.Struct, frozen=True):
    """What is asked. `key_models` and `key_tools` are the patterns the caller's own key is limited to."""

    action: Action
    model: str
    label: Label
    groups: tuple[str, ...] = ()
    dialect: str = ""
    tools: tuple[str, ...] = ()
    key_models: tuple[str, ...] = ()
    key_tools: tuple[str, ...] = ()
    key_labels: tuple[str, ...] = ()


class Quota(msgspec.Struct, frozen=True):
    """The limits of one rule and who shares them. `groups` are those of the caller the rule is meant for."""

    rule_id: str
    per: Literal["key", "group", "model", "rule"]
    limits: Limits
    groups: tuple[str, ...] = ()


class Obligations(msgspec.Struct, frozen=True):
    """What else the rules ask for, the strictest of each; see `policy_file.UNENFORCED`."""

    guards: dict[str, str] = {}
    requires_approval: bool = False
    keeps_content: bool | None = None
    retention_days: int | None = None
    may_leave: bool = False
    cloud_providers: tuple[str, ...] = ()


class Decision(msgspec.Struct, frozen=True):
    """`rule_ids` are the rules that decided, in the file's order; `why` is a sentence. `sha256` is the policy's."""

    is_allowed: bool
    rule_ids: tuple[str, ...]
    why: str
    sha256: str
    limits: Limits = NO_LIMITS
    """Of a single request, and of what one key may have in work: of each the smallest."""
    quotas: tuple[Quota, ...] = ()
    """Those that count over time: every one of them has to have room."""
    obligations: Obligations = Obligations()


class Rule(msgspec.Struct, frozen=True):
    """A rule ready to be matched; an empty set or None matches all."""

    part: RulePart
    limits: Limits
    groups: frozenset[str]
    labels: frozenset[str]
    dialects: frozenset[str]
    models: re.Pattern[str] | None
    tools: re.Pattern[str] | None

    def matches(self, query: Query) -> bool:
        """All but the groups and the action, which the index knows, and the tools."""
        return (
            (not self.labels or query.label in self.labels)
            and (not self.dialects or query.dialect in self.dialects)
            and (self.models is None or self.models.fullmatch(query.model) is not None)
        )

    def covers_tool(self, tool: str) -> bool:
        return self.tools is None or self.tools.fullmatch(tool) is not None


class Policy:
    """One version of the operator's rules; never changed, so that one decision has one version."""

    def __init__(self, file: PolicyFile, sha256: str = BUILT_IN) -> None:
        self.file = file
        self.sha256 = sha256
        self.rules = tuple(_compiled(part) for part in file.rules)
        self._index = _indexed(self.rules)
        self._remembered: dict[Query, Decision] = {}

    def decide(self, query: Query) -> Decision:
        """About a microsecond for what was asked before."""
        found = self._remembered.get(query)
        if found is None:
            found = self._decide(query)
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[query] = found
        return found

    def _decide(self, query: Query) -> Decision:
        if any(len(name) > MAX_NAME_CHARS for name in (query.model, *query.tools)):
            return self._no((), f"a name is longer than {MAX_NAME_CHARS} characters")
        if (refused := _refused_by_key(query)) is not None:
            return Decision(is_allowed=False, rule_ids=("key",), why=refused, sha256=self.sha256)
        groups = frozenset(query.groups or (NAMELESS,))
        matching = [rule for rule in self._rules_of(query.action, groups) if rule.matches(query)]
        denies = [rule for rule in matching if rule.part.effect == "deny" and _denies(rule, query.tools)]
        if denies:
            ids = _ids(denies)
            return self._no(ids, f"denied by rule {', '.join(ids)}")
        allows = [rule for rule in matching if rule.part.effect == "allow"]
        if not allows:
            who = ", ".join(sorted(groups))
            return self._no((), f"no rule allows {query.action} with {query.model} for {who}")
        for tool in query.tools:
            if not any(rule.covers_tool(tool) for rule in allows):
                return self._no(_ids(allows), f"no rule allows the tool {tool!r}")
        return self._yes(allows, groups)

    def _rules_of(self, action: str, groups: frozenset[str]) -> list[Rule]:
        """Those that can match, in the file's order."""
        places = {place for group in (*groups, EVERY_GROUP) for place in self._index.get((action, group), ())}
        return [self.rules[place] for place in sorted(places)]

    def _no(self, rule_ids: tuple[str, ...], why: str) -> Decision:
        return Decision(is_allowed=False, rule_ids=rule_ids, why=why, sha256=self.sha256)

    def _yes(self, allows: list[Rule], groups: frozenset[str]) -> Decision:
        ids = _ids(allows)
        quotas = tuple(
            Quota(rule.part.id, rule.part.per, rule.limits, tuple(sorted(rule.groups & groups or groups)))
            for rule in allows
            if rule.limits != NO_LIMITS
        )
        return Decision(
            is_allowed=True,
            rule_ids=ids,
            why=f"allowed by rule {', '.join(ids)}",
            sha256=self.sha256,
            limits=smallest(_per_request(rule) for rule in allows),
            quotas=quotas,
            obligations=_obligations(rule.part for rule in allows),
        )


def policy_of(text: PolicyText) -> Policy:
    return Policy(text.file, text.sha256)


def built_in_policy() -> Policy:
    """In force without a file: who gets through the door may do what the key says, and no more."""
    everything = RulePart(id="built-in", effect="allow", note="no policy file: the keys alone decide")
    return Policy(PolicyFile(version=1, rules=(everything,)))


def highest(labels: Iterable[Label]) -> Label:
    """The label of what is made of several sources."""
    return max(labels, key=LABELS.index, default=LABELS[0])


def glob(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """One expression for all: `*` is any text, `?` one character, all else itself. None for no pattern at all."""
    parts = ["".join(_WILD.get(char, re.escape(char)) for char in _collapsed(pattern)) for pattern in patterns]
    return re.compile("|".join(parts), re.DOTALL) if parts else None


_WILD = {"*": ".*", "?": "."}


def _collapsed(pattern: str) -> str:
    """Several `*` in a row mean one, and cost more with each."""
    return re.sub(r"\*{2,}", "*", pattern)


@lru_cache(maxsize=1024)
def _key_glob(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    return glob(patterns)


def _compiled(part: RulePart) -> Rule:
    return Rule(
        part=part,
        limits=Limits(**part.limits.model_dump()),
        groups=frozenset() if EVERY_GROUP in part.groups else frozenset(part.groups),
        labels=frozenset(part.labels),
        dialects=frozenset(part.dialects),
        models=glob(part.models),
        tools=glob(part.tools),
    )


def _indexed(rules: tuple[Rule, ...]) -> dict[tuple[str, str], list[int]]:
    """Where the rules for an action and a group stand."""
    found: dict[tuple[str, str], list[int]] = {}
    for place, rule in enumerate(rules):
        for action in rule.part.actions or ACTIONS:
            for group in rule.groups or (EVERY_GROUP,):
                found.setdefault((action, group), []).append(place)
    return found


def _refused_by_key(query: Query) -> str | None:
    """A key's own patterns narrow whatever the rules allow."""
    models, tools = _key_glob(query.key_models), _key_glob(query.key_tools)
    if models is not None and not models.fullmatch(query.model):
        return f"the key is not for the model {query.model}"
    if query.key_labels and query.label not in query.key_labels:
        return f"the key is not for {query.label} data"
    for tool in query.tools:
        if tools is not None and not tools.fullmatch(tool):
            return f"the key is not for the tool {tool!r}"
    return None


def _denies(rule: Rule, tools: tuple[str, ...]) -> bool:
    """A deny that names tools concerns only requests that bring one of them."""
    return rule.tools is None or any(rule.covers_tool(tool) for tool in tools)


def _ids(rules: list[Rule]) -> tuple[str, ...]:
    return tuple(rule.part.id for rule in rules)


def _per_request(rule: Rule) -> Limits:
    """The limits of a rule that combine to one number; the others are counted for each rule."""
    limits, is_per_key = rule.limits, rule.part.per == "key"
    return Limits(
        max_context_tokens=limits.max_context_tokens,
        max_output_tokens=limits.max_output_tokens,
        weight=limits.weight,
        concurrent_requests=limits.concurrent_requests if is_per_key else None,
        waiting_requests=limits.waiting_requests,
    )


def _obligations(parts: Iterable[RulePart]) -> Obligations:
    parts = tuple(parts)
    guards: dict[str, str] = {}
    for part in parts:
        for name, action in part.guards.items():
            guards[name] = max(action, guards.get(name, action), key=GUARD_ACTIONS.index)
    kept = [part.keeps_content for part in parts if part.keeps_content is not None]
    days = [part.retention_days for part in parts if part.retention_days is not None]
    clouds = [part.cloud for part in parts if part.cloud is not None]
    may_leave = bool(clouds) and all(cloud.allow for cloud in clouds)
    providers = frozenset.intersection(*(frozenset(cloud.providers) for cloud in clouds)) if may_leave else frozenset()
    return Obligations(
        guards=guards,
        requires_approval=any(part.requires_approval for part in parts),
        keeps_content=all(kept) if kept else None,
        retention_days=min(days, default=None),
        may_leave=may_leave,
        cloud_providers=tuple(sorted(providers)),
    )
