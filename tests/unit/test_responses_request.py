"""What the Responses API refuses, that it names the field, and what it goes on from."""

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.api.conversations import Conversations, KeptResponse, OwnedMemory
from gemstead.api.errors import PreviousResponseUnknown, ResponseUnknown
from gemstead.api.openai.responses.items import Item, MessageItem, response_id_of, with_id
from gemstead.api.openai.responses.keep import encode_items
from gemstead.api.openai.responses.request import decode_response
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import ChatRequest, Warning

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "name": "look"}
CALL = {"type": "function_call", "call_id": "call_a", "name": "look", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_a", "output": "4"}


def memory(**limits: Any) -> OwnedMemory:
    return OwnedMemory(Conversations(**({"max_responses": 8, "max_bytes": 1 << 20, "max_idle_s": 60} | limits)), None)


def items(token: str, *raw: dict[str, Any]) -> tuple[bytes, ...]:
    parsed = [msgspec.convert({"type": "message"} | item, Item) for item in raw]
    return tuple(msgspec.json.encode(with_id(item, token, index)) for index, item in enumerate(parsed))


def kept(token: str, *turn: dict[str, Any], previous: KeptResponse | None = None) -> KeptResponse:
    """A response to the first item of `turn` that gave the others."""
    given, *made = items(token, *turn)
    return KeptResponse(f"resp_{token}", b"{}", (given,), tuple(made), previous)


def decode(store: OwnedMemory | None = None, /, **fields: Any) -> tuple[ChatRequest, tuple[Warning, ...]]:
    payload = json.dumps({"model": "m", "input": "hi"} | fields).encode()
    decoded = decode_response(store or memory(), payload)
    return decoded.request, decoded.warnings


def refusal(store: OwnedMemory | None = None, /, **fields: Any) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as caught:
        decode(store, **fields)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"input": [USER, {"role": "user"}]}, "input[1].content"),
        ({"input": [{"role": "boss", "content": "hi"}]}, "input[0].role"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input[0].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
            "input[0].content[0].type",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
        ),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].image_url"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://a/b.png"}]}]},
            "input[0].content[0].image_url",
        ),
        (
            {
                "input": [
                    {
                        "role": "user",
                        "content": [{"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}}],
                    }
                ]
            },
            "input[0].content[0].input_audio.data",
        ),
        ({"input": [OUTPUT]}, "input[0].call_id"),
        ({"input": [OUTPUT, CALL]}, "input[0].call_id"),
        ({"input": [{"type": "item_reference", "id": "msg_x_0"}]}, "input[0].id"),
        ({"input": [{"id": "msg_x"}]}, "input[0].id"),
        ({"previous_response_id": "resp_x"}, "previous_response_id"),
        ({"previous_response_id": ""}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"include": ["message.output_text.logprobs"]}, "include[0]"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"truncation": "oldest"}, "truncation"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [TOOL, {"type": "custom", "name": "x"}]}, "tools[1].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [TOOL, TOOL]}, "tools[1].name"),
        ({"tools": "look"}, "tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "see"}}, "tool_choice.name"),
        (
            {
                "tools": [TOOL],
                "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "x"}]},
            },
            "tool_choice.tools[0].name",
        ),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "web_search"}}, "tool_choice.type"),
        ({"metadata": {"k": 1}}, "metadata[...]"),
        ({"metadata": {str(n): "v" for n in range(17)}}, "metadata"),
    ],
)
def test_what_cannot_be_done_is_refused_by_the_path_of_the_field(fields: dict[str, Any], param: str) -> None:
    assert refusal(**fields).param == param


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b"\xff", b'{"model": ' + b"[" * 5000])
def test_what_is_no_json_object_is_refused(payload: bytes) -> None:
    with pytest.raises(RequestInvalid):
        decode_response(memory(), payload)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["input", "tools", "tool_choice", "text", "reasoning", "include"]), JSON))
def test_no_body_does_anything_but_decode_or_be_refused(fields: dict[str, Any]) -> None:
    with suppress(RequestInvalid):
        decode_response(memory(), json.dumps({"model": "m"} | fields).encode())


def test_a_request_goes_on_from_a_kept_response_but_not_from_its_instructions() -> None:
    store = memory()
    store.keep(kept("a", USER, {"role": "assistant", "content": "hello"}))
    request, _ = decode(store, input="again", previous_response_id="resp_a", instructions="Be brief.")
    assert [(message.role, message.text) for message in request.messages] == [
        ("system", "Be brief."),
        ("user", "hi"),
        ("assistant", "hello"),
        ("user", "again"),
    ]


