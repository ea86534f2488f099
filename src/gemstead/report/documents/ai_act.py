"""What the installation supports of the AI Act's duties. It never says that one is met: a program cannot know."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.report.blocks import Block, Form, Heading, Paragraph, Source, Table
from gemstead.report.facts import Facts
from gemstead.report.fill import DocumentKind, Material, answer, seen
from gemstead.report.parts import models_in_words, program_in_words
from gemstead.report.words import Words, sayer

say = sayer("ai_act")


def build(material: Material) -> Iterator[Block]:
    facts = material.facts
    yield Paragraph(say("intro"))
    yield Paragraph(say("dates"))
    rows = tuple((say(duty), shown, answer(material, question)) for duty, shown, question in _rows(facts))
    headers = (say("duty"), say("supports"), say("person"))
    yield Table(headers, rows, (3, 5, 4), Source("gemstead report", facts.at_s))
    yield Heading(say("models"))
    yield Form(
        (
            seen(material, say("models"), models_in_words(facts, say), "gemstead models list"),
            seen(material, say("program"), program_in_words(facts, say), "gemstead --version"),
        )
    )


def _rows(facts: Facts) -> Iterator[tuple[str, Words, str]]:
    """The duty, what is supported, and the question that a person answers."""
    evidence = facts.evidence
    literacy = say("literacy_seen", records=evidence.num_records) if evidence.is_on else say("literacy_off")
    yield "role", say("role_seen"), "use.role"
    yield "literacy", literacy, "use.training"
    yield "screening", say("screening_seen"), "use.classification"
    yield "talking", say("talking_seen"), "use.disclosure"
    yield "marking", say("marking_on" if evidence.is_on else "marking_off"), "use.marking"
    yield "label", say("label_seen"), "use.marking"
    is_kept = evidence.is_on and evidence.keep_days is not None
    yield "logs", say("logs_on", days=evidence.keep_days) if is_kept else say("logs_off"), "use.classification"
    yield "oversight", say("oversight_seen"), "use.human_review"


DOCUMENT = DocumentKind(say("title"), say("law"), build)
