import base64

import pytest

from gemstead.core.errors import RequestInvalid
from gemstead.core.types import (
    AudioPart,
    ChatRequest,
    ImagePart,
    Message,
    ResponseFormat,
    Sampling,
    TextPart,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    VideoPart,
)
from gemstead.engines.kinds.llama_cpp import encode_chat

USER = Message("user", (TextPart("hi"),))
TOOLS = (Tool("weather", "Look outside", {"type": "object", "properties": {"city": {"type": "string"}}}), Tool("stop"))


def test_text_is_one_string_and_media_become_parts_with_the_bytes_inside() -> None:
    message = Message("user", (TextPart("see"), ImagePart(b"png", "image/png"), AudioPart(b"wav", "audio/wav")))
    first, second = encode_chat(ChatRequest("m", (Message("user", (TextPart("a"), TextPart("b"))), message)))[
        "messages"
    ]
    assert first == {"role": "user", "content": "ab"}
    text, image, audio = second["content"]
    assert text == {"type": "text", "text": "see"}
    assert image["image_url"]["url"] == "data:image/png;base64," + base64.b64encode(b"png").decode()
    assert audio["input_audio"] == {"data": base64.b64encode(b"wav").decode(), "format": "wav"}


@pytest.mark.parametrize("part", [VideoPart(b"v", "video/mp4"), AudioPart(b"a", "audio/midi")])
def test_media_the_engine_cannot_take_is_refused(part: VideoPart | AudioPart) -> None:
    with pytest.raises(RequestInvalid, match=part.media_type):
        encode_chat(ChatRequest("m", (Message("user", (part,)),)))


def test_no_messages_are_refused() -> None:
    with pytest.raises(RequestInvalid, match="no messages"):
        encode_chat(ChatRequest("m", ()))


def test_tool_calls_results_and_reasoning_keep_their_places() -> None:
    asked = Message("assistant", tool_calls=(ToolCall("c1", "weather", '{"city":"Bern"}'),), reasoning="look outside")
    told = Message("tool", (TextPart("rain"),), tool_call_id="c1", name="weather")
    assistant, tool = encode_chat(ChatRequest("m", (asked, told)))["messages"]
    function = {"name": "weather", "arguments": '{"city":"Bern"}'}
    assert assistant["tool_calls"] == [{"id": "c1", "type": "function", "function": function}]
    assert assistant["reasoning_content"] == "look outside"
    assert tool == {"role": "tool", "content": "rain", "tool_call_id": "c1", "name": "weather"}


@pytest.mark.parametrize("mode", ["auto", "none", "required"])
def test_a_tool_choice_is_sent_as_its_word(mode: str) -> None:
    body = encode_chat(ChatRequest("m", (USER,), tools=TOOLS, tool_choice=ToolChoice(mode)))  # type: ignore[arg-type]
    assert body["tool_choice"] == mode
    assert [tool["function"]["name"] for tool in body["tools"]] == ["weather", "stop"]


def test_a_named_function_is_required_by_offering_nothing_else() -> None:
    body = encode_chat(ChatRequest("m", (USER,), tools=TOOLS, tool_choice=ToolChoice("named", "stop")))
    assert body["tool_choice"] == "required"
    assert [tool["function"]["name"] for tool in body["tools"]] == ["stop"]


def test_a_named_function_that_is_not_offered_is_refused() -> None:
    with pytest.raises(RequestInvalid, match="'fly'"):
        encode_chat(ChatRequest("m", (USER,), tools=TOOLS, tool_choice=ToolChoice("named", "fly")))


def test_a_tool_without_parameters_is_offered_with_an_empty_object() -> None:
    (tool,) = encode_chat(ChatRequest("m", (USER,), tools=(Tool("stop"),)))["tools"]
    assert tool["function"]["parameters"] == {"type": "object", "properties": {}}


def test_parallel_calls_are_forbidden_only_when_asked() -> None:
    assert "parallel_tool_calls" not in encode_chat(ChatRequest("m", (USER,), tools=TOOLS))
    body = encode_chat(ChatRequest("m", (USER,), tools=TOOLS, has_parallel_tool_calls=False))
    assert body["parallel_tool_calls"] is False


def test_only_the_sampling_that_was_set_is_sent() -> None:
    plain = encode_chat(ChatRequest("m", (USER,)))
    assert not {"temperature", "top_p", "seed", "stop", "max_tokens", "logit_bias"} & plain.keys()
    sampling = Sampling(temperature=0.0, top_k=1, stop=("END",), max_tokens=0, logit_bias={7: -100.0})
    body = encode_chat(ChatRequest("m", (USER,), sampling=sampling))
    assert body["temperature"] == 0.0
    assert body["top_k"] == 1
    assert body["stop"] == ["END"]
    assert body["max_tokens"] == 0
    assert body["logit_bias"] == {"7": -100.0}


@pytest.mark.parametrize(
    ("asked", "sent"), [(0, 0), (2**32 - 2, 2**32 - 2), (2**32 - 1, 0), (2**63, 2**63 % (2**32 - 1))]
)
def test_a_seed_is_never_the_one_that_means_random(asked: int, sent: int) -> None:
    assert encode_chat(ChatRequest("m", (USER,), sampling=Sampling(seed=asked)))["seed"] == sent


def test_thinking_is_said_every_time() -> None:
    off = encode_chat(ChatRequest("m", (USER,)))
    assert off["chat_template_kwargs"] == {"enable_thinking": False}
    assert "reasoning_budget_tokens" not in off
    on = encode_chat(ChatRequest("m", (USER,), thinking=Thinking(is_on=True, budget_tokens=256)))
    assert on["chat_template_kwargs"] == {"enable_thinking": True}
    assert on["reasoning_budget_tokens"] == 256


def test_a_schema_is_sent_in_its_wrapper() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    body = encode_chat(ChatRequest("m", (USER,), response_format=ResponseFormat("json_schema", schema, "pair")))
    assert body["response_format"]["json_schema"] == {"name": "pair", "schema": schema, "strict": True}
    plain = encode_chat(ChatRequest("m", (USER,), response_format=ResponseFormat("json_object")))
    assert plain["response_format"] == {"type": "json_object"}


def test_the_engine_always_streams_and_tells_its_usage() -> None:
    body = encode_chat(ChatRequest("m", (USER,)))
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
