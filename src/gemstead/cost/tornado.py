"""The sensitivity chart: bars around the cost, widest on top, as text for a terminal and as an SVG picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from gemstead.cost.sensitivity import Swing

_ROW_PX, _LABEL_PX, _BARS_PX, _MARGIN_PX, _HEAD_PX = 28, 340, 480, 70, 64
_CHEAPER, _DEARER = "#2b7a78", "#e08e79"
"""One dark, one light: told apart in grey, and by people who do not see red and green apart."""


def text_bars(swings: Sequence[Swing], base_usd: float, width_chars: int = 40) -> list[str]:
    """One bar a swing, all on one scale: `=` cheaper than now, `|` now, `#` dearer."""
    if not swings:
        return []
    lowest, highest = _scale(swings, base_usd)

    def column(usd: float) -> int:
        return round((usd - lowest) / (highest - lowest) * (width_chars - 1))

    now = column(base_usd)
    return [_text_bar(column(swing.cheapest_usd), now, column(swing.dearest_usd)) for swing in swings]


def _text_bar(first: int, now: int, last: int) -> str:
    return " " * min(first, now) + "=" * (now - first) + "|" + "#" * (last - now)


def svg_chart(swings: Sequence[Swing], base_usd: float, title: str) -> str:
    """A picture that needs no other file, with the figures as text, so that it is readable without colours."""
    lowest, highest = _scale(swings, base_usd)
    per_usd = _BARS_PX / ((highest - lowest) or 1.0)

    def x_of(usd: float) -> float:
        return _LABEL_PX + (usd - lowest) * per_usd

    width, height = _LABEL_PX + _BARS_PX + _MARGIN_PX, _HEAD_PX + _ROW_PX * len(swings) + 16
    now = f"{x_of(base_usd):.1f}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
    rows = [_svg_row(swing, _HEAD_PX + _ROW_PX * index, base_usd, x_of) for index, swing in enumerate(swings)]
    return "\n".join(
        (
            f'{head} font-family="sans-serif" font-size="13">',
            f"<title>{escape(title)}</title>",
            '<rect width="100%" height="100%" fill="white"/>',
            f'<text x="12" y="24" font-size="16">{escape(title)}</text>',
            f'<text x="{now}" y="50" text-anchor="middle">now: ${base_usd:.3g}</text>',
            *rows,
            f'<line x1="{now}" y1="56" x2="{now}" y2="{height - 8}" stroke="black"/>',
            "</svg>\n",
        )
    )


def _svg_row(swing: Swing, top: int, base_usd: float, x_of: Callable[[float], float]) -> str:
    left, now, right = x_of(min(swing.cheapest_usd, base_usd)), x_of(base_usd), x_of(max(swing.dearest_usd, base_usd))
    baseline = top + 16
    label = f"{swing.name.replace('_', ' ')}: {swing.low:.3g} to {swing.high:.3g}"
    return "".join(
        (
            f'<text x="12" y="{baseline}">{escape(label)}</text>',
            f'<rect x="{left:.1f}" y="{top}" width="{now - left:.1f}" height="20" fill="{_CHEAPER}"/>',
            f'<rect x="{now:.1f}" y="{top}" width="{right - now:.1f}" height="20" fill="{_DEARER}"/>',
            f'<text x="{left - 4:.1f}" y="{baseline}" text-anchor="end">{swing.cheapest_usd:.3g}</text>',
            f'<text x="{right + 4:.1f}" y="{baseline}">{swing.dearest_usd:.3g}</text>',
        )
    )


def _scale(swings: Sequence[Swing], base_usd: float) -> tuple[float, float]:
    ends = [end for swing in swings for end in (swing.cheapest_usd, swing.dearest_usd)]
    return min([base_usd, *ends]), max([base_usd, *ends])
