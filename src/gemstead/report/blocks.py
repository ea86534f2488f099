"""What a document is made of, before it is Markdown, HTML or PDF. Each part knows where its content comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

import msgspec

from gemstead.report.diagram import Diagram
from gemstead.report.words import Words


class Source(msgspec.Struct, frozen=True):
    """Where a content was read, as a command, a file or a setting, and when (seconds since 1970)."""

    where: str
    at_s: float


class Open(msgspec.Struct, frozen=True):
    """What only a person can say, and has not said. `question` is its name in the questionnaire, if it has one."""

    ask: Words
    question: str | None = None


State: TypeAlias = Literal["yes", "no", "partly", "unknown", "later"]
"""Of a measure or control: in place, not in place, in part, cannot be seen from here, not built yet."""


class Mark(msgspec.Struct, frozen=True):
    """A state, and what there is to say about it."""

    state: State
    words: Words


Cell: TypeAlias = Words | Open | Mark


class Heading(msgspec.Struct, frozen=True, tag=True):
    text: Words


class Paragraph(msgspec.Struct, frozen=True, tag=True):
    text: Words


class Entry(msgspec.Struct, frozen=True):
    """One field of a form."""

    label: Words
    content: Cell
    source: Source | None = None


class Form(msgspec.Struct, frozen=True, tag=True):
    entries: tuple[Entry, ...]


class Table(msgspec.Struct, frozen=True, tag=True):
    """`widths` are shares of the page's width. `source` is of all rows."""

    headers: tuple[Words, ...]
    rows: tuple[tuple[Cell, ...], ...]
    widths: tuple[int, ...]
    source: Source | None = None


class Picture(msgspec.Struct, frozen=True, tag=True):
    diagram: Diagram


Block: TypeAlias = Heading | Paragraph | Form | Table | Picture


class Document(msgspec.Struct, frozen=True):
    """`notes` stand under the title: what it is made of, and how much is open."""

    name: str
    title: Words
    notes: tuple[Words, ...]
    blocks: tuple[Block, ...]

    def cells(self) -> Iterator[Cell]:
        yield from cells_of(self.blocks)


def cells_of(blocks: Iterable[Block]) -> Iterator[Cell]:
    for block in blocks:
        if isinstance(block, Form):
            yield from (entry.content for entry in block.entries)
        elif isinstance(block, Table):
            yield from (cell for row in block.rows for cell in row)


def num_open(blocks: Iterable[Block]) -> int:
    """How many places wait for a person."""
    return sum(isinstance(cell, Open) for cell in cells_of(blocks))
