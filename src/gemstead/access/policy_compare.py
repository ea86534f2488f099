"""Two policies side by side, and a policy against a table of what it should decide. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Annotated

import msgspec
from pydantic import Field, ValidationError

from gemstead.access.limit_values import LIMIT_NAMES, Limits, smallest
from gemstead.access.policy import NAMELESS, Decision, Policy, Query
from gemstead.access.policy_file import LABELS, MAX_FILE_BYTES, Action, Label, Part
from gemstead.core.errors import RequestInvalid, SettingInvalid

MAX_QUERIES = 200_000
"""More than a policy that people can read gives rise to."""


class Change(msgspec.Struct, frozen=True):
    """One question that two policies answer differently."""

    query: Query
    before: Decision
    after: Decision

    def words(self) -> str:
        """`allow -> deny`, or which limits change."""
        if self.before.is_allowed != self.after.is_allowed:
            return f"{_effect(self.before)} -> {_effect(self.after)}"
        old, new = all_limits(self.before), all_limits(self.after)
        changed = [name for name in LIMIT_NAMES if getattr(old, name) != getattr(new, name)]
        limits = [f"{name} {_shown(getattr(old, name))} -> {_shown(getattr(new, name))}" for name in changed]
        return ", ".join(limits) or "other obligations, or limits shared otherwise"


def differences(before: Policy, after: Policy) -> Iterator[Change]:
    """Over the groups, actions, models, labels, tools and dialects that either names, and one of each it does not.

    Raises: RequestInvalid if that is too much to go through.
    """
    for query in _questions((before, after)):
        old, new = before.decide(query), after.decide(query)
        if _meaning(old) != _meaning(new):
            yield Change(query, old, new)


def all_limits(decision: Decision) -> Limits:
    """Of each limit the smallest, whoever shares it."""
    return smallest([decision.limits, *(quota.limits for quota in decision.quotas)])


def _meaning(decision: Decision) -> object:
    quotas = sorted(((quota.per, quota.limits, quota.groups) for quota in decision.quotas), key=repr)
    return decision.is_allowed, decision.limits, quotas, decision.obligations


def _questions(policies: tuple[Policy, ...]) -> Iterator[Query]:
    parts = [part for policy in policies for part in policy.file.rules]
    groups = _named((one for part in parts for one in part.groups if one != "*"), "(another group)", NAMELESS)
    actions: list[Action] = ["chat", "embed"]
    actions += sorted({one for part in parts for one in part.actions} - {"chat", "embed"})
    models = _named((_example(one) for part in parts for one in part.models), "(another model)")
    tools = [(), *((tool,) for tool in _named(_example(one) for part in parts for one in part.tools))]
    dialects = _named((one for part in parts for one in part.dialects), "")
    number = len(groups) * len(actions) * len(models) * len(LABELS) * len(tools) * len(dialects)
    if number > MAX_QUERIES:
        raise RequestInvalid(f"{number} questions to compare, at most {MAX_QUERIES} are", hint="compare fewer rules")
    for group, action, model, label, used, dialect in product(groups, actions, models, LABELS, tools, dialects):
        yield Query(action=action, model=model, label=label, groups=(group,), tools=used, dialect=dialect)


def _named(names: Iterable[str], *others: str) -> list[str]:
    return [*dict.fromkeys(names), *others]


def _example(pattern: str) -> str:
    """A name that the pattern matches."""
    return pattern.replace("*", "").replace("?", "x") or "x"


def _effect(decision: Decision) -> str:
    return "allow" if decision.is_allowed else "deny"


def _shown(value: int | None) -> str:
    return "none" if value is None else str(value)


class CasePart(Part):
    """One row of a table: a question and what it should come to. `limits` are compared where they are named."""

    action: Action = "chat"
    model: str
    label: Label | None = None
    groups: Annotated[tuple[str, ...], Field(strict=False)] = ()
    tools: Annotated[tuple[str, ...], Field(strict=False)] = ()
    dialect: str = ""
    expect: Annotated[str, Field(pattern="^(allow|deny)$")]
    rules: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    limits: dict[str, int] = {}


class CaseFile(Part):
    cases: Annotated[tuple[CasePart, ...], Field(strict=False, min_length=1, max_length=10_000)]


class CaseResult(msgspec.Struct, frozen=True):
    """`problem` None: as expected."""

    number: int
    query: Query
    expected: str
    problem: str | None


def read_cases(path: Path) -> CaseFile:
    """Raises: SettingInvalid."""
    try:
        content = path.read_bytes()
        if len(content) > MAX_FILE_BYTES:
            raise SettingInvalid(f"{path} is larger than {MAX_FILE_BYTES} bytes")
        return CaseFile.model_validate(tomllib.loads(content.decode("utf-8")))
    except OSError as exc:
        raise SettingInvalid(f"{path} cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingInvalid(f"{path} is no TOML: {exc}") from exc
    except ValidationError as exc:
        found = exc.errors(include_url=False)[0]
        place = ".".join(str(part + 1) if isinstance(part, int) else str(part) for part in found["loc"])
        raise SettingInvalid(f"{path}: {place}: {found['msg']}", hint="docs/policy.md shows a table of cases") from exc


def run_cases(policy: Policy, cases: CaseFile) -> list[CaseResult]:
    results = []
    for number, case in enumerate(cases.cases, 1):
        query = Query(
            action=case.action,
            model=case.model,
            label=case.label or policy.file.default_label,
            groups=case.groups,
            tools=case.tools,
            dialect=case.dialect,
        )
        results.append(CaseResult(number, query, case.expect, _problem(case, policy.decide(query))))
    return results


def _problem(case: CasePart, decision: Decision) -> str | None:
    if case.expect != _effect(decision):
        return f"expected {case.expect}, got {_effect(decision)}: {decision.why}"
    if case.rules is not None and case.rules != decision.rule_ids:
        return f"expected the rules {', '.join(case.rules)}, got {', '.join(decision.rule_ids) or 'none'}"
    found = all_limits(decision).named()
    for name, value in case.limits.items():
        if found.get(name) != value:
            return f"expected {name} = {value}, got {found.get(name, 'none')}"
    return None
