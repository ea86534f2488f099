"""The questionnaire: what people write stays as they wrote it, and mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemstead.core.errors import NameUnknown, SettingInvalid
from gemstead.report.questions import (
    MAX_FILE_BYTES,
    NO_ANSWERS,
    Answers,
    Questionnaire,
    as_toml,
    parse_answers,
    read_answers,
)
from gemstead.report.words import LANGUAGES, Language
from report_samples import ANSWERS

LINES = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=60)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_empty_file_is_a_questionnaire_that_says_nothing(language: Language) -> None:
    text = as_toml(NO_ANSWERS, language)
    assert parse_answers(text.encode()) == Questionnaire()
    for question in NO_ANSWERS.questions():
        assert question.ask.of(language) in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_answers_come_back_from_a_file_written_anew(language: Language) -> None:
    assert parse_answers(as_toml(ANSWERS, language).encode()) == ANSWERS.questionnaire


@settings(deadline=None)
@given(LINES, st.lists(LINES, max_size=4))
def test_any_answer_comes_back_as_it_was_written(text: str, lines: list[str]) -> None:
    given_answers = Questionnaire.model_validate({"controller": {"name": text}, "use": {"need": lines}})
    written = as_toml(Answers(given_answers, "", 0.0), "fr")
    assert parse_answers(written.encode()) == given_answers


@pytest.mark.parametrize(
    ("content", "nearest"),
    [
        ('[controler]\nname = "x"', "controller"),
        ('[controller]\nnom = "x"', "controller.name"),
        ('[processing]\npurpose = "x"', "processing.purposes"),
    ],
)
def test_an_unknown_key_is_an_error_with_the_nearest_name(content: str, nearest: str) -> None:
    with pytest.raises(NameUnknown) as caught:
        parse_answers(content.encode())
    assert nearest in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"[assessment]\naccess_severity = 'huge'", "assessment.access_severity"),
        (b"[processing]\npurposes = 3", "processing.purposes"),
        (b'[controller]\nname = "a\\u0007"', "controller.name"),
        (b"[[incidents]]\nwhat = 'x'", "incidents.0.on"),
        (b"not toml", "TOML"),
        (b"\xff", "UTF-8"),
        (b"#" * (MAX_FILE_BYTES + 1), "larger"),
    ],
)
def test_a_broken_file_is_refused_with_the_place(content: bytes, place: str) -> None:
    with pytest.raises(SettingInvalid, match=place):
        parse_answers(content)


def test_a_file_that_is_not_there_names_the_command_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid) as caught:
        read_answers(tmp_path / "none.toml")
    assert "gemstead report questions" in (caught.value.hint or "")
