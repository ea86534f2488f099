"""What the OpenAI dialect refuses, and that it names the field."""

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.api.body import MAX_WARNINGS
from gemstead.api.media import MAX_IMAGE_BYTES
from gemstead.api.openai.request import decode_chat
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Thinking

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "look"}}


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [USER]} | fields).encode()


def refusal(payload: bytes) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as caught:
        decode_chat(payload)
    return caught.value


def user_part(part: Any) -> bytes:
    return body(messages=[{"role": "user", "content": [part]}])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [USER, {"role": "user"}]}, "messages[1].content"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "boss", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "system", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "tool", "content": "4", "tool_call_id": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "function_call": {"name": "a"}}]}, "messages[0].function_call"),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages[0].audio"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 5.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ({"repeat_penalty": 1.1, "repetition_penalty": 1.2}, "repetition_penalty"),
        ({"stop": [""]}, "stop[0]"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"logit_bias": {"hello": 1}}, "logit_bias"),
        ({"logit_bias": {"-1": 1}}, "logit_bias"),
        ({"logit_bias": {"1": 101}}, "logit_bias[...]"),
        ({"n": 2}, "n"),
        ({"n": True}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"audio": {"voice": "x", "format": "wav"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"function_call": {"name": "f"}}, "function_call"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"moderation": {"model": "x"}}, "moderation"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": True}}, "reasoning_effort"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": "yes"}, "stream"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": "no spaces"}}]}, "tools[0].function.name"),
        ({"tools": [TOOL, TOOL]}, "tools[1].function.name"),
        ({"tools": [TOOL] * 129}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "x"}}}, "tool_choice.type"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "other"}}},
            "tool_choice.function.name",
        ),
    ],
)
def test_a_field_that_cannot_be_done_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    error = refusal(body(**fields))
    assert error.param == param
    assert error.code == "request_invalid"


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"\xff\xfe", b"[]", b'"x"', b"null", b'{"model": NaN}', b"[" * 100_000, b'{"a":' * 100_000]
)
def test_a_body_that_is_no_json_object_is_refused(payload: bytes) -> None:
    assert "body" in refusal(payload).what


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_a_clear_refusal(payload: bytes) -> None:
    refusal(payload)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "tool_calls", "user"]), inner)
        ),
        max_leaves=8,
    )
)
def test_no_messages_do_worse_than_a_clear_refusal(messages: Any) -> None:
    with suppress(RequestInvalid):
        decode_chat(body(messages=messages))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://example.com/a.png", "https"),
        ("http://127.0.0.1/secret", "http"),
        ("file:///etc/passwd", "file"),
        ("FILE:///etc/passwd", "file"),
        ("/etc/passwd", "relative"),
        ("", "relative"),
        ("data:image/png,abc", "not base64"),
        ("data:text/html;base64,aGk=", "text/html"),
        ("data:image/svg+xml;base64,aGk=", "image/svg+xml"),
        ("data:image/png;base64,", "no bytes"),
        ("data:image/png;base64,a", "base64"),
        ("data:image/png;base64,aG k=", "base64"),
        ("data:image/png;base64,aGk=aGk=", "base64"),
    ],
)
def test_pictures_come_as_base64_only(url: str, says: str) -> None:
    error = refusal(user_part({"type": "image_url", "image_url": {"url": url}}))
    assert says in error.what
    assert error.param == "messages[0].content[0].image_url.url"


def test_a_picture_beyond_the_limit_is_refused_and_one_at_it_is_taken() -> None:
    def picture(num_bytes: int) -> bytes:
        encoded = base64.b64encode(bytes(num_bytes)).decode()
        return user_part({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}})

    assert "20 MiB" in refusal(picture(MAX_IMAGE_BYTES + 3)).what
    assert decode_chat(picture(MAX_IMAGE_BYTES)).request.messages[0].content


def test_sound_of_another_format_is_refused() -> None:
    error = refusal(user_part({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "flac"}}))
    assert error.param == "messages[0].content[0].input_audio.format"


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        ({}, Thinking(False)),
        ({"reasoning_effort": None}, Thinking(False)),
        ({"reasoning_effort": "none"}, Thinking(False)),
        ({"reasoning_effort": "low"}, Thinking(True, 1024)),
        ({"reasoning_effort": "high"}, Thinking(True, 24576)),
        ({"reasoning_effort": "max"}, Thinking(True)),
        ({"chat_template_kwargs": {"enable_thinking": True}}, Thinking(True)),
        ({"chat_template_kwargs": {"enable_thinking": False}}, Thinking(False)),
        ({"chat_template_kwargs": {"enable_thinking": True}, "reasoning_effort": "low"}, Thinking(True, 1024)),
    ],
)
def test_thinking_is_off_unless_asked_for(fields: dict[str, Any], thinking: Thinking) -> None:
    assert decode_chat(body(**fields)).request.thinking == thinking


def test_a_flood_of_unknown_fields_gives_a_bounded_answer() -> None:
    warnings = decode_chat(body(**{f"{'x' * 10_000}{number}": 1 for number in range(100)})).warnings
    assert len(warnings) == MAX_WARNINGS + 1
    assert warnings[-1].message == f"and {100 - MAX_WARNINGS} more fields were ignored"
    assert all(len(warning.message) < 200 for warning in warnings)
