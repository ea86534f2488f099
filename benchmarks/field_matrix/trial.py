"""Tries the samples of one endpoint at the door of one engine, and holds what happens against the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from benchmarks.field_matrix.asking import Door
from benchmarks.field_matrix.effects import EFFECTS, Trial
from benchmarks.field_matrix.judge import Deed, deed_of
from benchmarks.field_matrix.replies import Answer
from benchmarks.field_matrix.samples import ModelRole, Sample, Sheet
from benchmarks.field_matrix.tables import field_tables
from gemstead.api.dialect import Handling

PROMISES = frozenset(("calls", "holds"))
"""What the model itself has to do: where it does not, an error that says so is as good."""


LACKS = "as it is served here"
"""So the door says that a model does not see or hear."""


class Row(msgspec.Struct, frozen=True):
    """What became of one sample. `effect` is what was seen of it; `problem` what does not agree with the table."""

    endpoint: str
    field: str
    about: str
    says: Handling
    deed: Deed | Literal["untried"]
    effect: str
    role: ModelRole = "small"
    problem: str | None = None


async def try_samples(
    door: Door,
    role: ModelRole,
    sheets: Mapping[str, Sheet],
    only: frozenset[str] = frozenset(),
    on_row: Callable[[Row], None] = lambda _row: None,
) -> list[Row]:
    """A row for each sample of `sheets` that wants a model of that role; `only` the fields named, if any are.

    Raises: aiohttp.ClientError if nobody answers.
    """
    rows = []
    for endpoint, fields in field_tables().items():
        for sample in sheets[endpoint].samples if endpoint in sheets else ():
            if sample.model == role and (not only or sample.field in only):
                row = await try_sample(door, sheets[endpoint], sample, fields[sample.field].handling)
                on_row(row)
                rows.append(row)
    return rows


async def try_sample(door: Door, sheet: Sheet, sample: Sample, says: Handling) -> Row:
    """`says` is the table's word. Raises: as `try_samples`."""
    body = sheet.body(sample.also, {sample.field: sample.value})
    answer = await door.ask(sheet.path, body, is_form=sheet.is_form)
    row = Row(sheet.endpoint, sample.field, sample.about, says, "untried", f"needs {sample.needs}", sample.model)
    if sample.needs and answer.status == 400 and LACKS in answer.error:
        return row
    deed = deed_of(sheet.name_of(sample.field), answer)
    seen, missed = await _effects(Trial(door, sheet, sample, answer)) if deed == "honoured" else ([], [])
    return msgspec.structs.replace(
        row, deed=deed, effect=_tell(sample, deed, seen, answer), problem=_problem(sample, says, deed, missed, answer)
    )


async def _effects(trial: Trial) -> tuple[list[str], list[str]]:
    """Phrases of the effects that were seen, and of those that were not."""
    seen: list[str] = []
    missed: list[str] = []
    for name, wanted in trial.sample.seen.items():
        effect = EFFECTS[name]
        (seen if await effect.check(trial, wanted) else missed).append(effect.phrase.format(_shown(wanted)))
    return seen, missed


def _shown(wanted: Any) -> str:
    if isinstance(wanted, bool):
        return "yes" if wanted else "no"
    return f"`{wanted if isinstance(wanted, str) else msgspec.json.encode(wanted).decode()}`"


def _tell(sample: Sample, deed: Deed, seen: list[str], answer: Answer) -> str:
    match deed:
        case "honoured" if sample.unseen:
            return f"cannot be seen: {sample.unseen}"
        case "honoured":
            return "; ".join(seen)
        case "caught":
            return "an error says that the model did not do it"
        case "refused":
            return f"status {answer.status}"
    return ""


def _problem(sample: Sample, says: Handling, deed: Deed, missed: list[str], answer: Answer) -> str | None:
    if deed == "caught" and PROMISES & set(sample.seen):
        return None
    if deed != (sample.expect or says):
        why = answer.error or str(answer.last)[:200]
        return f"{deed}, status {answer.status}: {why}"
    return f"honoured, it seems, but not seen: {'; '.join(missed)}" if missed else None
