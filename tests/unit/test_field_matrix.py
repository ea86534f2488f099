"""The matrix of fields judges rightly, leaves no field out, and its page tells of the tables as they are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.field_matrix.effects import EFFECTS
from benchmarks.field_matrix.judge import Deed, deed_of
from benchmarks.field_matrix.replies import READERS, Answer, Said, read_answer
from benchmarks.field_matrix.report import Column, Matrix, render
from benchmarks.field_matrix.samples import Sample, Sheet, load_sheets
from benchmarks.field_matrix.tables import OF_THE_STORE, OPTIONS, field_tables
from benchmarks.field_matrix.trial import Row
from gemstead.api.asgi import DIALECTS
from gemstead.api.dialect import ChatRoute, Dialect, EmbedRoute, FormRoute, ResponsesRoute, TokenizeRoute
from gemstead.core.plugins import load_plugin, plugin_names

SHEETS, TABLES = load_sheets(), field_tables()
PAGE = Path(__file__).parents[2] / "docs" / "field-matrix.md"
JSON = "application/json"


def samples() -> Iterator[tuple[Sheet, Sample]]:
    for sheet in SHEETS.values():
        for sample in sheet.samples:
            yield sheet, sample


def test_every_endpoint_that_an_engine_answers_has_a_table_and_samples() -> None:
    dialects = [load_plugin(DIALECTS, name, "DIALECT", Dialect) for name in plugin_names(DIALECTS)]
    answered = (ChatRoute, FormRoute, ResponsesRoute, EmbedRoute, TokenizeRoute)
    paths = {route.path for dialect in dialects for route in dialect.routes if isinstance(route, answered)}
    assert paths == set(READERS)
    assert set(TABLES) == set(SHEETS) == paths | {OPTIONS}


def test_the_endpoints_left_out_are_those_that_no_engine_answers() -> None:
    dialects = [load_plugin(DIALECTS, name, "DIALECT", Dialect) for name in plugin_names(DIALECTS)]
    assert {route.path for dialect in dialects for route in dialect.routes} >= OF_THE_STORE
    assert not OF_THE_STORE & set(READERS)


@pytest.mark.parametrize("endpoint", TABLES)
def test_every_field_of_every_table_has_a_sample_and_no_other_has(endpoint: str) -> None:
    assert {sample.field for sample in SHEETS[endpoint].samples} == set(TABLES[endpoint])


def test_samples_of_one_field_can_be_told_apart() -> None:
    names = [(sheet.endpoint, sample.field, sample.about) for sheet, sample in samples()]
    assert len(names) == len(set(names))


def test_every_honoured_sample_says_how_it_is_seen_or_why_it_cannot_be() -> None:
    for sheet, sample in samples():
        is_honoured = (sample.expect or TABLES[sheet.endpoint][sample.field].handling) == "honoured"
        assert bool(sample.seen) != bool(sample.unseen) if is_honoured else not (sample.seen or sample.unseen), sample
        assert set(sample.seen) <= set(EFFECTS)


def test_every_effect_is_looked_for_somewhere() -> None:
    assert {name for _, sample in samples() for name in sample.seen} == set(EFFECTS)


def test_no_value_that_asks_for_nothing_is_a_sample_of_a_field_that_is_not_honoured() -> None:
    for sheet, sample in samples():
        assert sample.value not in TABLES[sheet.endpoint][sample.field].neutral


def error(status: int, message: str, param: str | None = None, code: str = "request_invalid") -> Answer:
    return Answer(status, JSON, (), ({"error": message},), error=message, code=code, param=param)


def good(*warnings: str, **body: Any) -> Answer:
    return Answer(200, JSON, warnings, (body,))


@pytest.mark.parametrize(
    ("answer", "deed"),
    [
        (good(), "honoured"),
        (good("field_ignored: top_k is ignored: why"), "warned"),
        (good("field_altered: top_k.inner: given as it is"), "warned"),
        (good("field_ignored: top_k_more is ignored: why"), "honoured"),
        (good("field_ignored: options.top_k is ignored: why"), "honoured"),
        (good("answer_room: top_k leaves no room"), "honoured"),
        (error(400, "no", param="top_k"), "refused"),
        (error(400, "no", param="top_k[0].inner"), "refused"),
        (error(400, "top_k is not supported"), "refused"),
        (error(400, "top_k_more is not supported", param="top_k_more"), "failed"),
        (error(404, "nothing of that name"), "failed"),
        (error(500, "top_k broke"), "failed"),
        (error(502, "the model did not call", code="reply_broken"), "caught"),
        (error(502, "the engine sent nonsense", code="engine_error"), "failed"),
        (Answer(200, "text/event-stream", (), ({"choices": []}, {"error": {"message": "broke off"}})), "failed"),
    ],
)
def test_an_answer_shows_what_was_done_with_a_field(answer: Answer, deed: Deed) -> None:
    assert deed_of("top_k", answer) == deed


def test_a_field_inside_an_object_is_called_by_its_path() -> None:
    warned = good("field_ignored: options.num_keep is ignored: why")
    assert deed_of(SHEETS[OPTIONS].name_of("num_keep"), warned) == "warned"
    assert deed_of("num_keep", warned) == "honoured"


def test_a_field_inside_an_object_is_sent_there_beside_the_others() -> None:
    sheet = Sheet("/api/chat", {"model": "m", "options": {"seed": 1}}, (), inside="options")
    assert sheet.body({}, {"top_k": 2}) == {"model": "m", "options": {"seed": 1, "top_k": 2}}
    assert sheet.body({"options": {}}, {"top_k": 2}) == {"model": "m", "options": {"top_k": 2}}


def test_a_reply_is_read_whatever_its_dialect() -> None:
    body = b'{"message": {"content": "Red"}, "done_reason": "length", "prompt_eval_count": 5, "eval_count": 1}'
    answer = read_answer("/api/chat", 200, [("Content-Type", JSON), ("X-Gemstead-Warning", "a: b")], body)
    assert answer.said == Said("Red", (), True, 5, 1)
    assert answer.warnings == ("a: b",)


def test_a_stream_is_read_as_its_objects() -> None:
    events = b'event: one\ndata: {"a": 1}\n\ndata: {"b": 2}\n\ndata: [DONE]\n\n'
    assert read_answer("/v1/messages", 200, [("content-type", "text/event-stream")], events).bodies == (
        {"a": 1},
        {"b": 2},
    )


def test_an_error_is_read_whether_it_is_a_sentence_or_an_object() -> None:
    headers = [("content-type", JSON)]
    sentence = read_answer("/api/chat", 400, headers, b'{"error": "no", "code": "request_invalid"}')
    thing = read_answer("/v1/completions", 400, headers, b'{"error": {"message": "no", "code": "c", "param": "n"}}')
    assert (sentence.error, sentence.code, sentence.param) == ("no", "request_invalid", None)
    assert (thing.error, thing.code, thing.param) == ("no", "c", "n")


def test_what_does_not_agree_with_its_table_is_told_and_shown() -> None:
    well = Row("/v1/x", "n", "", "refused", "refused", "status 400")
    lie = Row("/v1/x", "seed", "", "honoured", "honoured", "", problem="not seen: the same answer twice")
    matrix = Matrix([Column("llama.cpp", "1", [well, lie])], "2026-11-24")
    assert matrix.problems() == [("llama.cpp", lie)]
    page = render(matrix)
    assert "agree with their table: **1**" in page
    assert "| `n` | refused | refused | status 400 |" in page
    assert "| `seed` | honoured | **honoured** | not seen: the same answer twice |" in page


def test_another_engine_is_another_column() -> None:
    columns = [Column(name, "1", [Row("/v1/x", "n", "", "refused", "refused", name)]) for name in ("one", "two")]
    assert "| `n` | refused | refused | one | refused | two |" in render(Matrix(columns, "2026-11-24"))


def test_the_page_in_the_docs_has_a_row_for_every_sample_with_the_table_s_own_word() -> None:
    again = "write it anew: make matrix"
    chapters = {part.partition("`\n")[0]: part for part in PAGE.read_text().split("## `")[1:]}
    assert set(chapters) == set(TABLES), again
    for sheet, sample in samples():
        says = TABLES[sheet.endpoint][sample.field].handling
        about = f": {sample.about}" if sample.about else ""
        assert f"\n| `{sample.field}`{about} | {says} |" in chapters[sheet.endpoint], again


def test_the_page_in_the_docs_tells_of_no_field_that_does_not_agree_with_its_table() -> None:
    assert "Samples that do not agree with their table: **0**." in PAGE.read_text()
