"""Charts of measurements as SVG: lines with intervals, distributions, bars. Pure.

Every series has a mark and a broken line of its own, and every bar its value in words: nothing depends on the colours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from gemstead.core import svg
from gemstead.core.units import format_number

_WIDTH_PX, _PLOT_PX = 520, 230
"""Width of a chart, and height of the part with the lines."""
_LEFT_PX, _RIGHT_PX, _TOP_PX, _AXIS_PX, _LEGEND_PX = 62, 18, 68, 50, 20
_BAR_PX, _GROUP_PX = 17, 24
"""Height of a bar and of a group's label."""
_CHAR_PX = 7.5
"""Width of a character, generously: nothing here measures text."""
_NUM_TICKS, _MAX_TICKS = 5, 9
_WIDE, _WIDEST = 8.0, 1e4
"""From the first ratio between the largest and the smallest x on, the axis is logarithmic; it ends at the second."""
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 2")
_MAX_LABEL_CHARS, _MAX_VALUE_CHARS = 54, 40


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
    """`place` chooses the tone; `low` and `high` draw the error bar where both are known."""

    name: str
    value: float
    place: int = 0
    low: float | None = None
    high: float | None = None


class Group(msgspec.Struct, frozen=True):
    """Bars that belong together, under one label."""

    label: str
    bars: tuple[Bar, ...]


def line_chart(title: str, x_label: str, y_label: str, series: Sequence[Series], *, has_marks: bool = True) -> str:
    """Lines from zero upwards, with a legend below; series without points are left out."""
    drawn = [one for one in series if one.points]
    if not drawn:
        return svg.picture(title, [svg.text(_WIDTH_PX / 2, 100, "nothing measured", "middle")], _WIDTH_PX, 160)
    points = [point for one in drawn for point in one.points]
    bottom = _TOP_PX + _PLOT_PX
    x_axis = _x_axis([point.x for point in points])
    y_axis = _Axis(0.0, max(max(point.y, point.high or 0.0) for point in points), bottom, _TOP_PX)
    parts = [*_y_ticks(y_axis, y_label), *_x_ticks(x_axis, x_label, bottom)]
    for place, one in enumerate(drawn):
        legend_y = bottom + _AXIS_PX + _LEGEND_PX * (place + 1) - 4
        shapes = [*_series(one, place, x_axis, y_axis, has_marks=has_marks), *_legend(place, legend_y)]
        parts += [svg.toned(svg.series_tone(place), shapes), svg.text(_LEFT_PX + 44, legend_y, _cut(one.name))]
    return svg.picture(title, parts, _WIDTH_PX, bottom + _AXIS_PX + _LEGEND_PX * len(drawn) + 10)


def bar_chart(title: str, unit: str, groups: Sequence[Group]) -> str:
    """Horizontal bars from zero in labelled groups, each bar with its value."""
    bars = [bar for group in groups for bar in group.bars]
    highest = max((max(bar.value, bar.high or 0.0) for bar in bars), default=0.0) or 1.0
    room_px = _CHAR_PX * max((len(_value(bar, unit)) for bar in bars), default=0)
    per_unit = (_WIDTH_PX - 24 - room_px) / highest
    parts, top = [], 44.0
    for group in groups:
        parts.append(svg.text(12, top + 15, _cut(group.label)))
        top += _GROUP_PX
        for bar in group.bars:
            parts += _bar(bar, top, per_unit, unit)
            top += _BAR_PX
        top += 4
    return svg.picture(title, parts, _WIDTH_PX, top + 10)


