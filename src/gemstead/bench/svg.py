"""Small charts as SVG text: lines with intervals, distributions, bars. Pure; the result needs no other file.

Colours are dark and light in turn and every series has its own mark and label, so that a chart is readable in grey.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import msgspec

_WIDTH_PX, _HEIGHT_PX = 640, 320
_LEFT_PX, _RIGHT_PX, _TOP_PX, _BOTTOM_PX = 72, 150, 52, 48
_COLOURS = ("#1f5a7a", "#d9822b", "#3f7d3a", "#8a4f9e", "#7a6a1f", "#b0413e")
_NUM_TICKS = 5


class Point(msgspec.Struct, frozen=True):
    """`low` and `high` draw an interval where both are known."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


class Series(msgspec.Struct, frozen=True):
    name: str
    points: tuple[Point, ...]


class Bar(msgspec.Struct, frozen=True):
    label: str
    value: float
    note: str = ""


def line_chart(title: str, x_label: str, y_label: str, series: Sequence[Series], *, has_marks: bool = True) -> str:
    """Lines from zero upwards, with a legend; series without points are left out."""
    drawn = [one for one in series if one.points]
    if not drawn:
        return _frame(title, [_text(_WIDTH_PX / 2, _HEIGHT_PX / 2, "nothing measured", anchor="middle")])
    points = [point for one in drawn for point in one.points]
    x_axis = _Axis(min(point.x for point in points), max(point.x for point in points), _LEFT_PX, _WIDTH_PX - _RIGHT_PX)
    highest = max(max(point.y, point.high or 0.0) for point in points)
    y_axis = _Axis(0.0, highest, _HEIGHT_PX - _BOTTOM_PX, _TOP_PX)
    parts = [*_x_ticks(x_axis, x_label), *_y_ticks(y_axis, y_label)]
    for index, one in enumerate(drawn):
        colour = _COLOURS[index % len(_COLOURS)]
        parts += _series(one, x_axis, y_axis, colour, has_marks=has_marks)
        parts.append(_legend(one.name, index, colour))
    return _frame(title, parts)


def bar_chart(title: str, unit: str, bars: Sequence[Bar]) -> str:
    """Horizontal bars from zero, each with its value."""
    highest = max((bar.value for bar in bars), default=0.0) or 1.0
    label_px, row_px = 240, 26
    room_px = _WIDTH_PX - label_px - 120
    parts = []
    for index, bar in enumerate(bars):
        top = _TOP_PX + 8 + index * row_px
        width = room_px * bar.value / highest
        parts.append(_text(label_px - 8, top + 13, bar.label, anchor="end"))
        parts.append(f'<rect x="{label_px}" y="{top}" width="{width:.1f}" height="18" fill="{_COLOURS[index % 2]}"/>')
        parts.append(_text(label_px + width + 6, top + 13, f"{bar.value:.4g} {unit} {bar.note}".rstrip()))
    return _frame(title, parts, height_px=_TOP_PX + row_px * len(bars) + 20)


def distribution(values: Sequence[float]) -> tuple[Point, ...]:
    """The share of values at or below x, in percent, with at most 200 steps."""
    ordered = sorted(values)
    step = max(1, len(ordered) // 200)
    kept = [*range(0, len(ordered), step)]
    if ordered and kept[-1] != len(ordered) - 1:
        kept.append(len(ordered) - 1)
    return tuple(Point(ordered[index], 100 * (index + 1) / len(ordered)) for index in kept)


class _Axis:
    """Values to pixels."""

    def __init__(self, low: float, high: float, first_px: float, last_px: float) -> None:
        self.low = low
        self.high = high if high > low else low + 1.0
        self._first_px = first_px
        self._last_px = last_px

    def px(self, value: float) -> float:
        return self._first_px + (value - self.low) / (self.high - self.low) * (self._last_px - self._first_px)

    def ticks(self) -> list[float]:
        step = _round_step((self.high - self.low) / _NUM_TICKS)
        first = math.ceil(self.low / step)
        return [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _round_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, at least `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def _series(one: Series, x_axis: _Axis, y_axis: _Axis, colour: str, *, has_marks: bool) -> list[str]:
    path = " ".join(f"{x_axis.px(point.x):.1f},{y_axis.px(point.y):.1f}" for point in one.points)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for point in one.points if has_marks else ():
        x = x_axis.px(point.x)
        parts.append(f'<circle cx="{x:.1f}" cy="{y_axis.px(point.y):.1f}" r="3.5" fill="{colour}"/>')
        if point.low is not None and point.high is not None:
            ends = f'y1="{y_axis.px(point.low):.1f}" y2="{y_axis.px(point.high):.1f}"'
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" {ends} stroke="{colour}"/>')
    return parts


def _x_ticks(axis: _Axis, label: str) -> list[str]:
    bottom = _HEIGHT_PX - _BOTTOM_PX
    parts = [_text(axis.px(tick), bottom + 16, f"{tick:g}", anchor="middle") for tick in axis.ticks()]
    middle = (_LEFT_PX + _WIDTH_PX - _RIGHT_PX) / 2
    return [*parts, _line(_LEFT_PX, bottom, _WIDTH_PX - _RIGHT_PX, bottom), _text(middle, bottom + 36, label, "middle")]


def _y_ticks(axis: _Axis, label: str) -> list[str]:
    parts = [_text(_LEFT_PX, _TOP_PX - 10, label)]
    for tick in axis.ticks():
        y = axis.px(tick)
        parts += [_text(_LEFT_PX - 6, y + 4, f"{tick:g}", anchor="end")]
        parts += [_line(_LEFT_PX, y, _WIDTH_PX - _RIGHT_PX, y, "#ddd")]
    return parts


def _legend(name: str, index: int, colour: str) -> str:
    x, y = _WIDTH_PX - _RIGHT_PX + 12, _TOP_PX + 14 + 20 * index
    return f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{colour}"/>' + _text(x + 16, y, name)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = "#333") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _frame(title: str, parts: Sequence[str], height_px: int = _HEIGHT_PX) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{_WIDTH_PX}" height="{height_px}"'
    return "\n".join(
        (
            f'{head} viewBox="0 0 {_WIDTH_PX} {height_px}" font-family="sans-serif" font-size="12">',
            f"<title>{escape(title)}</title>",
            '<rect width="100%" height="100%" fill="white"/>',
            f'<text x="{_LEFT_PX}" y="20" font-size="15">{escape(title)}</text>',
            *parts,
            "</svg>",
        )
    )
