"""Replies of a Gemma 4 model, read into events: a corpus of them, cut everywhere, and whatever else may come."""

import tomllib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gemstead.core.types import Event, ReasoningDelta, TextDelta, ToolCallDelta
from gemstead.gemma.markers import MARKERS
from gemstead.gemma.reply import MAX_CALL_CHARS, MAX_UNPARSED_CALLS, MAX_UNPARSED_CHARS, ReplyParser

CASES = tomllib.loads((Path(__file__).parents[1] / "golden" / "gemma_replies.toml").read_text())["case"]

LONGEST_HELD_CHARS = max(map(len, MARKERS)) - 1

Reading = tuple[list[dict[str, str]], list[str], list[str]]


def described(events: Iterable[Event]) -> list[dict[str, str]]:
    """As the corpus writes them: neighbours of one kind joined."""
    joined: list[dict[str, str]] = []
    for event in events:
        if isinstance(event, ToolCallDelta):
            assert event.name is not None
            joined.append({"call": event.name, "arguments": event.arguments})
            continue
        assert isinstance(event, TextDelta | ReasoningDelta)
        kind = "text" if isinstance(event, TextDelta) else "reasoning"
        if joined and kind in joined[-1]:
            joined[-1][kind] += event.text
        else:
            joined.append({kind: event.text})
    return joined


def read(chunks: Iterable[str], *, is_in_reasoning: bool = False) -> Reading:
    parser = ReplyParser(is_in_reasoning=is_in_reasoning)
    events = [event for chunk in chunks for event in parser.feed(chunk)] + parser.close()
    return described(events), list(parser.leaks), parser.unparsed_calls


def cut(text: str, places: Iterable[int]) -> list[str]:
    edges = [0, *sorted(places), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_reply_gives_its_events_and_leaks(case: dict[str, Any]) -> None:
    reading = read([case["reply"]], is_in_reasoning=case.get("starts_in_reasoning", False))
    assert reading == (case["events"], case.get("leaks", []), case.get("unparsed", []))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_reply_cut_anywhere_gives_the_same(case: dict[str, Any]) -> None:
    reply, starts = case["reply"], case.get("starts_in_reasoning", False)
    whole = read([reply], is_in_reasoning=starts)
    assert read(reply, is_in_reasoning=starts) == whole
    for place in range(len(reply) + 1):
        assert read(cut(reply, [place]), is_in_reasoning=starts) == whole


def test_the_corpus_has_no_name_twice() -> None:
    names = [case["name"] for case in CASES]
    assert len(names) >= 60
    assert sorted(set(names)) == sorted(names)


pieces = st.sampled_from(
    [*MARKERS, "<unused24>", "call:f", "{", "}", "[", "]", "a:", ",", "1", "true", '"', "'", "-", "\n"]
)
replies = st.lists(pieces | st.text(max_size=8), max_size=24).map("".join)


@settings(max_examples=300, deadline=None)
@example(reply='<|turn>model\n<|tool_call>call:f{a:<|"|>x<|"|>}<tool_call|>', places=[3, 9, 14], starts=False)
@given(reply=replies, places=st.lists(st.integers(0, 200), max_size=6), starts=st.booleans())
def test_no_reply_raises_and_no_cut_matters(reply: str, places: list[int], starts: bool) -> None:
    whole = read([reply], is_in_reasoning=starts)
    assert read(cut(reply, [min(place, len(reply)) for place in places]), is_in_reasoning=starts) == whole
    assert read(reply, is_in_reasoning=starts) == whole


@settings(max_examples=200, deadline=None)
@given(reply=replies)
def test_no_marker_passes_into_text_or_reasoning(reply: str) -> None:
    parser = ReplyParser()
    for event in parser.feed(reply) + parser.close():
        if isinstance(event, TextDelta | ReasoningDelta):
            assert not [marker for marker in MARKERS if marker in event.text]


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_characters="<", exclude_categories=["Cs"])))
def test_text_without_a_marker_passes_unchanged(text: str) -> None:
    assert read([text]) == ([{"text": text}] if text else [], [], [])


@settings(max_examples=200, deadline=None)
@given(reply=replies)
def test_of_plain_text_no_more_than_a_begun_marker_is_held_back(reply: str) -> None:
    parser = ReplyParser()
    given_out = "".join(event.text for event in parser.feed("Hello. " + reply) if isinstance(event, TextDelta))
    rest = "".join(event.text for event in parser.close() if isinstance(event, TextDelta))
    assert given_out.startswith("Hello. ")
    assert len(rest) <= LONGEST_HELD_CHARS


def test_a_sign_that_cannot_become_a_token_is_released_at_once() -> None:
    parser = ReplyParser()
    assert described(parser.feed("a <")) == [{"text": "a "}]
    assert described(parser.feed("= b")) == [{"text": "<= b"}]


def test_calls_are_numbered_in_order() -> None:
    parser = ReplyParser()
    events = parser.feed(
        "<|tool_call>call:a{}<tool_call|><|tool_call>call:b{x}<tool_call|><|tool_call>call:c{}<tool_call|>"
    )
    assert events == [ToolCallDelta(0, "call_0", "a", "{}"), ToolCallDelta(1, "call_1", "c", "{}")]


def test_a_call_is_given_out_when_its_closing_token_has_come() -> None:
    parser = ReplyParser()
    assert parser.feed("<|tool_call>call:a{}<tool_call|") == []
    assert parser.feed(">") == [ToolCallDelta(0, "call_0", "a", "{}")]


def test_a_call_that_never_closes_is_reported_at_its_bound_and_keeps_no_more() -> None:
    parser = ReplyParser()
    parser.feed('<|tool_call>call:f{a:<|"|>')
    for _ in range(MAX_CALL_CHARS // 4096):
        assert parser.feed("x" * 4096) == []
    assert parser.leaks == ["unparsed_call"]
    parser.feed('<|"|>}<tool_call|>')
    assert parser.feed("On we go.") == [TextDelta("On we go.")]
    assert [len(raw) for raw in parser.unparsed_calls] == [MAX_UNPARSED_CHARS]


def test_a_call_just_within_its_bound_is_read() -> None:
    head, tail = 'call:f{a:<|"|>', '<|"|>}'
    value = "x" * (MAX_CALL_CHARS - len(head) - len(tail))
    events, leaks, _ = read([f"<|tool_call>{head}{value}{tail}<tool_call|>"])
    assert events == [{"call": "f", "arguments": f'{{"a":"{value}"}}'}]
    assert leaks == []


def test_of_many_broken_calls_only_some_are_kept() -> None:
    _, leaks, unparsed = read(["<|tool_call>call:f{x}<tool_call|>"] * 50)
    assert leaks == ["unparsed_call"]
    assert len(unparsed) == MAX_UNPARSED_CALLS


def test_a_leak_is_named_once_however_often_it_comes() -> None:
    assert read(["a<channel|>"] * 1000)[1] == ["stray_channel_marker"]


def test_deep_nesting_is_reported_and_does_not_overflow_the_stack() -> None:
    for bracket in ("{a:", "["):
        events, leaks, _ = read(["<|tool_call>call:f{a:", bracket * 100_000, "<tool_call|>"])
        assert (events, leaks) == ([], ["unparsed_call"])
