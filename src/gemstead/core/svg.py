"""What every picture here is made of: shapes, text and their tones, as SVG. Pure.

A picture is whole by itself and needs no other file. It has the tones of paper; a page that shows it in the dark gives
other values of `color` to the classes `ink`, `faint`, `good`, `bad` and `s0` to `s5`, and another `fill` to `paper`.

Source: W3C, Scalable Vector Graphics 1.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

PAPER = "#ffffff"
TONES = {
    "ink": "#22272e",
    "faint": "#dfe3e8",
    "good": "#2f7d5b",
    "bad": "#c4622d",
    "s0": "#0b6aa2",
    "s1": "#d98200",
    "s2": "#12805c",
    "s3": "#b2508f",
    "s4": "#5b6b7a",
    "s5": "#a63d2f",
}
"""`good` and `bad`, like neighbours among the series, differ in lightness too: for print, and for the colour-blind."""

NUM_SERIES = 6
TITLE_PX = 28.0
"""Baseline of the title, below the upper edge."""


def picture(title: str, parts: Iterable[str], width_px: float, height_px: float) -> str:
    """A whole picture with its title on top; the rest of it begins some 40 pixels below the upper edge."""
    size = f'width="{_px(width_px)}" height="{_px(height_px)}" viewBox="0 0 {_px(width_px)} {_px(height_px)}"'
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size} font-family="sans-serif" font-size="13">',
            f"<title>{escape(title)}</title>",
            f'<rect class="paper" width="100%" height="100%" fill="{PAPER}"/>',
            toned("ink", [_title(title), *parts]),
            "</svg>\n",
        )
    )


def _title(title: str) -> str:
    return f'<text x="12" y="{_px(TITLE_PX)}" font-size="16" fill="currentColor">{escape(title)}</text>'


def toned(tone: str, parts: Iterable[str]) -> str:
    """Shapes in one of `TONES`: they and their text take its colour unless they are in a tone of their own."""
    return f'<g class="{tone}" color="{TONES[tone]}">{"".join(parts)}</g>'


def series_tone(place: int) -> str:
    """The tone of the series at `place`; after six they begin again."""
    return f"s{place % NUM_SERIES}"


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    """One line of text on the baseline `y`; `anchor` is "start", "middle" or "end"."""
    return f'<text x="{_px(x)}" y="{_px(y)}" text-anchor="{anchor}" fill="currentColor">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, *, dashes: str = "", width_px: float = 1) -> str:
    """`dashes`: lengths of strokes and gaps; none is a solid line."""
    ends = f'x1="{_px(x1)}" y1="{_px(y1)}" x2="{_px(x2)}" y2="{_px(y2)}"'
    return f"<line {ends} {_stroke(dashes, width_px)}/>"


def path(points: Iterable[tuple[float, float]], *, dashes: str = "", width_px: float = 2) -> str:
    """A line through all the points."""
    places = " ".join(f"{_px(x)},{_px(y)}" for x, y in points)
    return f'<polyline points="{places}" fill="none" stroke-linejoin="round" {_stroke(dashes, width_px)}/>'


def rect(x: float, y: float, width_px: float, height_px: float, hint: str = "", *, opacity: float = 1) -> str:
    """A filled rectangle; `hint` is shown when a pointer rests on it."""
    size = f'x="{_px(x)}" y="{_px(y)}" width="{_px(width_px)}" height="{_px(height_px)}"'
    thin = "" if opacity == 1 else f' fill-opacity="{opacity:g}"'
    inside = f"><title>{escape(hint)}</title></rect>" if hint else "/>"
    return f'<rect {size} fill="currentColor"{thin}{inside}'


_MARKS = (
    "M-4,0 a4,4 0 1,0 8,0 a4,4 0 1,0 -8,0 Z",
    "M-3.6,-3.6 h7.2 v7.2 h-7.2 Z",
    "M0,-4.6 L4.4,3.4 H-4.4 Z",
    "M0,-5 L5,0 L0,5 L-5,0 Z",
    "M0,4.6 L4.4,-3.4 H-4.4 Z",
    "M-4.5,-1.5 h3 v-3 h3 v3 h3 v3 h-3 v3 h-3 v-3 h-3 Z",
)
"""Disc, square, triangle, diamond, triangle upside down, cross."""


def mark(x: float, y: float, place: int) -> str:
    """The mark of the series at `place`: six forms, so that series are told apart without their tones."""
    form = _MARKS[place % NUM_SERIES]
    return f'<path transform="translate({_px(x)} {_px(y)})" d="{form}" fill="currentColor"/>'


def _stroke(dashes: str, width_px: float) -> str:
    broken = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'stroke="currentColor" stroke-width="{width_px:g}"{broken}'


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
