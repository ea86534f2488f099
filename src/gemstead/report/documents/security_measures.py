"""The security measures, each with the state it has now."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.report.blocks import Block, Form, Heading, Mark, Paragraph, Source, Table
from gemstead.report.facts import Facts
from gemstead.report.fill import DocumentKind, Material, asked, seen
from gemstead.report.measures import measures
from gemstead.report.parts import control_results, program_in_words
from gemstead.report.words import Words, joined, moment, same, sayer

say = sayer("security_measures")


def build(material: Material) -> Iterator[Block]:
    yield Paragraph(say("intro"))
    yield Heading(say("seen_part"))
    at_s = material.facts.at_s
    rows = tuple(
        (one.name, Mark(one.mark.state, say(one.mark.state)), one.mark.words, same(one.where))
        for one in measures(material.facts)
    )
    headers = (say("measure"), say("state"), say("detail"), say("where"))
    yield Table(headers, rows, (5, 3, 8, 5), Source("gemstead report", at_s))
    program = seen(material, say("program"), program_in_words(material.facts, say), "gemstead --version")
    yield Form((program, seen(material, say("running"), _running(material.facts), "gemstead ps")))
    yield Heading(say("told_part"))
    names = ("premises", "disk_encryption", "backups", "patching", "staff", "incidents")
    yield Form(tuple(asked(material, f"measures.{name}") for name in names))
    yield Heading(say("tests_part"))
    yield Paragraph(control_results(material.controls, say))
    yield Heading(say("settings"))
    yield from _settings(material.facts)


def _running(facts: Facts) -> Words:
    if not facts.running:
        return say("running_none")
    servers = (
        say("running_one", model=one.model, engine=one.engine, url=one.url, at=moment(one.started_s))
        for one in facts.running
    )
    return joined(servers, "; ")


def _settings(facts: Facts) -> Iterator[Block]:
    if not facts.settings:
        yield Paragraph(say("settings_none"))
        return
    rows = tuple((same(one.name), same(one.value), same(one.origin)) for one in facts.settings)
    source = Source(say("where_settings").en, facts.at_s)
    yield Table((say("setting"), say("value"), say("origin")), rows, (3, 4, 3), source)


DOCUMENT = DocumentKind(say("title"), say("law"), build)
