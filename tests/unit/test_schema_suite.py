"""The schema suite judges rightly: its cases are sound, and every kind of answer is told apart."""

import jsonschema_rs
import pytest

from benchmarks.schema_suite.cases import load_cases
from benchmarks.schema_suite.judge import Answer, Finding, Outcome, judge, sum_up
from benchmarks.schema_suite.report import Row, Run, render

CASES = [case for cases in load_cases().values() for case in cases]
COLOUR = {"enum": ["red"]}


def test_the_suite_covers_the_standard() -> None:
    assert len(CASES) > 60
    assert len({case.feature for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.feature)
def test_every_case_is_a_schema(case: object) -> None:
    jsonschema_rs.validator_for(case.schema, offline=True)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer('"red"', "stop"), "valid"),
        (Answer('"blue"', "stop"), "invalid"),
        (Answer("red", "stop"), "invalid"),
        (Answer("", "stop"), "invalid"),
        (Answer('"re', "length"), "cut"),
        (Answer(None, error="502"), "refused"),
    ],
)
def test_an_answer_is_valid_invalid_cut_or_refused(answer: Answer, outcome: Outcome) -> None:
    assert judge(COLOUR, answer, has_formats=True) == outcome


def test_a_format_counts_only_where_it_is_asked_about() -> None:
    answer = Answer('"tomorrow"', "stop")
    assert judge({"format": "date"}, answer, has_formats=True) == "invalid"
    assert judge({"format": "date"}, answer, has_formats=False) == "valid"


@pytest.mark.parametrize(
    ("outcomes", "finding"),
    [
        (["valid", "valid"], "held"),
        (["valid", "cut", "refused"], "held"),
        (["valid", "invalid"], "not held"),
        (["refused", "cut"], "refused"),
        (["cut"], "unfinished"),
    ],
)
def test_one_bad_answer_shows_that_a_feature_is_not_held(outcomes: list[Outcome], finding: Finding) -> None:
    assert sum_up(outcomes) == finding


def test_an_answer_off_the_schema_through_the_door_is_told_as_a_lie() -> None:
    good = Row("types", "enum", "m", ["invalid", "valid"], ["refused", "valid"])
    bad = Row("types", "const", "m", ["invalid", "valid"], ["invalid", "valid"])
    run = Run("engine 1", ["m"], 2, [good, bad])
    assert run.lies() == [bad]
    page = render(run)
    assert "gave as a success: **1** of 4." in page
    assert "| enum | not held | **not held** (1/2 off) | 1/2 valid, 1/2 error |" in page
    assert "| const | not held | **not held** (1/2 off) | 1/2 valid, 1/2 **off the schema** |" in page
