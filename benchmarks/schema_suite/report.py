"""The page `docs/structured-output.md`, from what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from benchmarks.schema_suite.judge import Finding, Outcome, sum_up

MEANING: dict[Finding, str] = {
    "held": "every finished answer of every model was valid",
    "not held": "the engine gave an answer off the schema as a success",
    "refused": "the engine answers with an error",
    "unfinished": "no answer ended within its tokens, so nothing was shown",
}

_HOW = """\
The engine builds a grammar from the schema. What its grammar knows, no answer can break; what it does not know, it
leaves out without a word, or refuses the request. The door holds every finished answer against the schema: one that
breaks it is asked for again once, and if that does not help the caller gets an error, never the answer. An answer cut
at `max_tokens` is given with the finish reason `length`.

`format` is a remark, as the standard has it: the engine's column tells what its grammar does, the door does not check
it. A schema that is none (an unknown type, a bad pattern, a reference that leads nowhere or outside) is refused with
status 400 that says where.

A `@tiny` model has random weights: it meets Gemma 4's own template and grammar, and a temptation only by chance. So a
feature counts as held only if no model broke out. Errors of the engine in mid-answer count as errors.
"""


class Row(msgspec.Struct, frozen=True):
    """One case with one model: each list has an outcome a sample."""

    group: str
    feature: str
    model: str
    engine: list[Outcome]
    door: list[Outcome]


class Run(msgspec.Struct, frozen=True):
    engine: str
    models: list[str]
    num_samples: int
    rows: list[Row]

    def lies(self) -> list[Row]:
        """Rows in which the door gave an answer off the schema as a success."""
        return [row for row in self.rows if "invalid" in row.door]


def render(run: Run) -> str:
    return "\n".join([*_head(run), *_tables(run), ""])


def _head(run: Run) -> Iterator[str]:
    counts = Counter(
        sum_up([outcome for row in run.rows if row.feature == feature for outcome in row.engine])
        for feature in dict.fromkeys(row.feature for row in run.rows)
    )
    yield "# Structured output: what is held, and by whom"
    yield ""
    yield f"Made by `python -m benchmarks.schema_suite` with {run.engine}: {run.num_samples} answers at temperature 1"
    yield "to each question, which tempts the model to break its schema; asked of the engine and of the door."
    yield ""
    yield _HOW
    num_lies = sum(row.door.count("invalid") for row in run.rows)
    num_answers = sum(len(row.door) for row in run.rows)
    yield f"Answers off their schema that the door gave as a success: **{num_lies}** of {num_answers}."
    yield ""
    yield "| grammar | features | |"
    yield "|---|---|---|"
    for finding, meaning in MEANING.items():
        yield f"| {finding} | {counts[finding]} | {meaning} |"
    yield ""


def _tables(run: Run) -> Iterator[str]:
    groups = list(dict.fromkeys(row.group for row in run.rows))
    for group in groups:
        rows = [row for row in run.rows if row.group == group]
        yield f"## {group.capitalize()}"
        yield ""
        yield "| feature | grammar |" + "".join(f" engine, {model} | door, {model} |" for model in run.models)
        yield "|---|---|" + "---|---|" * len(run.models)
        for feature in dict.fromkeys(row.feature for row in rows):
            yield _line(feature, [row for row in rows if row.feature == feature])
        yield ""


def _line(feature: str, rows: Sequence[Row]) -> str:
    cells = "".join(f" {_engine_cell(row.engine)} | {_door_cell(row.door)} |" for row in rows)
    grammar = sum_up([outcome for row in rows for outcome in row.engine])
    return f"| {feature} | {grammar} |{cells}"


def _engine_cell(outcomes: Sequence[Outcome]) -> str:
    finding = sum_up(outcomes)
    return f"**not held** ({_share(outcomes, 'invalid')} off)" if finding == "not held" else finding


def _door_cell(outcomes: Sequence[Outcome]) -> str:
    """The outcomes that there are, the good ones first."""
    words = {"valid": "valid", "refused": "error", "cut": "cut, and says so", "invalid": "**off the schema**"}
    shares = [f"{_share(outcomes, outcome)} {word}" for outcome, word in words.items() if outcome in outcomes]  # type: ignore[arg-type]
    return "valid" if set(outcomes) == {"valid"} else ", ".join(shares)


def _share(outcomes: Sequence[Outcome], outcome: Outcome) -> str:
    return f"{outcomes.count(outcome)}/{len(outcomes)}"
