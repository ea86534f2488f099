"""How to see in an answer that a field was honoured: each effect by the name that samples call it by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import jsonschema_rs
import msgspec

from benchmarks.field_matrix.asking import Door
from benchmarks.field_matrix.replies import Answer
from benchmarks.field_matrix.samples import Sample, Sheet


class Trial(msgspec.Struct, frozen=True):
    """One sample that was sent, its answer, and the way to ask for others to compare it with."""

    door: Door
    sheet: Sheet
    sample: Sample
    answer: Answer

    async def again(self) -> Answer:
        """The same request, answered afresh."""
        body = self.sheet.body(self.sample.also, {self.sample.field: self.sample.value})
        return await self.door.ask(self.sheet.path, body, is_form=self.sheet.is_form)

    async def otherwise(self, fields: dict[str, Any]) -> Answer:
        """The request with `fields` instead of the one that is tried."""
        body = self.sheet.body(self.sample.also, fields)
        return await self.door.recall(self.sheet.path, body, is_form=self.sheet.is_form)

    async def without(self) -> Answer:
        return await self.otherwise(self.sample.without)


Check: TypeAlias = Callable[[Trial, Any], Awaitable[bool]]


async def _repeats(trial: Trial, _wanted: Any) -> bool:
    return (await trial.again()).said.text == trial.answer.said.text != ""


async def _changes(trial: Trial, _wanted: Any) -> bool:
    return (await trial.without()).said != trial.answer.said


async def _same_as(trial: Trial, wanted: dict[str, Any]) -> bool:
    """As with the other fields, and without any of them another: else it would show nothing."""
    other = await trial.otherwise(wanted)
    return other.said.text == trial.answer.said.text != (await trial.without()).said.text


async def _tokens(trial: Trial, wanted: int) -> bool:
    said = trial.answer.said
    return said.completion_tokens == wanted and said.is_cut


async def _stops_before(trial: Trial, wanted: str) -> bool:
    before, found, _ = (await trial.without()).said.text.partition(wanted)
    return found == wanted and trial.answer.said.text == before and not trial.answer.said.is_cut


async def _contains(trial: Trial, wanted: str) -> bool:
    return wanted in trial.answer.said.text and wanted not in (await trial.without()).said.text


async def _longer_prompt(trial: Trial, _wanted: Any) -> bool:
    return _prompt_tokens(trial.answer) > _prompt_tokens(await trial.without()) > 0


async def _shorter_prompt(trial: Trial, _wanted: Any) -> bool:
    return 0 < _prompt_tokens(trial.answer) < _prompt_tokens(await trial.without())


def _prompt_tokens(answer: Answer) -> int:
    return answer.said.prompt_tokens or 0


async def _holds(trial: Trial, wanted: dict[str, Any]) -> bool:
    try:
        value = msgspec.json.decode(trial.answer.said.text)
    except msgspec.DecodeError:
        return False
    return jsonschema_rs.validator_for(wanted, offline=True).is_valid(value)


async def _calls(trial: Trial, wanted: str) -> bool:
    """A call that was cut counts: it was begun, and its warning names it."""
    cut = tuple(wanted for warning in trial.answer.warnings if warning.startswith(f"call_cut: the call to '{wanted}'"))
    return set(trial.answer.said.calls + cut) == {wanted}


async def _calls_nothing(trial: Trial, _wanted: Any) -> bool:
    return not trial.answer.said.calls


async def _streams(trial: Trial, wanted: str) -> bool:
    return trial.answer.media_type.startswith(wanted) and len(trial.answer.bodies) > 1


async def _ends_with(trial: Trial, wanted: str) -> bool:
    """The last object has something under that name, and without the field it has not."""
    return bool(trial.answer.last.get(wanted)) and not (await trial.without()).last.get(wanted)


async def _gives_back(trial: Trial, _wanted: Any) -> bool:
    return bool(trial.answer.last[trial.sample.field] == trial.sample.value)


async def _names_stop(trial: Trial, wanted: str) -> bool:
    return bool(trial.answer.last["stop_sequence"] == wanted)


async def _refuses_other(trial: Trial, wanted: Any) -> bool:
    return 400 <= (await trial.otherwise({trial.sample.field: wanted})).status < 500


async def _is_kept(trial: Trial, wanted: bool) -> bool:
    found = await trial.door.get(f"{trial.sheet.path}/{trial.answer.last['id']}")
    return found.status == (200 if wanted else 404)


async def _drops_turns(trial: Trial, _wanted: Any) -> bool:
    return trial.answer.has_dropped_turns and (await trial.without()).status == 400


async def _vectors(trial: Trial, wanted: int) -> bool:
    return len(trial.answer.said.vectors) == wanted


async def _is_packed(trial: Trial, _wanted: Any) -> bool:
    """Four bytes a number, and four characters for three bytes."""
    (packed,), (plain,) = trial.answer.said.vectors, (await trial.without()).said.vectors
    return isinstance(packed, str) and abs(len(packed) - len(plain) * 16 / 3) < 4


async def _expires_s(trial: Trial, wanted: float) -> bool:
    """The model is to be unloaded so long after this answer, as the list of loaded models says."""
    (model,) = (await trial.door.get("/api/ps")).last["models"]
    left = datetime.fromisoformat(model["expires_at"]) - datetime.now(UTC)
    return timedelta(0) < left <= timedelta(seconds=wanted)


async def _warns(trial: Trial, wanted: str) -> bool:
    return any(warning.startswith(f"{wanted}:") for warning in trial.answer.warnings)


class Effect(msgspec.Struct, frozen=True):
    """`phrase` is what the page says, `{}` what the sample wants to see."""

    check: Check
    phrase: str


EFFECTS: dict[str, Effect] = {
    "calls": Effect(_calls, "a call to {}, whole, or cut and said so"),
    "calls_nothing": Effect(_calls_nothing, "calls nothing"),
    "changes": Effect(_changes, "another answer than without it"),
    "contains": Effect(_contains, "the answer has {} in it, and not without the field"),
    "drops_turns": Effect(_drops_turns, "old turns left out and said so; an error without it"),
    "ends_with": Effect(_ends_with, "{} in the last object, and not without it"),
    "expires_s": Effect(_expires_s, "to be unloaded within {} s"),
    "gives_back": Effect(_gives_back, "given back in the reply"),
    "holds": Effect(_holds, "JSON that holds to it"),
    "is_kept": Effect(_is_kept, "found by its id afterwards: {}"),
    "is_packed": Effect(_is_packed, "vectors as base64"),
    "longer_prompt": Effect(_longer_prompt, "more prompt tokens than without it"),
    "names_stop": Effect(_names_stop, "stop_sequence names it"),
    "refuses_other": Effect(_refuses_other, "{} is refused"),
    "repeats": Effect(_repeats, "the same answer twice"),
    "same_as": Effect(_same_as, "the same answer as with {}, another without it"),
    "shorter_prompt": Effect(_shorter_prompt, "fewer prompt tokens than without it"),
    "stops_before": Effect(_stops_before, "ends where it would have gone on with {}"),
    "streams": Effect(_streams, "several pieces of {}"),
    "tokens": Effect(_tokens, "{} completion tokens, and cut"),
    "vectors": Effect(_vectors, "{} vectors"),
    "warns": Effect(_warns, "a warning {}"),
}
