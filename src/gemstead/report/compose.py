"""A whole document out of its kind and what there is to fill it with."""

from __future__ import annotations

from gemstead.core.plugins import load_plugin, plugin_names
from gemstead.report.blocks import Document, num_open
from gemstead.report.fill import DocumentKind, Material
from gemstead.report.words import moment, sayer

KINDS = "gemstead.report.documents"
SHOWN_HASH_CHARS = 12


def document_names() -> list[str]:
    """As people type them."""
    return [name.replace("_", "-") for name in plugin_names(KINDS)]


def document_kind(name: str) -> DocumentKind:
    """Raises: NameUnknown."""
    return load_plugin(KINDS, name.replace("-", "_"), "DOCUMENT", DocumentKind)


def compose(name: str, material: Material) -> Document:
    """Raises: NameUnknown."""
    kind, facts, say = document_kind(name), material.facts, sayer("common")
    blocks = tuple(kind.build(material))
    open_places = num_open(blocks)
    at, program = moment(facts.at_s), facts.program
    notes = (
        say("made", version=program.version, at=at, host=program.host, config=facts.config[:SHOWN_HASH_CHARS]),
        say("made_from", law=kind.law),
        say("made_open", number=open_places) if open_places else say("made_whole"),
        say("advice"),
    )
    return Document(name, kind.title, notes, blocks)
