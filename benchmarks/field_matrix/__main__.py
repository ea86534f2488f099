"""Sends every field of every dialect to every engine that is installed here, and writes docs/field-matrix.md.

python -m benchmarks.field_matrix                                      # all of it (minutes)
python -m benchmarks.field_matrix --check                              # writes nothing; what is wrong is an error
python -m benchmarks.field_matrix --check --endpoint /v1/messages --field top_p
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.field_matrix.asking import opened_door
from benchmarks.field_matrix.report import Column, Matrix, render
from benchmarks.field_matrix.samples import MODELS, ModelRole, Sheet, load_sheets
from benchmarks.field_matrix.tables import field_tables
from benchmarks.field_matrix.trial import Row, try_samples
from gemstead.app.setup import KINDS, Setup, find_engine, make_setup
from gemstead.app.synthesize import synthesize
from gemstead.core.plugins import plugin_names
from gemstead.settings.load import load_settings

PAGE = Path(__file__).parents[2] / "docs" / "field-matrix.md"
CONTEXT_LENGTH = 1024
"""Short, so that a prompt that is too long is soon sent."""


def main() -> int:
    asked = _parse()
    sheets = {endpoint: sheet for endpoint, sheet in load_sheets().items() if asked.endpoint in (None, endpoint)}
    columns = [_column(kind, sheets, frozenset(asked.fields)) for kind in _installed_kinds()]
    matrix = Matrix(columns, datetime.now(UTC).date().isoformat())
    for engine, row in matrix.problems():
        _say(f"{engine}: {row.endpoint}: {row.field}: the table says {row.says}: {row.problem}")
    if not asked.is_check:
        asked.page.write_text(render(matrix))
    return 1 if matrix.problems() else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", dest="is_check", action="store_true", help="write nothing")
    parser.add_argument("--endpoint", choices=list(load_sheets()), help="this one only; needs --check")
    parser.add_argument("--field", dest="fields", action="append", default=[], help="these only; needs --check")
    parser.add_argument("--out", dest="page", type=Path, default=PAGE)
    asked = parser.parse_args()
    if (asked.endpoint or asked.fields) and not asked.is_check:
        parser.error("a part of the matrix is no page: add --check")
    return asked


def _installed_kinds() -> Iterator[str]:
    """Engines that are here; none is installed for this."""
    for name in plugin_names(KINDS):
        if find_engine(_setup(name, "small")) is not None:
            yield name


def _setup(kind: str, role: ModelRole) -> Setup:
    flags: Mapping[str, Any] = {
        "engine.kind": kind,
        "model.name": MODELS[role],
        "model.context_length": CONTEXT_LENGTH,
    }
    return make_setup(load_settings(flags), say=_say)


def _column(kind: str, sheets: dict[str, Sheet], only: frozenset[str]) -> Column:
    setup = _setup(kind, "small")
    installation = find_engine(setup)
    assert installation is not None, "it was found before"
    rows = [row for role in MODELS for row in asyncio.run(_try_model(_setup(kind, role), role, sheets, only))]
    return Column(setup.kind.title, installation.version, _in_order(rows, sheets))


async def _try_model(setup: Setup, role: ModelRole, sheets: dict[str, Sheet], only: frozenset[str]) -> list[Row]:
    if role == "gemma4":
        await asyncio.to_thread(synthesize, setup, MODELS[role].removesuffix("@tiny"), "q4_0", is_tiny=True)
    async with opened_door(setup) as door:
        return await try_samples(door, role, sheets, only, on_row=_say_row)


def _in_order(rows: list[Row], sheets: dict[str, Sheet]) -> list[Row]:
    """By endpoint and field as the tables have them, whichever model showed what."""
    places: dict[tuple[str, str], tuple[int, int]] = {}
    for number, (endpoint, fields) in enumerate(field_tables().items()):
        places |= {(endpoint, field): (number, place) for place, field in enumerate(fields)}
    samples = {
        (sheet.endpoint, one.field, one.about): at for sheet in sheets.values() for at, one in enumerate(sheet.samples)
    }
    return sorted(rows, key=lambda row: (places[row.endpoint, row.field], samples[row.endpoint, row.field, row.about]))


def _say_row(row: Row) -> None:
    about = f" ({row.about})" if row.about else ""
    _say(f"{row.endpoint}: {row.field}{about}: {row.deed}: {row.problem or row.effect}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
