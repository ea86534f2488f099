"""How results are printed: stdout is the result, stderr is for progress and notes; `~` marks what was not measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gemstead.core.figures import BytesFigure, Figure
from gemstead.core.units import format_bytes


def note(text: str) -> None:
    """A line for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


def print_json(schema: str, value: Any) -> None:
    """One JSON document: `{"schema": "gemstead/models/1", ...}`. A list stands under "items"."""
    plain = msgspec.to_builtins(value, str_keys=True, enc_hook=str)
    body = {"items": plain} if isinstance(plain, list) else plain
    print(json.dumps({"schema": f"gemstead/{schema}", **body}, indent=2, ensure_ascii=False))


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Left-aligned columns two blanks apart; an empty table prints its headers alone. Numbers are aligned right."""
    cells = [[str(header) for header in headers], *[["" if c is None else str(c) for c in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    is_right = [_is_numeric(row[i] for row in cells[1:]) for i in range(len(headers))]
    for row in cells:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, is_right, strict=True)
        )
        print("  ".join(padded).rstrip())


def _is_numeric(column: Iterable[str]) -> bool:
    filled = [cell for cell in column if cell]
    return bool(filled) and all(cell.lstrip("~")[:1].isdigit() for cell in filled)


def show_bytes(figure: BytesFigure) -> str:
    """`~118 MiB` unless it was measured."""
    return f"{'' if figure.basis == 'measured' else '~'}{format_bytes(figure.num_bytes)}"


def show_figure(figure: Figure, scale: float, unit: str) -> str:
    """`~17.8 GB/s +-20 % (published)`: the figure over `scale`, its error bar where there is one, its basis."""
    mark = "" if figure.basis == "measured" else "~"
    bar = f" +-{figure.error:.0%}" if figure.error else ""
    return f"{mark}{figure.value / scale:.3g} {unit}{bar} ({figure.basis})"


def is_terminal() -> bool:
    return sys.stderr.isatty()
