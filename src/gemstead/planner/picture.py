"""What-if as a picture: one bar of memory a case, the machine's free memory as a line, the decode rate beside."""

from __future__ import annotations

from collections.abc import Sequence

from gemstead.core import svg
from gemstead.core.plan import Plan
from gemstead.core.units import GIB, format_bytes
from gemstead.planner.what_if import Case

_ROW_PX, _LABEL_PX, _BAR_PX, _NOTE_PX, _TOP_PX = 22, 250, 420, 190, 68
"""Height of a row, widths of the three columns, height of the head."""


def what_if_svg(cases: Sequence[Case], machine: str, free_bytes: int) -> str:
    """The picture as text. `free_bytes` is what the line marks: the free memory where the weights go."""
    scale = _BAR_PX / (1.05 * max([free_bytes, *(_needed_bytes(case, free_bytes) for case in cases)]))
    height, limit = _TOP_PX + _ROW_PX * len(cases) + 24, _LABEL_PX + scale * free_bytes
    parts = [
        svg.text(12, 48, f"resident memory, predicted; the line: {format_bytes(free_bytes)} are free"),
        *(_row(case, _TOP_PX + _ROW_PX * index, scale, free_bytes) for index, case in enumerate(cases)),
        svg.line(limit, _TOP_PX - 6, limit, height - 16, dashes="4 3"),
    ]
    return svg.picture(f"What would fit on {machine}", parts, _LABEL_PX + _BAR_PX + _NOTE_PX, height)


def _row(case: Case, top: int, scale: float, free_bytes: int) -> str:
    needed_bytes = _needed_bytes(case, free_bytes)
    hint = f"{needed_bytes / GIB:.2f} GiB"
    bar = svg.rect(_LABEL_PX, top + 3, scale * needed_bytes, _ROW_PX - 7, hint)
    return "".join(
        (
            svg.text(_LABEL_PX - 8, top + 14, f"{case.model}, {case.context_length // 1024}K", "end"),
            svg.toned("bad" if case.plan is None else "good", [bar]),
            svg.text(_LABEL_PX + _BAR_PX + 8, top + 14, _note(case)),
        )
    )


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
