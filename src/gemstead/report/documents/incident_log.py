"""What went wrong or was refused, as the installation noticed it, and what people decided about it."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.report.blocks import Block, Cell, Form, Heading, Open, Paragraph, Source, Table
from gemstead.report.facts import Incident
from gemstead.report.fill import DocumentKind, Material, asked
from gemstead.report.questions import IncidentNote
from gemstead.report.words import moment, number, same, sayer

say = sayer("incident_log")

MAX_SHOWN = 300


def build(material: Material) -> Iterator[Block]:
    facts = material.facts
    yield Paragraph(say("intro"))
    if not (facts.evidence.is_on or facts.evidence.is_there):
        yield Paragraph(say("evidence_off"))
    yield Heading(say("seen"))
    shown = sorted(facts.incidents, key=lambda one: one.at_s, reverse=True)
    if shown:
        headers = (say("at"), say("kind"), say("number"), say("detail"))
        rows = tuple(_row(one) for one in shown[:MAX_SHOWN])
        yield Table(headers, rows, (3, 4, 1, 6), Source("gemstead keys failures; gemstead evidence list", facts.at_s))
        if len(shown) > MAX_SHOWN:
            yield Paragraph(say("more", number=len(shown) - MAX_SHOWN))
    else:
        yield Paragraph(say("nothing"))
    yield Heading(say("told"))
    yield from _told(material)
    yield Heading(say("duties"))
    yield Form((asked(material, "measures.incidents"),))


def _row(one: Incident) -> tuple[Cell, ...]:
    return moment(one.at_s), say(f"kind_{one.kind}"), number(one.number), same(one.detail)


def _told(material: Material) -> Iterator[Block]:
    notes = material.answers.questionnaire.incidents
    if not notes:
        yield Paragraph(say("none_told"))
        return
    headers = (say("at"), say("kind"), say("assessment"), say("notified"))
    rows = tuple(_told_row(note) for note in notes)
    source = Source(material.answers.where, material.answers.at_s)
    yield Table(headers, rows, (2, 4, 4, 4), source)


def _told_row(note: IncidentNote) -> tuple[Cell, ...]:
    assessment = same(note.assessment) if note.assessment else Open(say("ask_assessment"))
    notified = same(note.notified) if note.notified else Open(say("ask_notified"))
    return same(note.on), same(note.what), assessment, notified


DOCUMENT = DocumentKind(say("title"), say("law"), build)
