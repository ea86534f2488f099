"""Questions with known answers: what counts as right, and which files are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemstead.bench.questions import (
    NEEDLES,
    Match,
    Task,
    Turn,
    is_right,
    normalised,
    own_tasks,
    parse_tasks,
    read_tasks,
    regression_tasks,
    tasks_sha256,
)
from gemstead.bench.text import TextSource
from gemstead.core.errors import RequestInvalid


def task(answer: str | None, match: Match) -> Task:
    return Task("t", (Turn("user", "?"),), answer, match)


@pytest.mark.parametrize(
    ("answer", "match", "text", "right"),
    [
        ("Paris", "exact", " **paris**.\n", True),
        ("Paris", "exact", "It is Paris", False),
        ("Paris", "contains", "It is paris!", True),
        ("Paris", "contains", "", False),
        ("42", "number", "17 + 25 = 42.", True),
        ("1000", "number", "The sum is 1,000", True),
        ("9.9", "number", "9.90", True),
        ("42", "number", "42 or 43", False),
        ("42", "number", "forty-two", False),
        (r"^\d{4}-\d\d$", "regex", "2024-03", True),
        (r"^\d{4}-\d\d$", "regex", "on 2024-03", False),
        (None, "exact", "anything", None),
    ],
)
def test_an_answer_is_judged_by_its_match(answer: str | None, match: Match, text: str, right: bool | None) -> None:
    assert is_right(task(answer, match), text) is right


def test_case_white_space_and_marks_around_it_do_not_change_an_answer() -> None:
    assert normalised(" `The  Answer`,\n") == normalised("the answer")
    assert normalised("a, b") != normalised("a b")


def test_a_file_gives_prompts_or_whole_conversations(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text(
        '{"prompt": "2 + 3?", "answer": 5, "match": "number"}\n\n'
        '{"name": "talk", "messages": [{"role": "system", "content": "Short."}, {"role": "user", "content": "Hi"}]}\n'
    )
    first, second = read_tasks(path)
    assert (first.name, first.answer, first.messages) == ("1", "5", (Turn("user", "2 + 3?"),))
    assert (second.name, second.answer) == ("talk", None)
    assert tasks_sha256((first,)) != tasks_sha256((second,))


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("", "0 tasks"),
        ("{cut", "line 1"),
        ('{"prompt": "a", "wrong_field": 1}', "wrong_field"),
        ('{"answer": "b"}', "prompt or messages"),
        ('{"prompt": "a", "messages": [{"role": "user", "content": "b"}]}', "one of them"),
        ('{"prompt": "a", "match": "fuzzy"}', "fuzzy"),
        ('{"prompt": "a", "answer": "five", "match": "number"}', "no number"),
        ('{"prompt": "a", "answer": "(", "match": "regex"}', "no pattern"),
        ('{"prompt": "a", "max_tokens": 0}', "max_tokens"),
        ('{"prompt": "a", "name": "x"}\n{"prompt": "b", "name": "x"}', "same name"),
        ('{"messages": [{"role": "tool", "content": "b"}]}', "tool"),
    ],
)
def test_a_line_that_is_wrong_is_named(line: str, what: str) -> None:
    with pytest.raises(RequestInvalid, match=what):
        parse_tasks(line.encode(), "f")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RequestInvalid, match="cannot be read"):
        read_tasks(tmp_path / "none.jsonl")


def test_our_own_tasks_are_some_twenty_and_can_all_be_judged() -> None:
    assert len(own_tasks()) >= 20
    assert all(one.answer is not None for one in own_tasks())


def test_the_regression_set_has_a_needle_at_each_depth_and_it_is_there_once() -> None:
    needles = [one for one in regression_tasks() if one.name.startswith("needle")]
    assert len(needles) == len(NEEDLES) == len({one.answer for one in needles})
    for one in needles:
        (turn,) = one.messages
        assert turn.content.count(one.answer or "?") == 1
    lengths = [len(one.messages[0].content.split()) for one in needles]
    assert lengths == pytest.approx([num_words for num_words, _ in NEEDLES], rel=0.2)


def test_our_own_text_is_long_enough_for_sixteen_chunks_and_the_users_is_checked(tmp_path: Path) -> None:
    # English prose has some 4.5 characters a token.
    assert len(TextSource().read()) > 16 * 512 * 4
    for content in (b"", b" \n", b"\xff\xfe"):
        path = tmp_path / "text"
        path.write_bytes(content)
        with pytest.raises(RequestInvalid):
            TextSource(path).read()
    with pytest.raises(RequestInvalid, match="cannot be read"):
        TextSource(tmp_path).read()
