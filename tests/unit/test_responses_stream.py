"""The order of a response's events, whatever order the engine's come in; and how one ends that broke off."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.api.conversations import Conversations, OwnedMemory
from gemstead.api.dialect import ReplyHead
from gemstead.api.openai.responses.request import decode_response
from gemstead.api.openai.responses.stream import ResponseStream
from gemstead.core.errors import ContextOverflow, EngineFailed, GemsteadError
from gemstead.core.types import Event, Finish, FinishReason, ReasoningDelta, TextDelta, ToolCallDelta, Usage

DONE = b"data: [DONE]\n\n"

TEXT = st.text(st.characters(categories=["L"]), min_size=1, max_size=3)
CALLS = st.builds(ToolCallDelta, st.integers(0, 2), st.none() | st.just("call_x"), st.just("look"), TEXT | st.just(""))
DELTAS = st.lists(st.builds(TextDelta, TEXT) | st.builds(ReasoningDelta, TEXT) | CALLS, max_size=12)


def new_stream(memory: OwnedMemory, **fields: Any) -> ResponseStream:
    body = json.dumps({"model": "m", "input": "hi"} | fields).encode()
    head = ReplyHead(token="abc", created_s=1, model="m")
    return ResponseStream(memory, head, decode_response(memory, body).request)


def remembering() -> OwnedMemory:
    return OwnedMemory(Conversations(max_responses=8, max_bytes=1 << 20, max_idle_s=60), None)


def told(payload: bytes) -> list[dict[str, Any]]:
    """The events of whole server-sent events, each under its own name and with the next number."""
    assert payload.endswith(DONE)
    events = []
    for number, block in enumerate(payload.removesuffix(DONE).split(b"\n\n")[:-1]):
        name, content = block.split(b"\n")
        event = json.loads(content.removeprefix(b"data: "))
        assert name == b"event: " + event["type"].encode()
        assert event["sequence_number"] == number
        events.append(event)
    return events


def stream_events(events: Sequence[Event], **fields: Any) -> list[dict[str, Any]]:
    stream = new_stream(remembering(), **fields)
    return told(b"".join(stream.feed(event) for event in events) + stream.close())


@given(DELTAS, st.sampled_from(["stop", "length", "tool_calls"]), st.sampled_from([None, "auto"]))
def test_each_item_is_added_then_filled_then_done_and_stands_in_the_end_as_it_was_done(
    deltas: list[Event], reason: FinishReason, summary: str | None
) -> None:
    events = stream_events([*deltas, Usage(1, 1), Finish(reason)], reasoning={"effort": "low", "summary": summary})
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    added = [event for event in events if event["type"] == "response.output_item.added"]
    assert [event["output_index"] for event in added] == list(range(len(added)))
    final = events[-1]["response"]["output"]
    assert len(final) == len(added)
    for index, item in enumerate(final):
        steps = [event for event in events if event.get("output_index") == index]
        assert steps[0]["item"]["id"] == item["id"]
        assert steps[0]["type"] == "response.output_item.added"
        assert steps[-1]["type"] == "response.output_item.done"
        assert steps[-1]["item"] == item
        pieces = "".join(event["delta"] for event in steps if event["type"].endswith(".delta"))
        assert pieces == text_of(item)


def text_of(item: dict[str, Any]) -> str:
    if item["type"] == "function_call":
        return str(item["arguments"])
    return "".join(part["text"] for part in [*item.get("content", []), *item.get("summary", [])])


def test_text_after_a_call_is_a_message_of_its_own() -> None:
    events = stream_events(
        [TextDelta("a"), ToolCallDelta(0, "x", "look", "{}"), TextDelta("b"), Usage(1, 1), Finish("stop")]
    )
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["message", "function_call", "message"]


def test_only_the_last_item_of_a_reply_cut_short_is_incomplete() -> None:
    events = stream_events(
        [ToolCallDelta(0, "x", "look", "{}"), ToolCallDelta(1, "y", "look", "{"), Usage(1, 1), Finish("length")]
    )
    assert [item["status"] for item in events[-1]["response"]["output"]] == ["completed", "incomplete"]


@pytest.mark.parametrize(
    ("error", "code", "param"),
    [
        (EngineFailed("it crashed"), "engine_failed", None),
        (ContextOverflow("too long"), "context_length_exceeded", None),
        (GemsteadError("internal error"), "internal_error", None),
    ],
)
def test_a_reply_that_breaks_off_ends_with_the_error_and_the_failed_response(
    error: GemsteadError, code: str, param: str | None
) -> None:
    memory = remembering()
    stream = new_stream(memory)
    events = told(stream.feed(TextDelta("Half")) + stream.fail(error))
    failure, last = events[-2:]
    assert failure["type"] == "error"
    assert (failure["code"], failure["message"], failure["param"]) == (code, error.what, param)
    assert (failure["error"]["code"], failure["error"]["message"]) == (code, error.what)
    assert last["type"] == "response.failed"
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"] == {"code": code, "message": error.what}
    assert text_of(last["response"]["output"][0]) == "Half"
    assert len(memory.conversations) == 0


def test_a_call_without_an_id_of_its_own_gets_one_that_no_other_turn_has() -> None:
    events = stream_events([ToolCallDelta(0, None, "look", "{}"), Usage(1, 1), Finish("tool_calls")])
    assert events[-1]["response"]["output"][0]["call_id"] == "call_abc_0"
