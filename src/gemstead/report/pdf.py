"""A document as PDF, A4, with its fonts inside: the same facts give the same bytes.

By ReportLab (BSD), which carries Bitstream Vera: letters of western Europe. A character that the font lacks is shown by
its number, [U+0416]: nothing is left out without a word.
"""

from __future__ import annotations

import io
from functools import cache, partial
from html import escape
from typing import TYPE_CHECKING, Any

from gemstead.core import svg
from gemstead.report.blocks import Block, Cell, Document, Form, Heading, Mark, Open, Paragraph, Picture, Table
from gemstead.report.diagram import Diagram, Label, shapes
from gemstead.report.plain import cell_text, clean, form_headers, open_word, page_text, source_text, table_source
from gemstead.report.words import Language

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FONT, BOLD = "Vera", "VeraBd"
MARGIN_PT = 48.0
PAGE_WIDTH_PT = 595.28
FRAME_PT = 6.0
"""Between the frame of a page and what is in it."""
WIDTH_PT = PAGE_WIDTH_PT - 2 * (MARGIN_PT + FRAME_PT)
HEADING_ROOM_PT = 90.0
"""A heading with less below it goes to the next page."""
STATE_TONES = {"yes": "#1f6b4a", "no": "#a3401a", "partly": "#8a5a00", "unknown": "#4a5560", "later": "#4a5560"}


def pdf(document: Document, language: Language) -> bytes:
    """Some 0.1 s a page. Rows stay whole, unless one is taller than a page."""
    from reportlab.platypus.doctemplate import LayoutError

    _register_fonts()
    try:
        return _laid_out(document, language, splits_rows=False)
    except LayoutError:
        return _laid_out(document, language, splits_rows=True)


def _laid_out(document: Document, language: Language, *, splits_rows: bool) -> bytes:
    from reportlab.lib.pagesizes import A4
    from reportlab.platypus import SimpleDocTemplate

    written = io.BytesIO()
    title = clean(document.title.of(language))
    template = SimpleDocTemplate(
        written,
        pagesize=A4,
        leftMargin=MARGIN_PT,
        rightMargin=MARGIN_PT,
        topMargin=MARGIN_PT,
        bottomMargin=MARGIN_PT,
        title=title,
        author="gemstead",
        lang=language,
        invariant=1,
    )
    story = [_paragraph(title, "title")]
    story += [_paragraph(note.of(language), "note") for note in document.notes]
    story += [part for block in document.blocks for part in _block(block, language, splits_rows)]
    footer = partial(_footer, title=title, language=language)
    template.build(story, onFirstPage=footer, onLaterPages=footer)
    return written.getvalue()


def _block(block: Block, language: Language, splits_rows: bool) -> Iterator[Any]:
    from reportlab.platypus import CondPageBreak

    if isinstance(block, Heading):
        yield CondPageBreak(HEADING_ROOM_PT)
        yield _paragraph(block.text.of(language), "heading")
    elif isinstance(block, Paragraph):
        yield _paragraph(block.text.of(language), "text")
    elif isinstance(block, Picture):
        yield _drawing(block.diagram, language)
    elif isinstance(block, Form):
        yield _table(form_headers(language), _entries(block, language), (3, 6, 4), splits_rows)
    elif isinstance(block, Table):
        rows = ([_cell(cell, language) for cell in row] for row in block.rows)
        yield _table([header.of(language) for header in block.headers], rows, block.widths, splits_rows)
        if block.source:
            yield _paragraph(table_source(block.source, language), "note")


def _entries(form: Form, language: Language) -> Iterator[list[Any]]:
    for entry in form.entries:
        source = source_text(entry.source, language) if entry.source else ""
        label = _paragraph(entry.label.of(language), "cell")
        yield [label, _cell(entry.content, language), _paragraph(source, "small")]


def _table(headers: Iterable[str], rows: Iterable[list[Any]], widths: tuple[int, ...], splits_rows: bool) -> Any:
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import LongTable, TableStyle

    style = TableStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, 0), 1, HexColor(svg.TONES["s4"])),
            ("LINEBELOW", (0, 1), (-1, -1), 0.4, HexColor(svg.TONES["faint"])),
            ("LEFTPADDING", (0, 0), (-1, -1), 2),
            ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ]
    )
    heads = [_paragraph(header, "head") for header in headers]
    shares = [WIDTH_PT * width / sum(widths) for width in widths]
    return LongTable(
        [heads, *rows],
        colWidths=shares,
        style=style,
        repeatRows=1,
        splitInRow=int(splits_rows),
        spaceBefore=4,
        spaceAfter=6,
    )


