"""Boxes and arrows: where data goes. Placed by hand on a grid; strokes and labels, then SVG or whatever draws lines."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from gemstead.core import svg
from gemstead.report.words import Language, Words

COLUMN_PX, ROW_PX = 285.0, 128.0
BOX_WIDTH_PX, BOX_HEIGHT_PX = 168.0, 64.0
TOP_PX, LEFT_PX = 56.0, 24.0
HEAD_PX = 8.0
LINE_PX = 17.0


class Box(msgspec.Struct, frozen=True):
    """`is_outside`: beyond this machine, drawn with a dashed frame. `lines`: three at most."""

    name: str
    column: int
    row: int
    lines: tuple[Words, ...]
    is_outside: bool = False


class Arrow(msgspec.Struct, frozen=True):
    """From box to box: level along a row, else from one row to the next. `is_used` False: not now, drawn dotted."""

    begin: str
    end: str
    label: Words
    is_used: bool = True


class Diagram(msgspec.Struct, frozen=True):
    title: Words
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]

    def size_px(self) -> tuple[float, float]:
        columns = max(box.column for box in self.boxes)
        rows = max(box.row for box in self.boxes)
        width = 2 * LEFT_PX + columns * COLUMN_PX + BOX_WIDTH_PX
        return width, TOP_PX + rows * ROW_PX + BOX_HEIGHT_PX + 20


class Stroke(msgspec.Struct, frozen=True):
    """A line through points, in a tone of `core/svg.py`. Pixels from the upper left corner."""

    points: tuple[tuple[float, float], ...]
    tone: str
    dashes: tuple[int, ...] = ()


class Label(msgspec.Struct, frozen=True):
    """One line of text on a baseline; `anchor` is "start", "middle" or "end"."""

    x: float
    y: float
    text: str
    anchor: str = "middle"


def shapes(diagram: Diagram, language: Language) -> Iterator[Stroke | Label]:
    places = {box.name: box for box in diagram.boxes}
    for box in diagram.boxes:
        yield from _box(box, language)
    for arrow in diagram.arrows:
        yield from _arrow(arrow, places[arrow.begin], places[arrow.end], language)


def draw(diagram: Diagram, language: Language) -> str:
    """A whole SVG picture."""
    return svg.picture(diagram.title.of(language), map(_drawn, shapes(diagram, language)), *diagram.size_px())


def _drawn(shape: Stroke | Label) -> str:
    if isinstance(shape, Label):
        return svg.text(shape.x, shape.y, shape.text, shape.anchor)
    dashes = " ".join(str(length) for length in shape.dashes)
    return svg.toned(shape.tone, [svg.path(shape.points, dashes=dashes, width_px=1.5)])


def _box(box: Box, language: Language) -> Iterator[Stroke | Label]:
    x, y = LEFT_PX + box.column * COLUMN_PX, TOP_PX + box.row * ROW_PX
    right, bottom = x + BOX_WIDTH_PX, y + BOX_HEIGHT_PX
    frame = ((x, y), (right, y), (right, bottom), (x, bottom), (x, y))
    yield Stroke(frame, "s4" if box.is_outside else "s0", (6, 4) if box.is_outside else ())
    first = y + BOX_HEIGHT_PX / 2 + 5 - LINE_PX / 2 * (len(box.lines) - 1)
    for place, words in enumerate(box.lines):
        yield Label(x + BOX_WIDTH_PX / 2, first + LINE_PX * place, words.of(language))


def _arrow(arrow: Arrow, begin: Box, end: Box, language: Language) -> Iterator[Stroke | Label]:
    is_level = begin.row == end.row
    step = math.copysign(1, end.column - begin.column if is_level else end.row - begin.row)
    (x1, y1), (x2, y2) = _edge(begin, is_level, step), _edge(end, is_level, -step)
    yield Stroke(((x1, y1), (x2, y2)), "s4", () if arrow.is_used else (2, 4))
    yield Stroke(_head(x1, y1, x2, y2), "s4")
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    label = arrow.label.of(language)
    if is_level:
        yield Label(middle_x, y1 - 9, label)
    elif x2 < x1:
        yield Label(middle_x - 10, middle_y - 2, label, "end")
    else:
        yield Label(middle_x + 10, middle_y - 2 if x2 > x1 else middle_y + 4, label, "start")


def _head(x1: float, y1: float, x2: float, y2: float) -> tuple[tuple[float, float], ...]:
    angle = math.atan2(y2 - y1, x2 - x1)
    left, right = (
        (x2 - HEAD_PX * math.cos(angle + turn), y2 - HEAD_PX * math.sin(angle + turn)) for turn in (0.45, -0.45)
    )
    return left, (x2, y2), right


def _edge(box: Box, is_level: bool, step: float) -> tuple[float, float]:
    """The middle of the side that looks towards `step`."""
    x = LEFT_PX + box.column * COLUMN_PX + BOX_WIDTH_PX / 2
    y = TOP_PX + box.row * ROW_PX + BOX_HEIGHT_PX / 2
    return (x + step * BOX_WIDTH_PX / 2, y) if is_level else (x, y + step * BOX_HEIGHT_PX / 2)
