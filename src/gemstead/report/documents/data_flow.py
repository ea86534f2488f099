"""Where data goes: a picture, and the same as a table."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.report.blocks import Block, Heading, Mark, Paragraph, Picture, Source, Table
from gemstead.report.diagram import Arrow, Box, Diagram
from gemstead.report.facts import Facts
from gemstead.report.fill import DocumentKind, Material
from gemstead.report.words import Words, same, sayer

say = sayer("data_flow")


def build(material: Material) -> Iterator[Block]:
    facts = material.facts
    yield Paragraph(say("intro"))
    yield Picture(_diagram(facts))
    yield Heading(say("table"))
    rows = tuple(
        (begin, end, data, protection, Mark("yes" if is_used else "no", say("used" if is_used else "unused")))
        for begin, end, data, protection, is_used in _flows(facts)
    )
    headers = (say("from"), say("to"), say("data"), say("protection"), say("state"))
    yield Table(headers, rows, (3, 3, 5, 5, 2), Source(say("where_settings").en, facts.at_s))


def _diagram(facts: Facts) -> Diagram:
    uses = {use for use, _address in facts.outside}
    boxes = (
        Box("issuer", 1, 0, (say("box_issuer"),), is_outside=True),
        Box("hub", 2, 0, (say("box_hub"),), is_outside=True),
        Box("people", 0, 1, (say("box_people"),), is_outside=not facts.door.is_loopback),
        Box("door", 1, 1, (say("box_door"), say("box_door_rules"))),
        Box("engine", 2, 1, (say("box_engine"), *(same(one.model[:24]) for one in facts.running[:1]))),
        Box("database", 0, 2, (say("box_database"),)),
        Box("evidence", 1, 2, (say("box_evidence"),)),
        Box("content", 2, 2, (say("box_content"),)),
        Box("second", 1, 3, (say("box_second"),), is_outside=True),
    )
    arrows = (
        Arrow("people", "door", say("flow_ask")),
        Arrow("door", "engine", say("flow_engine")),
        Arrow("door", "database", say("flow_spend")),
        Arrow("door", "evidence", say("flow_record"), is_used=facts.evidence.is_on),
        Arrow("door", "content", say("flow_keep"), is_used=facts.content.is_on),
        Arrow("evidence", "second", say("flow_check"), is_used="second_place" in uses),
        Arrow("issuer", "door", say("flow_keys"), is_used="issuer" in uses),
        Arrow("hub", "engine", say("flow_weights"), is_used="hub" in uses),
    )
    return Diagram(say("title"), boxes, arrows)


def _flows(facts: Facts) -> Iterator[tuple[Words, Words, Words, Words, bool]]:
    uses = {use for use, _address in facts.outside}
    door = facts.door
    tls = same("TLS") if door.has_tls else say("protection_local") if door.is_loopback else say("none")
    yield say("box_people"), say("box_door"), say("data_ask"), tls, True
    yield say("box_door"), say("box_engine"), say("data_engine"), say("protection_engine"), True
    yield say("box_door"), say("box_database"), say("data_database"), say("protection_database"), True
    yield say("box_door"), say("box_evidence"), say("data_record"), say("protection_record"), facts.evidence.is_on
    yield say("box_door"), say("box_content"), say("data_content"), say("protection_content"), facts.content.is_on
    yield (
        say("box_evidence"),
        say("box_second"),
        say("data_second"),
        say("protection_signature"),
        "second_place" in uses,
    )
    yield say("box_issuer"), say("box_door"), say("data_issuer"), same("TLS"), "issuer" in uses
    yield say("box_hub"), say("box_engine"), say("data_hub"), say("protection_digest"), "hub" in uses


DOCUMENT = DocumentKind(say("title"), say("law"), build)