def test_the_output_of_a_call_that_a_kept_response_made_is_taken() -> None:
    store = memory()
    store.keep(kept("a", USER, CALL))
    request, warnings = decode(store, input=[OUTPUT], previous_response_id="resp_a")
    assert [message.role for message in request.messages] == ["user", "assistant", "tool"]
    assert request.messages[1].tool_calls[0].id == request.messages[2].tool_call_id
    assert warnings == ()


def test_a_kept_response_can_be_gone_on_from_without_new_input() -> None:
    store = memory()
    store.keep(kept("a", USER))
    request, _ = decode(store, input=None, previous_response_id="resp_a")
    assert [message.text for message in request.messages] == ["hi"]


def test_a_reference_stands_for_the_kept_item() -> None:
    store = memory()
    response = kept("a", USER, {"role": "assistant", "content": "hello"})
    store.keep(response)
    ids = [msgspec.json.decode(item, type=Item).id for item in response.conversation()]
    request, _ = decode(store, input=[{"type": "item_reference", "id": ids[1]}, {"id": ids[0]}])
    assert [message.text for message in request.messages] == ["hello", "hi"]


@pytest.mark.parametrize("item_id", ["msg_a_9", "msg_b_0", "xyz", "msg_", "_a_0"])
def test_a_reference_to_nothing_kept_is_refused(item_id: str) -> None:
    store = memory()
    store.keep(kept("a", USER))
    with pytest.raises(ResponseUnknown) as caught:
        decode(store, input=[USER, {"type": "item_reference", "id": item_id}])
    assert caught.value.param == "input[1].id"


def test_an_unknown_previous_response_is_named() -> None:
    with pytest.raises(PreviousResponseUnknown) as caught:
        decode(previous_response_id="resp_gone")
    assert "resp_gone" in caught.value.what


@pytest.mark.parametrize(
    ("fields", "limits", "is_kept", "num_warnings"),
    [
        ({}, {}, True, 0),
        ({"store": True}, {}, True, 0),
        ({"store": False}, {}, False, 0),
        ({}, {"max_responses": 0}, False, 0),
        ({"store": True}, {"max_responses": 0}, False, 1),
        ({"store": True}, {"max_bytes": 600, "max_responses": 1}, True, 0),
        ({"store": True, "input": "x" * 600}, {"max_bytes": 600, "max_responses": 1}, False, 1),
    ],
)
def test_storing_asked_for_and_not_done_is_warned_about(
    fields: dict[str, Any], limits: dict[str, int], is_kept: bool, num_warnings: int
) -> None:
    request, warnings = decode(memory(**limits), **fields)
    assert request.raw["asked"].is_kept is is_kept
    assert [warning.param for warning in warnings] == ["store"] * num_warnings


def test_an_id_of_ours_tells_the_response_it_belongs_to() -> None:
    item = with_id(MessageItem(role="user", content="hi"), "a1b2", 3)
    assert item.id is not None
    assert response_id_of(item.id) == "resp_a1b2"
    assert response_id_of("resp_a1b2") is None


def five_items() -> KeptResponse:
    return KeptResponse("resp_a", b"{}", items("a", *(USER for _ in range(5))), ())


@pytest.mark.parametrize(
    ("query", "indices", "has_more"),
    [
        ({}, [4, 3, 2, 1, 0], False),
        ({"order": "asc"}, [0, 1, 2, 3, 4], False),
        ({"order": "asc", "limit": "2"}, [0, 1], True),
        ({"order": "asc", "limit": "2", "after": "msg_a_i1"}, [2, 3], True),
        ({"limit": "2", "after": "msg_a_i2"}, [1, 0], False),
        ({"after": "msg_a_i0"}, [], False),
        ({"include": "x", "unheard": "of"}, [4, 3, 2, 1, 0], False),
    ],
)
def test_input_items_are_listed_page_by_page(query: dict[str, str], indices: list[int], has_more: bool) -> None:
    page = json.loads(encode_items(five_items(), query))
    ids = [f"msg_a_i{index}" for index in indices]
    assert [item["id"] for item in page["data"]] == ids
    assert (page["first_id"], page["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))
    assert page["has_more"] is has_more


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"order": "up"}, "order"),
        ({"after": "msg_b_i0"}, "after"),
    ],
)
def test_a_page_that_cannot_be_is_refused(query: dict[str, str], param: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        encode_items(five_items(), query)
    assert caught.value.param == param
