"""Completions: files for request -> ChatRequest and events -> bytes, and what is refused."""

import json
from typing import Any

import msgspec
import pytest
from openai.types import Completion

from gemstead.api.dialect import Decoded, ReplyHead
from gemstead.api.openai.completions import CompletionStream, decode_completion, encode_reply
from gemstead.core.errors import EngineBusy, RequestInvalid
from gemstead.core.types import ChatRequest, Event
from gemstead.pipeline.fold import ReplyFold
from golden_files import golden

HEAD = ReplyHead(token="abc123", created_s=1700000000, model="gemma4:e2b", fingerprint="llama.cpp-b1-e2b")


def decode(**fields: Any) -> Decoded:
    return decode_completion(json.dumps({"model": "m", "prompt": "hi"} | fields).encode())


@pytest.mark.parametrize("case", golden("openai_completions", "decode"))
def test_a_request_decodes_to_its_canonical_form(case: dict[str, Any]) -> None:
    decoded = decode_completion(json.dumps(case["request"]).encode())
    assert decoded == msgspec.json.decode(json.dumps(case["decoded"]), type=Decoded)


@pytest.mark.parametrize("case", golden("openai_completions", "encode"))
def test_events_encode_to_the_bytes_of_a_stream(case: dict[str, Any]) -> None:
    request = ChatRequest(model="gemma4:e2b", messages=(), prompt=case["prompt"], raw=case["raw"])
    stream = CompletionStream(HEAD, request)
    events = msgspec.convert(case["events"], list[Event])
    encoded = b"".join(stream.feed(event) for event in events) + stream.close()
    assert encoded.decode().splitlines() == case["stream"]


@pytest.mark.parametrize("case", golden("openai_completions", "encode"))
def test_the_same_events_fold_into_one_object_the_official_client_knows(case: dict[str, Any]) -> None:
    fold = ReplyFold()
    for event in msgspec.convert(case["events"], list[Event]):
        fold.add(event)
    request = ChatRequest(model="gemma4:e2b", messages=(), prompt=case["prompt"], raw=case["raw"])
    reply = json.loads(encode_reply(HEAD, request, fold.reply()))
    assert reply == case["reply"]
    Completion.model_validate(reply, strict=True)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ["one", "two"]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": [[1, 2], [3]]}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"n": 2}, "n"),
        ({"best_of": 3}, "best_of"),
        ({"logprobs": 0}, "logprobs"),
        ({"suffix": "end"}, "suffix"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"repeat_penalty": 1.1, "repetition_penalty": 1.2}, "repetition_penalty"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        decode(**fields)
    assert caught.value.param == param


def test_a_list_of_one_prompt_is_that_prompt() -> None:
    assert decode(prompt=["hi"]) == decode(prompt="hi")


def test_without_a_length_it_is_the_documented_sixteen_tokens() -> None:
    assert decode().request.sampling.max_tokens == 16


def test_an_unknown_field_is_warned_about() -> None:
    (warning,) = decode(guided_json={}).warnings
    assert warning.param == "guided_json"


def test_an_error_in_mid_stream_is_an_event_and_no_done() -> None:
    stream = CompletionStream(HEAD, ChatRequest(model="m", messages=(), prompt="hi"))
    event = stream.fail(EngineBusy("busy"))
    assert json.loads(event.removeprefix(b"data: "))["error"]["code"] == "engine_busy"
