"""What-if as a picture: one bar of memory a case, the machine's free memory as a line, the decode rate beside.

A small writer of SVG (W3C, version 1.1): text and rectangles, no scripts, nothing loaded from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from gemstead.core.plan import Plan
from gemstead.core.units import GIB, format_bytes
from gemstead.planner.what_if import Case

_ROW, _LABEL, _BAR, _NOTE, _TOP = 22, 250, 420, 190, 64
"""Pixels: height of a row, widths of the three columns, height of the title."""

_FITS, _LACKS, _LIMIT = "#2f7d5b", "#b5523b", "#1f2933"


def what_if_svg(cases: Sequence[Case], machine: str, free_bytes: int) -> str:
    """The picture as text. `free_bytes` is what the line marks: the free memory where the weights go."""
    scale = _BAR / (1.05 * max([free_bytes, *(_needed_bytes(case, free_bytes) for case in cases)]))
    width, height = _LABEL + _BAR + _NOTE, _TOP + _ROW * len(cases) + 24
    limit = _LABEL + scale * free_bytes
    size = f'width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width} {height}">',
        f"<style>text {{ font: 12px sans-serif; fill: {_LIMIT} }}</style>",
        f'<rect {size} fill="#ffffff"/>',
        f'<text x="12" y="24" style="font-size: 15px">What would fit on {escape(machine)}</text>',
        f'<text x="12" y="44">resident memory, predicted; the line: {format_bytes(free_bytes)} are free</text>',
    ]
    for index, case in enumerate(cases):
        parts += _row(case, _TOP + _ROW * index, scale, free_bytes)
    parts.append(
        f'<line x1="{limit:.1f}" y1="{_TOP - 6}" x2="{limit:.1f}" y2="{height - 16}" stroke="{_LIMIT}" '
        'stroke-dasharray="4 3"/>'
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _row(case: Case, top: int, scale: float, free_bytes: int) -> Iterator[str]:
    needed_bytes = _needed_bytes(case, free_bytes)
    colour = _FITS if case.plan is not None else _LACKS
    label = f"{case.model}, {case.context_length // 1024}K"
    yield f'<text x="{_LABEL - 8}" y="{top + 14}" text-anchor="end">{escape(label)}</text>'
    yield (
        f'<rect x="{_LABEL}" y="{top + 3}" width="{scale * needed_bytes:.1f}" height="{_ROW - 7}" fill="{colour}">'
        f"<title>{needed_bytes / GIB:.2f} GiB</title></rect>"
    )
    yield f'<text x="{_LABEL + _BAR + 8}" y="{top + 14}">{escape(_note(case))}</text>'


def _note(case: Case) -> str:
    if case.plan is None:
        return f"lacks {format_bytes(case.missing_bytes or 0)}"
    speed = case.plan.speed
    return f"~{speed.decode_tok_per_s.value:.3g} tok/s" if speed is not None else "fits"


def _needed_bytes(case: Case, free_bytes: int) -> int:
    return free_bytes + (case.missing_bytes or 0) if case.plan is None else resident_bytes(case.plan)


def resident_bytes(plan: Plan) -> int:
    """Host and GPU together."""
    return plan.resident_bytes("host") + plan.resident_bytes("gpu")
