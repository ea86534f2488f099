"""The OpenAI dialect against files: request -> ChatRequest, events -> bytes."""

import json
from typing import Any

import msgspec
import pytest

from gemstead.api.dialect import ChatRoute, Decoded, ReplyHead
from gemstead.api.dialects.openai import DIALECT
from gemstead.core.errors import (
    ContextOverflow,
    EngineBusy,
    GemsteadError,
    NameUnknown,
    PolicyRefused,
    RequestInvalid,
)
from gemstead.core.types import ChatRequest, Event
from gemstead.pipeline.fold import ReplyFold
from golden_files import golden, golden_error

HEAD = ReplyHead(token="abc123", created_s=1700000000, model="gemma4:e2b", fingerprint="llama.cpp-b1-e2b")

CHAT = next(route for route in DIALECT.routes if isinstance(route, ChatRoute))


@pytest.mark.parametrize("case", golden("openai", "decode"))
def test_a_request_decodes_to_its_canonical_form(case: dict[str, Any]) -> None:
    decoded = CHAT.decode(json.dumps(case["request"]).encode())
    assert decoded == msgspec.json.decode(json.dumps(case["decoded"]), type=Decoded)


@pytest.mark.parametrize("case", golden("openai", "encode"))
def test_events_encode_to_the_bytes_of_a_stream(case: dict[str, Any]) -> None:
    stream = CHAT.new_stream(HEAD, ChatRequest(model="gemma4:e2b", messages=(), raw=case["raw"]))
    events = msgspec.convert(case["events"], list[Event])
    encoded = b"".join(stream.feed(event) for event in events) + stream.close()
    assert encoded.decode().splitlines() == case["stream"]


@pytest.mark.parametrize("case", golden("openai", "encode"))
def test_the_same_events_fold_into_one_object(case: dict[str, Any]) -> None:
    fold = ReplyFold()
    for event in msgspec.convert(case["events"], list[Event]):
        fold.add(event)
    request = ChatRequest(model="gemma4:e2b", messages=(), raw=case["raw"])
    assert json.loads(CHAT.encode_reply(HEAD, request, fold.reply())) == case["reply"]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("overflow", ContextOverflow("too long", prompt_tokens=9, context_length=8, hint="cut it")),
        ("model", NameUnknown("model", "gema4", ["gemma4:e2b"], param="model")),
        ("field", RequestInvalid("n is not supported", param="n", why="one choice")),
        ("busy", EngineBusy("busy", retry_after_s=1)),
        ("policy", PolicyRefused("no")),
        ("internal", GemsteadError("internal error")),
    ],
)
def test_errors_have_the_shape_clients_read(name: str, error: GemsteadError) -> None:
    assert json.loads(DIALECT.encode_error(error)) == golden_error("openai", name)


def test_an_error_in_mid_stream_is_an_event_and_no_done() -> None:
    stream = CHAT.new_stream(HEAD, ChatRequest(model="m", messages=()))
    event = stream.fail(EngineBusy("busy"))
    assert event == b"data: " + DIALECT.encode_error(EngineBusy("busy")) + b"\n\n"
