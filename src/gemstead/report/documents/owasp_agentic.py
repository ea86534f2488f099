"""The OWASP Top 10 for agentic applications: each risk, the controls against it, and their tests."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.report.blocks import Block, Paragraph
from gemstead.report.fill import DocumentKind, Material
from gemstead.report.parts import control_results, control_tables
from gemstead.report.words import sayer

say = sayer("owasp_agentic")


def build(material: Material) -> Iterator[Block]:
    yield Paragraph(say("note"))
    yield Paragraph(control_results(material.controls, say))
    yield from control_tables(material.controls, "agentic", say)


DOCUMENT = DocumentKind(say("title"), say("law"), build)
