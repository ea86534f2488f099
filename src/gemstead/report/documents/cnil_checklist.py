"""The advice of the French authority on deploying generative AI, and where this installation stands."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.report.blocks import Block, Cell, Paragraph, Source, Table
from gemstead.report.facts import Facts
from gemstead.report.fill import DocumentKind, Material, answer
from gemstead.report.parts import outside_in_words
from gemstead.report.words import Words, same, sayer

say = sayer("cnil_checklist")


def build(material: Material) -> Iterator[Block]:
    yield Paragraph(say("intro"))
    rows = tuple((say(advice), shown, _told(material, question)) for advice, shown, question in _rows(material.facts))
    headers = (say("advice_head"), say("shown"), say("person"))
    yield Table(headers, rows, (3, 5, 5), Source("gemstead report", material.facts.at_s))


def _told(material: Material, question: str | None) -> Cell:
    return same("-") if question is None else answer(material, question)


def _rows(facts: Facts) -> Iterator[tuple[str, Words, str | None]]:
    """The name of the advice, what is seen, and the question that a person answers."""
    policy = facts.policy
    rules = len(policy.rules)
    yield "need", say("nothing_seen"), "use.need"
    yield "uses", say("uses_policy", rules=rules) if policy.sha256 else say("uses_no_policy"), "use.allowed"
    denying = [rule.id for rule in policy.rules if rule.effect == "deny" and rule.labels]
    shown = say("forbidden_labels", rules=", ".join(denying)) if denying else say("forbidden_none")
    yield "forbidden", shown, "use.forbidden"
    yield "limits", say("limits_seen"), "use.charter"
    yield "robust", say("robust_local", host=facts.program.host), "measures.premises"
    yield "provider", say("provider_seen", list=outside_in_words(facts, say)), "processing.processors"
    evidence = say("on" if facts.evidence.is_on else "off")
    yield "access", say("access_seen", keys=facts.keys.num_active, evidence=evidence), None
    yield "training", say("nothing_seen"), "use.training"
    yield "governance", say("governance_seen", versions=policy.num_versions), "use.governance"
    yield "review", say("review_seen"), "use.human_review"
    yield "inform", say("inform_seen"), "rights.notice"
    yield "assess", say("assess_seen"), "assessment.need"


DOCUMENT = DocumentKind(say("title"), say("law"), build)
