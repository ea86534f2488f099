"""The sensitivity chart: bars around the cost, widest on top, as text for a terminal and as an SVG picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gemstead.core import svg
from gemstead.cost.sensitivity import Swing

_ROW_PX, _LABEL_PX, _BARS_PX, _MARGIN_PX, _HEAD_PX = 28, 340, 480, 70, 64


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

    now, height = x_of(base_usd), _HEAD_PX + _ROW_PX * len(swings) + 16
    rows = [_svg_row(swing, _HEAD_PX + _ROW_PX * index, base_usd, x_of) for index, swing in enumerate(swings)]
    parts = [svg.text(now, 50, f"now: ${base_usd:.3g}", "middle"), *rows, svg.line(now, 56, now, height - 8)]
    return svg.picture(title, parts, _LABEL_PX + _BARS_PX + _MARGIN_PX, height)


def _svg_row(swing: Swing, top: int, base_usd: float, x_of: Callable[[float], float]) -> str:
    left, now, right = x_of(min(swing.cheapest_usd, base_usd)), x_of(base_usd), x_of(max(swing.dearest_usd, base_usd))
    baseline = top + 16
    return "".join(
        (
            svg.text(12, baseline, f"{swing.name.replace('_', ' ')}: {swing.low:.3g} to {swing.high:.3g}"),
            svg.toned("good", [svg.rect(left, top, now - left, 20)]),
            svg.toned("bad", [svg.rect(now, top, right - now, 20)]),
            svg.text(left - 4, baseline, f"{swing.cheapest_usd:.3g}", "end"),
            svg.text(right + 4, baseline, f"{swing.dearest_usd:.3g}"),
        )
    )


def _scale(swings: Sequence[Swing], base_usd: float) -> tuple[float, float]:
    ends = [end for swing in swings for end in (swing.cheapest_usd, swing.dearest_usd)]
    return min([base_usd, *ends]), max([base_usd, *ends])
