"""The record of processing activities: what the law lists, in its order."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.report.blocks import Block, Entry, Form, Heading, Paragraph
from gemstead.report.fill import DocumentKind, Material, asked, seen
from gemstead.report.measures import measures
from gemstead.report.parts import models_in_words, outside_in_words, program_in_words
from gemstead.report.periods import periods
from gemstead.report.words import Words, joined, same, sayer

say = sayer("processing_record")


def build(material: Material) -> Iterator[Block]:
    yield Heading(say("who"))
    names = ("name", "contact", "joint", "representative", "dpo")
    yield _asked(material, *(f"controller.{name}" for name in names))
    yield Heading(say("what"))
    yield _asked(material, "processing.name", "processing.purposes", "processing.legal_basis")
    yield Heading(say("subjects"))
    told = _asked(material, "processing.data_subjects", "processing.data_categories", "processing.special_categories")
    own = [seen(material, say("own_data"), words, where) for words, where in _own_data(material)]
    yield Form((*told.entries, *own))
    yield Heading(say("recipients"))
    local = seen(material, say("local"), say("local_is", host=material.facts.program.host), "gemstead ps")
    outside = seen(material, say("outside"), outside_in_words(material.facts, say), say("where_settings").en)
    yield Form((local, outside, *_asked(material, "processing.recipients", "processing.processors").entries))
    yield Heading(say("transfers"))
    yield _asked(material, "processing.transfers")
    yield Heading(say("periods"))
    yield periods(material.facts)
    yield _asked(material, "processing.retention_reason")
    yield Heading(say("security"))
    known = measures(material.facts)
    good = sum(one.mark.state == "yes" for one in known)
    yield Paragraph(say("security_is", good=good, total=len(known)))
    yield Heading(say("system"))
    yield Form(tuple(_system(material)))


def _asked(material: Material, *names: str) -> Form:
    return Form(tuple(asked(material, name) for name in names))


def _own_data(material: Material) -> Iterator[tuple[Words, str]]:
    facts = material.facts
    keys = facts.keys
    yield say("own_keys", number=keys.num_active + keys.num_expired + keys.num_revoked), "gemstead keys list --all"
    yield say("own_failures"), "gemstead keys failures"
    on = facts.evidence.is_on or facts.evidence.is_there
    evidence = say("own_evidence", number=facts.evidence.num_records) if on else say("own_evidence_off")
    yield evidence, "gemstead evidence verify"
    labels = joined(same(label) for label, _days in facts.content.days_by_label)
    yield say("own_content", labels=labels) if facts.content.is_on else say("own_no_content"), "policy.toml"
    if facts.door.keeps_responses:
        yield say("own_responses", hours=int(facts.door.max_idle_s // 3600)), "responses.max_idle_s"


def _system(material: Material) -> Iterator[Entry]:
    yield seen(material, say("program"), program_in_words(material.facts, say), "gemstead --version")
    yield seen(material, say("models"), models_in_words(material.facts, say), "gemstead models list")


DOCUMENT = DocumentKind(say("title"), say("law"), build)
