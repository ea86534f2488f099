"""What a model must not be used for, and the controls around it; the licences that were agreed to."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.report.blocks import Block, Cell, Heading, Paragraph, Source, Table
from gemstead.report.facts import ModelFacts
from gemstead.report.fill import DocumentKind, Material
from gemstead.report.parts import control_results, control_tables
from gemstead.report.words import Words, moment, same, sayer

say = sayer("prohibited_use")


def build(material: Material) -> Iterator[Block]:
    models = material.facts.models
    yield Paragraph(say("intro"))
    yield Heading(say("acceptance"))
    if models:
        source = Source("gemstead models list", material.facts.at_s)
        headers = (say("model"), say("licence"), say("accepted"))
        yield Table(headers, tuple(_row(model) for model in models), (3, 4, 3), source)
    else:
        yield Paragraph(say("no_models"))
    yield Heading(say("controls"))
    yield Paragraph(control_results(material.controls, say))
    yield from control_tables(material.controls, "use", say)


def _row(model: ModelFacts) -> tuple[Cell, ...]:
    licence = same(" ".join(filter(None, (model.licence, model.licence_url)))) if model.licence else say("not_known")
    return same(model.name), licence, _accepted(model)


def _accepted(model: ModelFacts) -> Words:
    if model.accepted_s is None:
        return say("not_accepted")
    if model.accepted_position is None:
        return say("accepted_at", at=moment(model.accepted_s))
    return say("accepted_in_chain", at=moment(model.accepted_s), position=model.accepted_position)


DOCUMENT = DocumentKind(say("title"), say("law"), build)
