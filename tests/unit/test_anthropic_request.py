"""What the Anthropic dialect refuses, that it names the field, and what becomes of what it takes."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.api.anthropic.request import decode_count, decode_messages
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Message, TextPart, Thinking

USER = {"role": "user", "content": "hi"}
TOOL = {"name": "look", "input_schema": {"type": "object"}}
CALL = {"type": "tool_use", "id": "toolu_a", "name": "look", "input": {}}


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "max_tokens": 2000, "messages": [USER]} | fields).encode()


def refusal(payload: bytes) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as caught:
        decode_messages(payload)
    return caught.value


def user_block(block: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [block]}]}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "boss", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 1.1}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"stop_sequences": [""]}, "stop_sequences[0]"),
        ({"stop_sequences": ["x"] * 65}, "stop_sequences"),
        ({"stream": "yes"}, "stream"),
        ({"container": {"id": "c"}}, "container"),
        ({"mcp_servers": [{"name": "x", "url": "https://example.com"}]}, "mcp_servers"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1023}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "between_tools"}}, "thinking.type"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        (
            {
                "output_config": {"format": {"type": "json_schema", "schema": {}}},
                "output_format": {"type": "json_schema", "schema": {"type": "object"}},
            },
            "output_format",
        ),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [TOOL, {"type": "bash_20250124", "name": "bash"}]}, "tools[1].type"),
        ({"tools": [{"name": "look"}]}, "tools[0].input_schema"),
        ({"tools": [TOOL | {"name": "no spaces"}]}, "tools[0].name"),
        ({"tools": [TOOL, TOOL]}, "tools[1].name"),
        ({"tools": [TOOL] * 129}, "tools"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tool_choice": {"type": "sometimes"}}, "tool_choice.type"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "other"}}, "tool_choice.name"),
        (user_block({"type": "video"}), "messages[0].content[0].type"),
        (
            user_block({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}),
            "messages[0].content[0].source.type",
        ),
        (
            user_block({"type": "image", "source": {"type": "file", "file_id": "file_1"}}),
            "messages[0].content[0].source.type",
        ),
        (
            user_block({"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": "aGk="}}),
            "messages[0].content[0].source",
        ),
        (
            user_block({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "a"}}),
            "messages[0].content[0].source",
        ),
        (
            user_block(
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}}
            ),
            "messages[0].content[0].source.media_type",
        ),
        (
            user_block({"type": "document", "source": {"type": "url", "url": "file:///etc/passwd"}}),
            "messages[0].content[0].source.type",
        ),
        (user_block({"type": "tool_result", "tool_use_id": "x"}), "messages[0].content[0].tool_use_id"),
        ({"messages": [USER, assistant(CALL)]}, "messages[1]"),
        ({"messages": [USER, assistant(CALL), {"role": "assistant", "content": "and"}]}, "messages[2]"),
        (
            {
                "messages": [USER, {"role": "assistant", "content": "So"}],
                "thinking": {"type": "enabled", "budget_tokens": 1024},
            },
            "messages[1]",
        ),
    ],
)
def test_a_field_that_cannot_be_done_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    error = refusal(body(**fields))
    assert error.param == param
    assert error.code == "request_invalid"


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(payload: bytes) -> None:
    assert "body" in refusal(payload).what


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["role", "content", "type", "text", "tool_use_id", "source", "user", "thinking"]), inner
            )
        ),
        max_leaves=8,
    )
)
def test_no_messages_do_worse_than_a_clear_refusal(messages: Any) -> None:
    with suppress(RequestInvalid):
        decode_messages(body(messages=messages, system=messages, tools=messages))


def test_a_count_needs_no_max_tokens_and_gives_the_prompt_of_the_answer() -> None:
    asked = {"model": "m", "system": "Be brief.", "messages": [USER], "tools": [TOOL]}
    counted = decode_count(json.dumps(asked).encode()).request
    answered = decode_messages(json.dumps(asked | {"max_tokens": 5}).encode()).request
    assert (counted.messages, counted.tools, counted.thinking) == (
        answered.messages,
        answered.tools,
        answered.thinking,
    )


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        ({}, Thinking(False)),
        ({"thinking": {"type": "disabled"}}, Thinking(False)),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, Thinking(True, 1024)),
        ({"thinking": {"type": "adaptive"}}, Thinking(True)),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, Thinking(True, 1024)),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, Thinking(True)),
    ],
)
def test_thinking_is_off_unless_asked_for(fields: dict[str, Any], thinking: Thinking) -> None:
    assert decode_messages(body(**fields)).request.thinking == thinking


def test_results_come_before_what_the_user_says_with_them() -> None:
    said = {
        "role": "user",
        "content": [{"type": "text", "text": "And?"}, {"type": "tool_result", "tool_use_id": "toolu_a"}],
    }
    messages = decode_messages(body(messages=[USER, assistant(CALL), said])).request.messages
    assert [message.role for message in messages] == ["user", "assistant", "tool", "user"]
    assert messages[2] == Message("tool", (), tool_call_id="toolu_a")


def test_a_conversation_with_unsigned_thinking_given_back_is_taken_in_silence() -> None:
    thought = {"type": "thinking", "thinking": "They greet.", "signature": "unsigned"}
    text = {"type": "text", "text": "Hello.", "citations": None}
    decoded = decode_messages(body(messages=[USER, assistant(thought, text), USER]))
    assert decoded.warnings == ()
    assert decoded.request.messages[1] == Message("assistant", (TextPart("Hello."),), reasoning="They greet.")


def test_a_thousand_cache_marks_are_one_warning() -> None:
    block = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    warnings = decode_messages(body(messages=[{"role": "user", "content": [block] * 1000}], system=[block])).warnings
    assert [warning.code for warning in warnings] == ["field_ignored"]
