"""A document as Markdown (GitHub's, for its tables)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gemstead.report.blocks import Block, Cell, Document, Form, Heading, Open, Paragraph, Picture, Table
from gemstead.report.plain import cell_text, clean, form_headers, open_word, source_text, table_source
from gemstead.report.words import Language

_SPECIAL = re.compile(r"([\\`*\[\]<>|#~])")


def markdown(document: Document, language: Language, picture_name: str) -> str:
    """`picture_name` is the file beside it that its picture is in."""
    parts = [f"# {_escaped(document.title.of(language))}"]
    parts += [_escaped(note.of(language)) for note in document.notes]
    parts += [part for block in document.blocks for part in _block(block, language, picture_name)]
    return "\n\n".join(parts) + "\n"


def _block(block: Block, language: Language, picture_name: str) -> Iterator[str]:
    if isinstance(block, Heading):
        yield f"## {_escaped(block.text.of(language))}"
    elif isinstance(block, Paragraph):
        yield _escaped(block.text.of(language))
    elif isinstance(block, Picture):
        yield f"![{_escaped(block.diagram.title.of(language))}]({picture_name})"
    elif isinstance(block, Form):
        yield _table(form_headers(language), (_entry_cells(block, language)))
    elif isinstance(block, Table):
        headers = tuple(header.of(language) for header in block.headers)
        yield _table(headers, ([_cell(cell, language) for cell in row] for row in block.rows))
        if block.source:
            yield f"*{_escaped(table_source(block.source, language))}*"


def _entry_cells(form: Form, language: Language) -> Iterator[list[str]]:
    for entry in form.entries:
        source = _escaped(source_text(entry.source, language)) if entry.source else ""
        yield [_escaped(entry.label.of(language)), _cell(entry.content, language), source]


def _table(headers: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = [_escaped(header) for header in headers]
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(cell: Cell, language: Language) -> str:
    text = _escaped(cell_text(cell, language))
    return f"**{open_word(language)}** {text}" if isinstance(cell, Open) else text


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", clean(text)).replace("\n", "<br>")
