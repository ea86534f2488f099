"""How long what is kept."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.report.blocks import Block, Form, Heading, Paragraph
from gemstead.report.fill import DocumentKind, Material, asked
from gemstead.report.periods import periods
from gemstead.report.words import sayer

say = sayer("retention")


def build(material: Material) -> Iterator[Block]:
    yield Paragraph(say("intro"))
    yield periods(material.facts)
    yield Heading(say("reasons"))
    yield Form((asked(material, "processing.retention_reason"),))


DOCUMENT = DocumentKind(say("title"), say("law"), build)
