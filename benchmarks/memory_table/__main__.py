"""Memory of generated Gemma 4 models: predicted, reported by the engine, held. `python -m benchmarks.memory_table`.

Each finished load is kept; what is there is not measured again unless the prediction or the engine has changed. A model
is generated for its loads, one at a time, and removed again unless it was there.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from benchmarks.memory_table.loading import load_cell, predict
from benchmarks.memory_table.report import GOAL, report
from benchmarks.memory_table.rows import Cell, Predicted, Row, append_row, read_rows
from benchmarks.pages import with_table
from gemstead.app.candidates import FAMILY
from gemstead.app.machine_note import machine_note
from gemstead.app.setup import Setup, ensure_engine, make_setup, this_machine
from gemstead.app.synthesize import generated_name, synthesize
from gemstead.catalog.manifests import Manifest
from gemstead.core.errors import DoesNotFit, GemsteadError
from gemstead.settings.load import load_settings

FILE = Path("bench") / "memory-table.jsonl"


def main() -> int:
    asked = _arguments()
    setup = make_setup(load_settings({}), say=_say)
    path = asked.results or setup.loaded.paths.data / FILE
    cells = [Cell(*values) for values in product(asked.variants, asked.quants, asked.contexts, asked.slots)]
    try:
        predictions, left_out = _predict_all(setup, cells)
        _measure(setup, path, predictions)
    except GemsteadError as exc:
        hint = f"\nhint: {exc.hint}" if exc.hint else ""
        print(f"error: {exc.what}{hint}", file=sys.stderr)
        return 1
    table = report(_finished(setup, path, predictions), left_out)
    if asked.page is None:
        print(table, end="")
    else:
        asked.page.write_text(with_table(asked.page.read_text(encoding="utf-8"), "memory", table), encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory_table", description=__doc__)
    parser.add_argument("--variants", nargs="+", default=["e2b", "e4b", "12b", "26b"])
    parser.add_argument("--quants", nargs="+", default=["q4_0", "q4_k_m", "q8_0"])
    parser.add_argument("--contexts", nargs="+", type=int, default=[4096, 16_384, 32_768], help="tokens of one slot")
    parser.add_argument("--slots", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--page", type=Path, help="write the tables into this page, between its marks")
    parser.add_argument("--results", type=Path, help=f"the file of finished loads; else {FILE} of the data folder")
    return parser.parse_args()


def _predict_all(setup: Setup, cells: list[Cell]) -> tuple[dict[Cell, Predicted], list[tuple[Cell, str]]]:
    """The predictions of what fits this machine now, and why the rest does not."""
    predictions, left_out = {}, []
    for cell in cells:
        try:
            predictions[cell] = predict(setup, cell)
        except DoesNotFit as exc:
            left_out.append((cell, exc.what))
    return predictions, left_out


def _measure(setup: Setup, path: Path, predictions: dict[Cell, Predicted]) -> None:
    """What is missing, model by model. Raises: as `synthesize` and `load_cell`."""
    done = {row.cell for row in _finished(setup, path, predictions)}
    missing = [cell for cell in predictions if cell not in done]
    for variant, quant in dict.fromkeys((cell.variant, cell.quant) for cell in missing):
        with _generated(setup, variant, quant) as manifest:
            for cell in missing:
                if (cell.variant, cell.quant) == (variant, quant):
                    row = asyncio.run(load_cell(setup, manifest, cell, predictions[cell]))
                    append_row(path, row)
                    _say(_progress_line(row))


def _finished(setup: Setup, path: Path, predictions: dict[Cell, Predicted]) -> list[Row]:
    """The rows of this machine and this engine whose prediction would be the same today."""
    version, machine = ensure_engine(setup).version, machine_note(this_machine(setup.loaded)).fingerprint
    rows = read_rows(path)
    return [
        row
        for cell, predicted in predictions.items()
        if (row := rows.get(cell)) is not None
        and (row.predicted, row.engine_version, row.machine) == (predicted, version, machine)
    ]


@contextmanager
def _generated(setup: Setup, variant: str, quant: str) -> Iterator[Manifest]:
    """The model while it is needed. Raises: as `synthesize`, which looks for the space first."""
    name = generated_name(setup.store, f"{FAMILY}:{variant}", quant, is_tiny=False)
    is_new = all(manifest.name != str(name) for manifest in setup.store.list())
    _say(f"{name}{': generating' if is_new else ''}")
    manifest = synthesize(setup, f"{FAMILY}:{variant}", quant, is_tiny=False)
    try:
        yield manifest
    finally:
        if is_new:
            setup.store.remove(manifest.name)


def _progress_line(row: Row) -> str:
    off = "" if abs(row.error) <= GOAL else "  <- beyond the goal"
    return f"  {row.cell.context_length} x {row.cell.num_slots}: predicted {row.error:+.2%} of what it holds{off}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
