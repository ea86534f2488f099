"""The page `docs/field-matrix.md`, from what was tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from benchmarks.field_matrix.samples import MODELS
from benchmarks.field_matrix.trial import Row

MEANING = {
    "honoured": "answered without a warning about the field",
    "refused": "an error of the caller's own, which names the field",
    "warned": "answered without it, and a warning names the field",
    "caught": "the model broke its promise, and an error says so",
    "untried": "not tried: no model that can is at hand",
    "failed": "anything else: the table is wrong",
}

_HOW = """\
Each field of the tables ([OpenAI](openai-fields.md), [Ollama](ollama-fields.md), [Anthropic](anthropic-fields.md)) is
sent with a value that asks for something, to a whole server with real weights behind it. What comes back is held
against the table's word, and, where an answer can show it, against what the field is for: a limit cuts, a seed repeats,
a penalty changes the answer, a schema is held. Where a field is tried with several values, each has a row; a table's
note may promise another fate for one of them (two texts as a prompt are refused, say).
"""


class Column(msgspec.Struct, frozen=True):
    """What one engine did, in the order of the page."""

    engine: str
    version: str
    rows: list[Row]

    def problems(self) -> list[Row]:
        return [row for row in self.rows if row.problem is not None]


class Matrix(msgspec.Struct, frozen=True):
    """Every column has a row for the same samples."""

    columns: list[Column]
    date: str

    def problems(self) -> list[tuple[str, Row]]:
        return [(column.engine, row) for column in self.columns for row in column.problems()]


def render(matrix: Matrix) -> str:
    return "\n".join([*_head(matrix), *_tables(matrix), ""])


def _head(matrix: Matrix) -> Iterator[str]:
    engines = ", ".join(f"{column.engine} {column.version}" for column in matrix.columns)
    yield "# What becomes of each field, by trying"
    yield ""
    yield f"Made by `python -m benchmarks.field_matrix` (`make matrix`) on {matrix.date} with {engines};"
    yield f"the model is {MODELS['small']} where no other is named."
    yield ""
    yield _HOW
    yield f"| | {' | '.join(column.engine for column in matrix.columns)} | |"
    yield f"|---|{'---|' * len(matrix.columns)}---|"
    for deed, meaning in MEANING.items():
        counts = " | ".join(str(sum(row.deed == deed for row in column.rows)) for column in matrix.columns)
        yield f"| {deed} | {counts} | {meaning} |"
    yield ""
    yield f"Samples that do not agree with their table: **{len(matrix.problems())}**."
    yield ""


def _tables(matrix: Matrix) -> Iterator[str]:
    first, *_ = matrix.columns
    for endpoint in dict.fromkeys(row.endpoint for row in first.rows):
        yield f"## `{endpoint}`"
        yield ""
        titles = "".join(f" {column.engine} did | effect seen |" for column in matrix.columns)
        yield f"| field | table says |{titles}"
        yield f"|---|---|{'---|---|' * len(matrix.columns)}"
        for index, row in enumerate(first.rows):
            if row.endpoint == endpoint:
                yield _line(row, [column.rows[index] for column in matrix.columns])
        yield ""


def _line(row: Row, rows: Sequence[Row]) -> str:
    about = f": {row.about}" if row.about else ""
    cells = "".join(f" {_deed(found)} | {_effect(found)} |" for found in rows)
    return f"| `{row.field}`{about} | {row.says} |{cells}"


def _deed(row: Row) -> str:
    return row.deed if row.problem is None else f"**{row.deed}**"


def _effect(row: Row) -> str:
    text = (row.problem or row.effect).replace("|", "\\|").replace("\n", " ")
    return text if row.role == "small" else f"{text} ({MODELS[row.role]})"