def _cell(cell: Cell, language: Language) -> Any:
    text = _marked(cell_text(cell, language))
    if isinstance(cell, Open):
        word = f'<font name="{BOLD}" backColor="#ffe9b8">{_marked(open_word(language))}</font>'
        return _raw_paragraph(f"{word} {text}", "cell")
    if isinstance(cell, Mark):
        return _raw_paragraph(f'<font color="{STATE_TONES[cell.state]}">{text}</font>', "cell")
    return _raw_paragraph(text, "cell")


def _paragraph(text: str, style: str) -> Any:
    return _raw_paragraph(_marked(text), style)


def _raw_paragraph(markup: str, style: str) -> Any:
    from reportlab.platypus import Paragraph as Flowing

    return Flowing(markup, _styles()[style])


def _marked(text: str) -> str:
    """As ReportLab's markup, which is read as XML."""
    return escape(_in_font(clean(text)), quote=False).replace("\n", "<br/>")


def _in_font(text: str) -> str:
    known = _known_characters()
    return "".join(char if char in "\n\t" or ord(char) in known else f"[U+{ord(char):04X}]" for char in text)


@cache
def _known_characters() -> frozenset[int]:
    from reportlab.pdfbase import pdfmetrics

    _register_fonts()
    return frozenset(pdfmetrics.getFont(FONT).face.charToGlyph) & frozenset(pdfmetrics.getFont(BOLD).face.charToGlyph)


@cache
def _register_fonts() -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    for name in (FONT, BOLD):
        pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))


@cache
def _styles() -> dict[str, Any]:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.styles import ParagraphStyle

    ink, grey = HexColor(svg.TONES["ink"]), HexColor("#4a5560")

    def style(name: str, font: str, size: float, before: float, after: float, colour: Any = ink) -> Any:
        return ParagraphStyle(
            name,
            fontName=font,
            fontSize=size,
            leading=size * 1.3,
            spaceBefore=before,
            spaceAfter=after,
            textColor=colour,
        )

    return {
        "title": style("title", BOLD, 16, 0, 8),
        "heading": style("heading", BOLD, 11, 12, 4),
        "text": style("text", FONT, 8.5, 2, 4),
        "note": style("note", FONT, 7.5, 1, 2, grey),
        "head": style("head", BOLD, 7.5, 0, 0),
        "cell": style("cell", FONT, 7.5, 0, 0),
        "small": style("small", FONT, 6.5, 0, 0, grey),
    }


def _footer(canvas: Any, _template: Any, *, title: str, language: Language) -> None:
    canvas.saveState()
    canvas.setFont(FONT, 7)
    canvas.drawString(MARGIN_PT + FRAME_PT, 28, _in_font(title))
    canvas.drawRightString(PAGE_WIDTH_PT - MARGIN_PT - FRAME_PT, 28, page_text(canvas.getPageNumber(), language))
    canvas.restoreState()


def _drawing(diagram: Diagram, language: Language) -> Any:
    """The diagram's own strokes and labels, so that its words are text in the file."""
    from reportlab.graphics.shapes import Drawing, Group, PolyLine, String
    from reportlab.lib.colors import HexColor

    width_px, height_px = diagram.size_px()
    scale = WIDTH_PT / width_px
    group = Group(transform=(scale, 0, 0, -scale, 0, height_px * scale))
    for shape in shapes(diagram, language):
        if isinstance(shape, Label):
            # The group is upside down, as SVG is; text has to be turned back.
            turned = Group(transform=(1, 0, 0, -1, shape.x, shape.y))
            text = String(0, 0, _in_font(clean(shape.text)), fontName=FONT, fontSize=12, textAnchor=shape.anchor)
            turned.add(text)
            group.add(turned)
        else:
            points = [number for point in shape.points for number in point]
            tone = HexColor(svg.TONES[shape.tone])
            dashes = list(shape.dashes) or None
            group.add(PolyLine(points, strokeColor=tone, strokeWidth=1.5, strokeDashArray=dashes))
    return Drawing(WIDTH_PT, height_px * scale, group)