def distribution(values: Sequence[float]) -> tuple[Point, ...]:
    """The share of values at or below x, in percent, with at most 200 steps."""
    ordered = sorted(values)
    step = max(1, len(ordered) // 200)
    kept = [*range(0, len(ordered), step)]
    if ordered and kept[-1] != len(ordered) - 1:
        kept.append(len(ordered) - 1)
    return tuple(Point(ordered[index], 100 * (index + 1) / len(ordered)) for index in kept)


class _Axis:
    """Values to pixels. `scale` is what the values are put through first: nothing, or a logarithm."""

    def __init__(
        self, low: float, high: float, first_px: float, last_px: float, scale: Callable[[float], float] = float
    ) -> None:
        self.low = low
        self.high = high if high > low else low + 1.0
        self._first_px, self._last_px, self._scale = first_px, last_px, scale

    def px(self, value: float) -> float:
        low, high = self._scale(self.low), self._scale(self.high)
        return self._first_px + (self._scale(max(value, self.low)) - low) / (high - low) * (
            self._last_px - self._first_px
        )

    def ticks(self) -> list[float]:
        if self._scale is math.log10:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            found = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
            inside = [tick for tick in found if self.low * 0.999 <= tick <= self.high * 1.001]
            return inside[:: -(-len(inside) // _MAX_TICKS)] if inside else []
        step = _round_step((self.high - self.low) / _NUM_TICKS)
        first = math.ceil(self.low / step)
        return [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _x_axis(values: Sequence[float]) -> _Axis:
    """Logarithmic where the values span much: prompts double from point to point, and gaps have a long tail.

    What is far below the rest (two tokens that came at once) stands at the left edge then.
    """
    low, high = min(values), max(values)
    first_px, last_px = _LEFT_PX + 8, _WIDTH_PX - _RIGHT_PX - 8
    if high < _WIDE * low or high <= 0:
        return _Axis(low, high, first_px, last_px)
    lowest = min(value for value in values if value > 0)
    return _Axis(max(lowest, high / _WIDEST), high, first_px, last_px, math.log10)


def _round_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, at least `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def _series(one: Series, place: int, x_axis: _Axis, y_axis: _Axis, *, has_marks: bool) -> list[str]:
    places = [(x_axis.px(point.x), y_axis.px(point.y)) for point in one.points]
    parts = [svg.path(places, dashes=_DASHES[place % svg.NUM_SERIES])]
    for point, (x, y) in zip(one.points, places, strict=True) if has_marks else ():
        parts.append(svg.mark(x, y, place))
        if point.low is not None and point.high is not None:
            parts.append(svg.line(x, y_axis.px(point.low), x, y_axis.px(point.high), width_px=1.5))
    return parts


def _legend(place: int, y: float) -> list[str]:
    dashes = _DASHES[place % svg.NUM_SERIES]
    return [svg.path([(_LEFT_PX, y - 4), (_LEFT_PX + 36, y - 4)], dashes=dashes), svg.mark(_LEFT_PX + 18, y - 4, place)]


def _x_ticks(axis: _Axis, label: str, bottom: float) -> list[str]:
    parts = [svg.line(_LEFT_PX, bottom, _WIDTH_PX - _RIGHT_PX, bottom)]
    for tick in axis.ticks():
        x = axis.px(tick)
        parts += [svg.line(x, bottom, x, bottom + 4), svg.text(x, bottom + 18, format_number(tick), "middle")]
    return [*parts, svg.text((_LEFT_PX + _WIDTH_PX - _RIGHT_PX) / 2, bottom + 38, label, "middle")]


def _y_ticks(axis: _Axis, label: str) -> list[str]:
    places = [(axis.px(tick), format_number(tick)) for tick in axis.ticks()]
    grid = svg.toned("faint", [svg.line(_LEFT_PX, y, _WIDTH_PX - _RIGHT_PX, y) for y, _ in places])
    return [svg.text(12, 52, label), grid, *(svg.text(_LEFT_PX - 8, y + 4, words, "end") for y, words in places)]


def _bar(bar: Bar, top: float, per_unit: float, unit: str) -> list[str]:
    end, middle = 12 + per_unit * bar.value, top + (_BAR_PX - 3) / 2
    parts = [svg.toned(svg.series_tone(bar.place), [svg.rect(12, top, end - 12, _BAR_PX - 3)])]
    if bar.low is not None and bar.high is not None:
        low, high = 12 + per_unit * bar.low, 12 + per_unit * bar.high
        caps = (svg.line(place, top + 2, place, top + _BAR_PX - 5) for place in (low, high))
        parts += [svg.line(low, middle, high, middle), *caps]
        end = max(end, high)
    return [*parts, svg.text(end + 8, top + 12, _value(bar, unit))]


def _value(bar: Bar, unit: str) -> str:
    return _cut(f"{format_number(bar.value)} {unit} {bar.name}".rstrip(), _MAX_VALUE_CHARS)


def _cut(words: str, max_chars: int = _MAX_LABEL_CHARS) -> str:
    """What fits into the width of a chart."""
    return words if len(words) <= max_chars else f"{words[: max_chars - 1]}\u2026"
