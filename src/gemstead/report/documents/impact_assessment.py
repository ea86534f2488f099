"""The data protection impact assessment, as a skeleton: what the program sees, and every place a person has to fill."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.report.blocks import Block, Entry, Form, Heading, Paragraph, Source, Table
from gemstead.report.fill import DocumentKind, Material, asked, seen
from gemstead.report.measures import measures
from gemstead.report.parts import models_in_words
from gemstead.report.words import joined, same, sayer

say = sayer("impact_assessment")

AGAINST = {
    "access": (
        *("locked", "exposure", "tls", "keys", "hashes", "policy", "files", "evidence", "content", "disk", "outside"),
    ),
    "change": ("locked", "policy", "files", "evidence", "second_place", "models"),
    "loss": ("limits", "files", "backup"),
}
"""Which measures stand against each feared event, by their ids."""


def build(material: Material) -> Iterator[Block]:
    yield Paragraph(say("intro"))
    yield Form((asked(material, "assessment.need"),))
    yield Heading(say("context"))
    yield Form(tuple(_context(material)))
    yield Heading(say("principles"))
    yield Form(tuple(_principles(material)))
    yield Heading(say("risks"))
    yield Paragraph(say("risks_intro"))
    yield _events(material)
    ratings = (f"{event}_{scale}" for event in AGAINST for scale in ("severity", "likelihood"))
    yield Form(tuple(asked(material, f"assessment.{name}") for name in (*ratings, "impacts")))
    yield Heading(say("own_risks"))
    yield from (Paragraph(say(name)) for name in ("model_wrong", "model_memory", "model_injection"))
    yield Form((asked(material, "assessment.model_check"), asked(material, "use.human_review")))
    yield Heading(say("remaining"))
    missing = [control for control in material.controls.controls if control.state != "in place"]
    rows = tuple((one.sentence, same(", ".join(one.risks))) for one in missing)
    yield Table((say("control"), say("risk")), rows, (5, 2))
    yield Heading(say("decision"))
    names = ("assessment.views", "assessment.dpo_opinion", "assessment.decision")
    yield Form(tuple(asked(material, name) for name in names))


def _context(material: Material) -> Iterator[Entry]:
    facts = material.facts
    names = ("name", "purposes", "data_subjects", "data_categories", "special_categories", "recipients", "processors")
    yield from (asked(material, f"processing.{name}") for name in names)
    place = say("where_answered_is", host=facts.program.host, version=facts.program.version)
    yield seen(material, say("where_answered"), place, "gemstead ps")
    yield seen(material, say("models"), models_in_words(facts, say), "gemstead models list")
    yield seen(material, say("life"), say("life_is"), "docs/architecture.md")


def _principles(material: Material) -> Iterator[Entry]:
    is_kept = material.facts.content.is_on
    for name in ("processing.legal_basis", "assessment.necessity", "assessment.proportionality"):
        yield asked(material, name)
    minimised = say("minimisation_on" if is_kept else "minimisation_off")
    yield seen(material, say("minimisation"), minimised, "gemstead policy show")
    tools = say("rights_tools_on" if is_kept else "rights_tools_off")
    yield seen(material, say("rights_tools"), tools, "docs/content.md")
    for name in ("rights.notice", "rights.exercise", "rights.automated_decisions", "processing.transfers"):
        yield asked(material, name)


def _events(material: Material) -> Table:
    good = {one.id: one.name for one in measures(material.facts) if one.mark.state == "yes"}
    headers = (say("event"), say("threats"), say("controls_now"))
    rows = tuple(
        (
            say(event),
            say(f"{event}_threats"),
            joined([good[one] for one in ids if one in good] or [say("none")]),
        )
        for event, ids in AGAINST.items()
    )
    source = Source("gemstead report", material.facts.at_s)
    return Table(headers, rows, (3, 5, 7), source)


DOCUMENT = DocumentKind(say("title"), say("law"), build)
