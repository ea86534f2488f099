"""What is kept, where, for how long, and how it goes: one table for several documents."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.report.blocks import Cell, Source, Table
from gemstead.report.facts import Facts
from gemstead.report.words import Words, joined, same, sayer

say = sayer("retention")


def periods(facts: Facts) -> Table:
    rows = (
        _content(facts),
        _responses(facts),
        _evidence(facts),
        *_pseudonyms(facts),
        (say("keys"), same("gemstead.db"), say("keys_period"), say("removal_keys")),
        (say("failures"), same("gemstead.db"), say("failures_period"), say("removal_self")),
        (say("limits"), same("gemstead.db"), say("limits_period"), say("removal_self")),
        (say("policies"), same("gemstead.db"), say("policies_period"), say("removal_never")),
        (say("logs"), same("<state>/logs"), say("logs_period"), say("removal_logs")),
    )
    headers = (say("data"), say("place"), say("period"), say("removal"))
    return Table(headers, rows, (3, 2, 3, 4), Source(say("where_settings").en, facts.at_s))


def _pseudonyms(facts: Facts) -> Iterator[tuple[Cell, ...]]:
    days = facts.evidence.keep_days
    if days is not None and (facts.evidence.is_on or facts.evidence.is_there):
        period = say("evidence_days", days=days)
        yield say("pseudonyms"), same("secrets/pseudonyms"), period, say("removal_pseudonyms")


def _content(facts: Facts) -> tuple[Cell, ...]:
    content = facts.content
    if not content.is_on:
        return say("prompts"), same("-"), say("not_kept"), say("removal_none")
    periods: list[Words] = [say("days_for", label=label, days=days) for label, days in content.days_by_label]
    return say("prompts"), same("content.db"), joined(periods, "; "), say("removal_content")


def _responses(facts: Facts) -> tuple[Cell, ...]:
    door = facts.door
    if not door.keeps_responses:
        return say("responses"), same("-"), say("off"), say("removal_none")
    hours = say("hours", hours=int(door.max_idle_s // 3600))
    return say("responses"), say("memory"), hours, say("removal_memory")


def _evidence(facts: Facts) -> tuple[Cell, ...]:
    evidence = facts.evidence
    if not (evidence.is_on or evidence.is_there):
        return say("evidence"), same("-"), say("evidence_off"), say("removal_none")
    days = evidence.keep_days
    period = say("no_end") if days is None else say("evidence_days", days=days)
    return say("evidence"), same("evidence.db"), period, say("removal_evidence")
