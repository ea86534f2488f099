"""What every form of a document shows in the same way: cells, sources, and only characters that can be shown."""

from __future__ import annotations

import re

from gemstead.report.blocks import Cell, Mark, Open, Source
from gemstead.report.words import Language, moment, sayer

_UNSHOWABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""Control characters, what turns the direction of text around, and what is no character. Some of what documents show
was sent by strangers: the name of a model that was refused."""

_say = sayer("common")


def clean(text: str) -> str:
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def cell_text(cell: Cell, language: Language) -> str:
    """Without the word that marks an open one: each form shows that in its own way."""
    if isinstance(cell, Open):
        question = f"({cell.question})" if cell.question else ""
        return clean(" ".join(filter(None, (cell.ask.of(language), question))))
    return clean((cell.words if isinstance(cell, Mark) else cell).of(language))


def open_word(language: Language) -> str:
    return _say("open").of(language)


def source_text(source: Source, language: Language) -> str:
    return clean(f"{source.where}, {moment(source.at_s).of(language)}")


def table_source(source: Source, language: Language) -> str:
    return clean(_say("source_of_table", where=source.where, at=moment(source.at_s)).of(language))


def form_headers(language: Language) -> tuple[str, str, str]:
    return _say("field").of(language), _say("content").of(language), _say("source").of(language)


def page_text(number: int, language: Language) -> str:
    return _say("page", number=number).of(language)
