"""The Responses API against files: request -> ChatRequest, events -> bytes, the same events folded."""

import json
from typing import Any

import msgspec
import pytest

from gemstead.api.conversations import Conversations, KeptResponse
from gemstead.api.dialect import Decoded, ReplyHead, ResponsesRoute
from gemstead.api.dialects.openai import DIALECT
from gemstead.core.types import Event
from gemstead.pipeline.fold import ReplyFold
from golden_files import golden

HEAD = ReplyHead(token="abc123", created_s=1700000000, model="gemma4:e2b")

(RESPONSES,) = (route for route in DIALECT.routes if isinstance(route, ResponsesRoute))


class StoppedClock:
    """A memory whose clock stands still, so that what it tells can be in a file."""

    def __init__(self) -> None:
        self.conversations = Conversations(max_responses=8, max_bytes=1 << 20, max_idle_s=60)

    def find(self, response_id: str) -> KeptResponse:
        return self.conversations.find(None, response_id)

    def can_keep(self, num_bytes: int) -> bool:
        return self.conversations.can_keep(num_bytes)

    def keep(self, response: KeptResponse) -> None:
        self.conversations.keep(None, response)

    def now_s(self) -> int:
        return 1700000009


def body_of(case: dict[str, Any]) -> bytes:
    return json.dumps(case["request"]).encode()


@pytest.mark.parametrize("case", golden("responses", "decode"))
def test_a_request_decodes_to_its_canonical_form(case: dict[str, Any]) -> None:
    decoded = RESPONSES.decode(StoppedClock(), body_of(case))
    canonical = msgspec.structs.replace(decoded, request=msgspec.structs.replace(decoded.request, raw={}))
    assert canonical == msgspec.json.decode(json.dumps(case["decoded"]), type=Decoded)


@pytest.mark.parametrize("case", golden("responses", "encode"))
def test_events_encode_to_the_bytes_of_a_stream(case: dict[str, Any]) -> None:
    memory = StoppedClock()
    request = RESPONSES.decode(memory, body_of(case)).request
    stream = RESPONSES.new_stream(memory, HEAD, request)
    events = msgspec.convert(case["events"], list[Event])
    encoded = b"".join(stream.feed(event) for event in events) + stream.close()
    assert encoded.decode().splitlines() == case["stream"]


@pytest.mark.parametrize("case", golden("responses", "encode"))
def test_the_same_events_fold_into_the_response_that_ends_the_stream(case: dict[str, Any]) -> None:
    memory = StoppedClock()
    request = RESPONSES.decode(memory, body_of(case)).request
    fold = ReplyFold()
    for event in msgspec.convert(case["events"], list[Event]):
        fold.add(event)
    whole = json.loads(RESPONSES.encode_reply(memory, HEAD, request, fold.reply()))
    last = [line for line in case["stream"] if line.startswith("data: {")][-1]
    assert whole == json.loads(last.removeprefix("data: "))["response"]


@pytest.mark.parametrize("case", golden("responses", "encode"))
def test_what_is_kept_is_what_was_sent(case: dict[str, Any]) -> None:
    memory = StoppedClock()
    request = RESPONSES.decode(memory, body_of(case)).request
    fold = ReplyFold()
    for event in msgspec.convert(case["events"], list[Event]):
        fold.add(event)
    sent = RESPONSES.encode_reply(memory, HEAD, request, fold.reply())
    is_kept = case["request"].get("store") is not False
    assert len(memory.conversations) == is_kept
    if is_kept:
        assert memory.find("resp_abc123").body == sent


def test_every_event_has_the_next_number_and_its_type_as_its_name() -> None:
    for case in golden("responses", "encode"):
        lines = case.values[0]["stream"]  # type: ignore[index]
        names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
        events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
        assert [event["type"] for event in events] == names
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
