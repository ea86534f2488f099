from gemstead.core.types import Finish, ReasoningDelta, TextDelta, ToolCall, ToolCallDelta, Usage, Warning
from gemstead.pipeline.fold import FoldedReply, ReplyFold


def test_events_fold_into_one_reply() -> None:
    fold = ReplyFold()
    warning = Warning("w", "said")
    for event in (
        warning,
        ReasoningDelta("hm"),
        ReasoningDelta("m"),
        TextDelta("a"),
        TextDelta("b"),
        Usage(1, 2),
        Finish("stop"),
    ):
        fold.add(event)
    assert fold.reply() == FoldedReply("stop", "ab", "hmm", (), Usage(1, 2), (warning,))


def test_the_pieces_of_interleaved_tool_calls_find_each_other() -> None:
    fold = ReplyFold()
    for event in (
        ToolCallDelta(1, name="second"),
        ToolCallDelta(0, id="a", name="first"),
        ToolCallDelta(1, arguments='{"x"'),
        ToolCallDelta(0, arguments="{}"),
        ToolCallDelta(1, arguments=":1}"),
        Finish("tool_calls"),
    ):
        fold.add(event)
    assert fold.reply().tool_calls == (ToolCall("a", "first", "{}"), ToolCall("call_1", "second", '{"x":1}'))
