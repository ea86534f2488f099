"""A document as one HTML page that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from gemstead.report.blocks import Block, Cell, Document, Form, Heading, Mark, Open, Paragraph, Picture, Table
from gemstead.report.diagram import draw
from gemstead.report.plain import cell_text, clean, form_headers, open_word, source_text, table_source
from gemstead.report.words import Language

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #22272e; background: #fff; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.note { color: #4a5560; margin: .3rem 0; } .source { color: #4a5560; font-size: .85rem; }
.scroll { overflow-x: auto; } figure { margin: 1rem 0; } svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .5rem; border-bottom: 1px solid #dfe3e8;
  overflow-wrap: anywhere; } td, p { white-space: pre-line; }
th { border-bottom: 2px solid #5b6b7a; }
mark { background: #ffe9b8; color: inherit; padding: 0 .2rem; font-weight: 600; }
.yes { color: #1f6b4a; } .no { color: #a3401a; font-weight: 600; } .partly { color: #8a5a00; }
.unknown, .later { color: #4a5560; font-style: italic; }
@media print { body { max-width: none; margin: 0; font-size: 11px; } h2 { break-after: avoid; }
  tr { break-inside: avoid; } }
"""


def html(document: Document, language: Language) -> str:
    title = _text(document.title.of(language))
    notes = "\n".join(f'<p class="note">{_text(note.of(language))}</p>' for note in document.notes)
    body = "\n".join(part for block in document.blocks for part in _block(block, language))
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{notes}\n{body}\n"
        "</body>\n</html>\n"
    )


def _block(block: Block, language: Language) -> Iterator[str]:
    if isinstance(block, Heading):
        yield f"<h2>{_text(block.text.of(language))}</h2>"
    elif isinstance(block, Paragraph):
        yield f"<p>{_text(block.text.of(language))}</p>"
    elif isinstance(block, Picture):
        yield f"<figure>{draw(block.diagram, language)}</figure>"
    elif isinstance(block, Form):
        yield _table(form_headers(language), _entries(block, language), (3, 6, 4))
    elif isinstance(block, Table):
        headers = [header.of(language) for header in block.headers]
        yield _table(headers, ([_cell(cell, language) for cell in row] for row in block.rows), block.widths)
        if block.source:
            yield f'<p class="source">{_text(table_source(block.source, language))}</p>'


def _entries(form: Form, language: Language) -> Iterator[list[str]]:
    for entry in form.entries:
        source = _text(source_text(entry.source, language)) if entry.source else ""
        shown = f'<td class="source">{source}</td>'
        yield [f"<td>{_text(entry.label.of(language))}</td>", _cell(entry.content, language), shown]


def _table(headers: Iterable[str], rows: Iterable[Iterable[str]], widths: tuple[int, ...]) -> str:
    columns = "".join(f'<col style="width: {100 * width // sum(widths)}%">' for width in widths)
    heads = "".join(f'<th scope="col">{_text(header)}</th>' for header in headers)
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><colgroup>{columns}</colgroup><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _cell(cell: Cell, language: Language) -> str:
    text = _text(cell_text(cell, language))
    if isinstance(cell, Open):
        return f"<td><mark>{_text(open_word(language))}</mark> {text}</td>"
    return f'<td class="{cell.state}">{text}</td>' if isinstance(cell, Mark) else f"<td>{text}</td>"


def _text(text: str) -> str:
    return escape(clean(text))
