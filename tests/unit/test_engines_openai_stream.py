import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.core.errors import ContextOverflow, EngineFailed
from gemstead.core.types import Event, Finish, ReasoningDelta, TextDelta, Timings, ToolCallDelta, Usage
from gemstead.engines.openai_stream import OpenAiStreamDecoder
from gemstead.engines.sse import SseParser


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **fields: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return b"data: " + json.dumps({"choices": choices, "object": "chat.completion.chunk", **fields}).encode() + b"\n\n"


def call(index: int, **function: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "function": function}]}


USAGE = {"prompt_tokens": 9, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 5}}
TIMINGS = {"cache_n": 5, "prompt_n": 4, "prompt_ms": 20.0, "predicted_n": 7, "predicted_ms": 350.0, "extra": [1]}
STREAM = b"".join(
    (
        chunk({"role": "assistant", "content": None}),
        chunk({"reasoning_content": "hm "}),
        b": ping\n\n",
        chunk({"content": "日本 "}),
        chunk({"content": "\U0001f600"}),
        chunk({"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "weather"}}]}),
        chunk(call(0, arguments='{"city":')),
        chunk(call(0, arguments='"Bern"}')),
        chunk({}, "tool_calls"),
        chunk(usage=USAGE, timings=TIMINGS),
        b"data: [DONE]\n\n",
    )
)
EVENTS: list[Event] = [
    ReasoningDelta("hm "),
    TextDelta("日本 "),
    TextDelta("\U0001f600"),
    ToolCallDelta(0, "c1", "weather"),
    ToolCallDelta(0, arguments='{"city":'),
    ToolCallDelta(0, arguments='"Bern"}'),
    Usage(9, 7, cached_tokens=5, timings=Timings(4, 0.02, 7, 0.35)),
    Finish("tool_calls"),
]


def decode(*chunks: bytes) -> list[Event]:
    parser, decoder = SseParser(), OpenAiStreamDecoder()
    events = [event for part in chunks for payload in parser.feed(part) for event in decoder.feed(payload)]
    return [*events, *decoder.close()]


def test_a_stream_becomes_deltas_then_usage_then_one_finish() -> None:
    assert decode(STREAM) == EVENTS


def test_a_cut_at_every_byte_boundary_gives_the_same_events() -> None:
    for cut in range(len(STREAM) + 1):
        assert decode(STREAM[:cut], STREAM[cut:]) == EVENTS, cut


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_any_number_of_cuts_gives_the_same_events(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert decode(*(STREAM[start:end] for start, end in pairwise(edges))) == EVENTS


def test_what_speculation_guessed_and_got_right_is_in_the_timings() -> None:
    timings = {"predicted_n": 7, "predicted_ms": 350.0, "draft_n": 5, "draft_n_accepted": 4}
    usage = decode(chunk({"content": "hi"}), chunk({}, "stop"), chunk(usage=USAGE, timings=timings))[1]
    assert isinstance(usage, Usage)
    assert usage.timings == Timings(decode_tokens=7, decode_s=0.35, drafted_tokens=5, accepted_tokens=4)


def test_a_stream_that_just_ends_after_its_finish_reason_is_complete() -> None:
    assert decode(chunk({"content": "hi"}), chunk({}, "stop")) == [TextDelta("hi"), Finish("stop")]


@pytest.mark.parametrize("stream", [b"", chunk({"content": "hi"}), chunk({"content": "hi"}) + b"data: [DONE]\n\n"])
def test_an_end_without_a_finish_reason_is_a_failure_not_a_silent_end(stream: bytes) -> None:
    with pytest.raises(EngineFailed, match="without a finish reason"):
        decode(stream)


@pytest.mark.parametrize(
    "payload",
    [b'{"choices": [{"delta"', b"[]", b'{"choices": 3}', b'{"choices": [{"delta": {"content": 5}}]}', b"\xff"],
)
def test_a_broken_chunk_is_a_failure_of_the_engine(payload: bytes) -> None:
    with pytest.raises(EngineFailed, match="broken chunk"):
        list(OpenAiStreamDecoder().feed(payload))


def test_an_unknown_finish_reason_is_a_failure_of_the_engine() -> None:
    with pytest.raises(EngineFailed, match="'tired'"):
        decode(chunk({}, "tired"))


def test_a_second_choice_is_a_failure_of_the_engine() -> None:
    with pytest.raises(EngineFailed, match="choice 1"):
        list(OpenAiStreamDecoder().feed(b'{"choices": [{"index": 1, "delta": {"content": "x"}}]}'))


def test_an_error_event_in_mid_stream_is_raised_as_what_it_says() -> None:
    overflow = {"code": 400, "type": "exceed_context_size_error", "message": "m", "n_prompt_tokens": 9, "n_ctx": 8}
    with pytest.raises(ContextOverflow) as refused:
        decode(chunk({"content": "a"}), chunk(error=overflow))
    assert (refused.value.prompt_tokens, refused.value.context_length) == (9, 8)
    with pytest.raises(EngineFailed, match="compute error"):
        decode(chunk(error={"code": 500, "message": "compute error"}))


def test_nothing_comes_after_done() -> None:
    assert decode(STREAM, chunk({"content": "late"})) == EVENTS
