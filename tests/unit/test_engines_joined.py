"""What arrived together goes on together, in order, and nothing is lost before an error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gemstead.core.errors import EngineFailed
from gemstead.core.types import Event, Finish, ReasoningDelta, TextDelta, ToolCallDelta
from gemstead.engines.joined import joined


def test_adjacent_deltas_of_one_kind_become_one() -> None:
    events: list[Event] = [
        ReasoningDelta("a"),
        ReasoningDelta("b"),
        TextDelta("c"),
        TextDelta("d"),
        ToolCallDelta(0, "call_0", "f"),
        TextDelta("e"),
        Finish("stop"),
    ]
    assert list(joined(events)) == [
        ReasoningDelta("ab"),
        TextDelta("cd"),
        ToolCallDelta(0, "call_0", "f"),
        TextDelta("e"),
        Finish("stop"),
    ]


def test_text_before_an_error_is_given_first() -> None:
    def failing() -> Iterator[Event]:
        yield TextDelta("a")
        yield TextDelta("b")
        raise EngineFailed("it broke")

    given: list[Event] = []
    with pytest.raises(EngineFailed):
        given.extend(joined(failing()))
    assert given == [TextDelta("ab")]
