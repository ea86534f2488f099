"""How a document's fields are filled: from facts, from answers, or left open; each with its source and time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from gemstead.report.blocks import Block, Cell, Entry, Open, Source
from gemstead.report.controls import ControlBook
from gemstead.report.facts import Facts
from gemstead.report.questions import Answers
from gemstead.report.words import Words, joined, same


class Material(msgspec.Struct, frozen=True):
    """All that documents are made of."""

    facts: Facts
    answers: Answers
    controls: ControlBook


class DocumentKind(msgspec.Struct, frozen=True):
    """`law` says what asks for the document. `build` is pure: the same material gives the same blocks."""

    title: Words
    law: Words
    build: Callable[[Material], Iterable[Block]]


def seen(material: Material, label: Words, content: Cell, where: str) -> Entry:
    """What was read of the installation; `where` is the command that shows the same."""
    return Entry(label, content, Source(where, material.facts.at_s))


def asked(material: Material, name: str, label: Words | None = None) -> Entry:
    """A person's answer, or that it is open. Raises: KeyError for a question that is none."""
    found = material.answers.question(name)
    content = answer(material, name)
    if isinstance(content, Open):
        # What is asked for stands in the label already.
        return Entry(label or found.ask, Open(found.ask if label else NO_WORDS, name))
    return Entry(label or found.ask, content, Source(material.answers.where, material.answers.at_s))


def answer(material: Material, name: str) -> Words | Open:
    """The answer alone."""
    found = material.answers.question(name)
    if not found.answer:
        return Open(found.ask, name)
    if isinstance(found.answer, tuple):
        return joined((same(one) for one in found.answer), "; ")
    return RATINGS.get(found.answer, same(found.answer)) if found.choices else same(found.answer)


NO_WORDS = same("")

RATINGS = {
    "negligible": Words("negligible", "négligeable"),
    "limited": Words("limited", "limitée"),
    "significant": Words("significant", "importante"),
    "maximum": Words("maximum", "maximale"),
    "provider": Words("provider", "fournisseur"),
    "deployer": Words("deployer", "déployeur"),
    "both": Words("provider and deployer", "fournisseur et déployeur"),
}
"""How the questionnaire's choices are printed."""
