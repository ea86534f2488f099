"""The measured cells as Markdown: each load in one line, and the parts of each model. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.memory_table.rows import Cell, Row
from gemstead.core.units import MIB

GOAL = 0.03


def report(rows: Sequence[Row], left_out: Sequence[tuple[Cell, str]] = ()) -> str:
    """Both tables with what they were measured on; `left_out` with the reasons. Ends its last line."""
    if not rows:
        return "Nothing is measured yet.\n"
    ordered = sorted(rows, key=lambda row: (row.predicted.mapped_bytes, row.cell.context_length, row.cell.num_slots))
    lines = [
        _verdict(rows),
        "",
        "| model | context x slots | predicted | engine's buffers, predicted | reported | error | PSS | error |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
        *map(_load_line, ordered),
        "",
        *_notes(rows, left_out),
        "By part, at the longest context with one slot, as predicted / as reported:",
        "",
        "| model | file, mapped | rearranged copy | KV cache | compute buffer | process, predicted / measured |",
        "|---|--:|--:|--:|--:|--:|",
        *map(_part_line, _longest(ordered)),
    ]
    return "\n".join(lines) + "\n"


def _verdict(rows: Sequence[Row]) -> str:
    within = sum(abs(row.error) <= GOAL for row in rows)
    worst = max((row.error for row in rows), key=abs)
    worst_buffers = max(map(_buffer_error, rows), key=abs)
    engines = ", ".join(sorted({row.engine_version for row in rows}))
    processors = "; ".join(sorted({row.machine.partition(" | ")[0] for row in rows}))
    return (
        f"{within} of {len(rows)} loads within {GOAL:.0%} of the memory held; the farthest off is {worst:+.1%}, of the "
        f"engine's own buffers {worst_buffers:+.1%}. llama.cpp {engines}; {processors}. Sizes in MiB."
    )


def _load_line(row: Row) -> str:
    predicted, mark = row.predicted, " *" if _is_dropped(row) else ""
    cells = (
        _model(row),
        f"{row.cell.context_length:,} x {row.cell.num_slots}",
        _mib(predicted.total_bytes),
        _mib(predicted.buffer_bytes),
        _mib(row.reported_bytes),
        f"{_buffer_error(row):+.2%}",
        f"{_mib(row.held_bytes)}{mark}",
        f"{row.error:+.2%}",
    )
    return f"| {' | '.join(cells)} |"


def _part_line(row: Row) -> str:
    predicted, log = row.predicted, row.reported
    pairs = (
        (predicted.mapped_bytes, log.mapped_bytes),
        (predicted.repacked_bytes, log.repacked_bytes),
        (predicted.kv_cache_bytes, log.kv_full_bytes + log.kv_sliding_bytes),
        (predicted.compute_bytes, log.compute_bytes),
        (predicted.runtime_bytes, row.held_bytes - row.reported_bytes),
    )
    return f"| {_model(row)} | {' | '.join(f'{_mib(a)} / {_mib(b)}' for a, b in pairs)} |"


def _notes(rows: Sequence[Row], left_out: Sequence[tuple[Cell, str]]) -> Iterable[str]:
    if any(map(_is_dropped, rows)):
        yield "\\* The system had dropped pages of the mapped file that nobody reads after loading; they are counted.\n"
    for cell, reason in left_out:
        yield f"Left out: {cell.variant} {cell.quant}, {cell.context_length:,} x {cell.num_slots}: {reason}\n"


def _longest(rows: Sequence[Row]) -> list[Row]:
    """Of each model the row with one slot and the most context."""
    found = {(row.cell.variant, row.cell.quant): row for row in rows if row.cell.num_slots == 1}
    return list(found.values())


def _buffer_error(row: Row) -> float:
    return row.predicted.buffer_bytes / row.reported_bytes - 1


def _is_dropped(row: Row) -> bool:
    return row.dropped_bytes > MIB


def _model(row: Row) -> str:
    return f"{row.cell.variant.upper()} {row.cell.quant.upper()}"


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / MIB:,.0f}"
