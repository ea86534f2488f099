"""What callers of the Ollama dialect may write, and what they hear if they may not."""

import base64
import json
import math
from typing import Any

import pytest

from gemstead.api.desk import CreateModel
from gemstead.api.ollama.durations import keep_alive_s
from gemstead.api.ollama.embed import decode_embed, decode_embeddings
from gemstead.api.ollama.modelfile import read_modelfile
from gemstead.api.ollama.orders import decode_copy, decode_create, decode_delete, decode_pull, decode_show
from gemstead.api.ollama.request import decode_chat, decode_generate
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import ChatRequest, ImagePart, Message, TextPart

HI = [{"role": "user", "content": "hi"}]
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\nrest").decode()


def encoded(**fields: Any) -> bytes:
    return json.dumps({"model": "m"} | fields).encode()


def chat(**fields: Any) -> ChatRequest:
    return decode_chat(encoded(**({"messages": HI} | fields))).request


def refused(decode: Any, **fields: Any) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as caught:
        decode(encoded(**fields))
    return caught.value


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (None, None),
        (0, 0.0),
        ("0", 0.0),
        ("0s", 0.0),
        (30, 30.0),
        (1.5, 1.5),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        ("250ms", 0.25),
        ("+10s", 10.0),
        (-1, math.inf),
        ("-1m", math.inf),
        (1e12, math.inf),
    ],
)
def test_how_long_a_model_stays_is_read_as_go_reads_it(given: float | str | None, seconds: float | None) -> None:
    assert keep_alive_s(given) == seconds


@pytest.mark.parametrize("given", ["soon", "", "5", "5 m", "m5", "5m!", "--5m", "1" * 80 + "s", "5d"])
def test_what_is_no_duration_is_refused_by_name(given: str) -> None:
    assert refused(decode_chat, messages=HI, keep_alive=given).param == "keep_alive"


def test_streaming_is_what_a_body_asks_for_that_does_not_say() -> None:
    assert chat().is_stream
    assert not chat(stream=False).is_stream


@pytest.mark.parametrize(
    ("think", "is_on", "budget_tokens"),
    [(None, False, None), (False, False, None), (True, True, None), ("low", True, 1024), ("max", True, None)],
)
def test_thinking_is_off_on_or_bounded(think: bool | str | None, is_on: bool, budget_tokens: int | None) -> None:
    thinking = chat(think=think).thinking
    assert (thinking.is_on, thinking.budget_tokens) == (is_on, budget_tokens)


def test_a_level_of_thinking_that_is_not_known_is_refused() -> None:
    assert refused(decode_chat, messages=HI, think="immense").param == "think"


def test_a_format_is_json_or_a_schema() -> None:
    assert chat(format="json").response_format.kind == "json_object"
    assert chat(format="").response_format.kind == "text"
    assert chat(format={"type": "object"}).response_format.schema == {"type": "object"}
    assert refused(decode_chat, messages=HI, format="xml").param == "format"


def test_options_are_sampling_and_the_context_counted_on() -> None:
    request = chat(options={"num_ctx": 4096.0, "num_predict": 10, "seed": 7, "temperature": 0, "stop": "x", "top_k": 4})
    assert request.wanted_context == 4096
    assert (request.sampling.max_tokens, request.sampling.seed, request.sampling.stop) == (10, 7, ("x",))
    assert (request.sampling.temperature, request.sampling.top_k) == (0, 4)


def test_a_repeat_penalty_that_is_not_asked_for_is_not_made_up() -> None:
    assert chat(options={"temperature": 1}).sampling.repeat_penalty is None


@pytest.mark.parametrize("value", [-2, -1, 0])
def test_no_limit_and_no_seed_are_said_with_negative_numbers(value: int) -> None:
    assert chat(options={"num_predict": value}).sampling.max_tokens is None
    assert chat(options={"seed": min(value, -1)}).sampling.seed is None


def test_an_option_that_is_not_offered_is_warned_about_with_its_path() -> None:
    decoded = decode_chat(encoded(messages=HI, options={"mirostat": 2, "num_gpu": 99, "wild": 1, "numa": False}))
    assert [warning.param for warning in decoded.warnings] == ["options.mirostat", "options.num_gpu", "options.wild"]


@pytest.mark.parametrize(
    "options", [{"temperature": "hot"}, {"top_p": 2}, {"num_ctx": 0.5}, {"vocab_only": True}, {"stop": [""]}]
)
def test_a_bad_option_is_refused_with_its_path(options: dict[str, Any]) -> None:
    assert str(refused(decode_chat, messages=HI, options=options).param).startswith(f"options.{next(iter(options))}")


def test_too_long_conversations_are_cut_only_where_the_caller_says_so() -> None:
    assert [chat(truncate=value).context_policy for value in (None, True, False)] == [None, "drop_oldest", "refuse"]


def test_results_of_tools_find_the_calls_they_answer() -> None:
    call = {"function": {"name": "weather", "arguments": {"city": "Oslo"}}}
    other = {"id": "own", "function": {"name": "time", "arguments": {}}}
    request = chat(
        messages=[
            *HI,
            {"role": "assistant", "content": "", "tool_calls": [call, other, call]},
            {"role": "tool", "content": "12:00", "tool_name": "time"},
            {"role": "tool", "content": "rain", "tool_name": "weather"},
            {"role": "tool", "content": "snow"},
        ]
    )
    ids = [call.id for call in request.messages[1].tool_calls]
    assert ids == ["call_0", "own", "call_2"]
    assert [message.tool_call_id for message in request.messages[2:]] == ["own", "call_0", "call_2"]
    assert request.messages[1].tool_calls[0].arguments == '{"city":"Oslo"}'


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "tool", "content": "x", "tool_name": "none"}, "messages[1].tool_name"),
        ({"role": "tool", "content": "x", "tool_call_id": "c"}, "messages[1].tool_call_id"),
        ({"role": "user", "content": "x", "images": ["%%%"]}, "messages[1].images[0]"),
        ({"role": "user", "images": [base64.b64encode(b"text").decode()]}, "messages[1].images[0]"),
        ({"role": "user", "images": ["https://example.org/a.png"]}, "messages[1].images[0]"),
        ({"role": "user", "content": "x", "thinking": "y"}, "messages[1].thinking"),
        ({"role": "wizard", "content": "x"}, "messages[1].role"),
    ],
)
def test_a_bad_message_is_refused_with_its_path(message: dict[str, Any], param: str) -> None:
    assert refused(decode_chat, messages=[*HI, message]).param == param


def test_pictures_come_before_the_text_they_belong_to() -> None:
    (message,) = chat(messages=[{"role": "user", "content": "what?", "images": [PNG]}]).messages
    assert [type(part) for part in message.content] == [ImagePart, TextPart]


def test_two_tools_of_one_name_are_refused() -> None:
    tool = {"type": "function", "function": {"name": "t"}}
    assert refused(decode_chat, messages=HI, tools=[tool, tool]).param == "tools[1].function.name"


def test_a_prompt_is_a_conversation_of_one_turn() -> None:
    request = decode_generate(encoded(prompt="hi", system="be brief")).request
    assert request.messages == (Message("system", (TextPart("be brief"),)), Message("user", (TextPart("hi"),)))
    assert request.prompt is None


def test_a_raw_prompt_has_no_template_around_it() -> None:
    request = decode_generate(encoded(prompt="once", raw=True)).request
    assert (request.prompt, request.messages) == ("once", ())
    assert refused(decode_generate, prompt="once", raw=True, system="s").param == "system"
    assert refused(decode_generate, prompt="once", raw=True, think=True).param == "think"


@pytest.mark.parametrize("fields", [{}, {"prompt": ""}, {"prompt": "", "raw": True}, {"keep_alive": 0}])
def test_nothing_to_answer_is_a_request_to_load(fields: dict[str, Any]) -> None:
    assert decode_generate(encoded(**fields)).request.is_load
    assert decode_chat(encoded(messages=[], **fields)).request.is_load


@pytest.mark.parametrize("field", ["suffix", "template", "context", "width"])
def test_what_generate_cannot_do_is_refused_by_name(field: str) -> None:
    assert refused(decode_generate, prompt="hi", **{field: [1] if field == "context" else "x"}).param == field


@pytest.mark.parametrize("decode", [decode_chat, decode_generate, decode_show, decode_pull, decode_create, decode_copy])
@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b"\xff", b'{"model":3}', b"[" * 100_000])
def test_a_body_that_is_no_request_is_refused(decode: Any, payload: bytes) -> None:
    with pytest.raises(RequestInvalid):
        decode(payload)


def test_texts_to_embed_are_one_or_many() -> None:
    assert decode_embed(encoded(input="a")).request.texts == ("a",)
    decoded = decode_embed(encoded(input=["a", "b"], truncate=True, keep_alive="1m"))
    assert (decoded.request.texts, decoded.request.keep_alive_s) == (("a", "b"), 60.0)
    assert [warning.param for warning in decoded.warnings] == ["truncate"]
    assert decode_embeddings(encoded(prompt="a")).request.texts == ("a",)


def test_a_name_may_be_called_model_or_name_and_end_in_latest() -> None:
    assert decode_delete(b'{"name":"mine:latest"}').order == decode_delete(b'{"model":"mine"}').order
    with pytest.raises(RequestInvalid, match="contradict"):
        decode_show(b'{"name":"a","model":"b"}')
    with pytest.raises(RequestInvalid, match="model is missing"):
        decode_show(b"{}")


def test_a_model_is_created_from_fields_or_from_a_modelfile() -> None:
    modelfile = '''
    # a comment
    FROM gemma4:e2b
    PARAMETER temperature 0.5
    PARAMETER stop "END"
    PARAMETER stop two words
    SYSTEM """You are
a parrot."""
    LICENSE MIT
    '''
    told = decode_create(encoded(name="m", modelfile=modelfile)).work
    assert isinstance(told, CreateModel)
    assert (told.source, told.system, told.licence) == ("gemma4:e2b", "You are\na parrot.", "MIT")
    assert told.sampling.temperature == 0.5
    assert told.sampling.stop == ("END", "two words")
    fields = {"from": "gemma4:e2b", "parameters": {"temperature": 0.7, "num_ctx": 4096}, "license": ["A", "B"]}
    asked = decode_create(encoded(**fields, stream=False))
    assert isinstance(asked.work, CreateModel)
    assert (asked.work.wanted_context, asked.work.licence, asked.is_stream) == (4096, "A\nB", False)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "from"),
        ({"from": "a", "parameters": {"num_gpu": 1}}, "parameters.num_gpu"),
        ({"from": "a", "parameters": {"wild": 1}}, "parameters.wild"),
        ({"from": "a", "parameters": {"top_p": 7}}, "parameters.top_p"),
        ({"from": "a", "adapters": {"x": "y"}}, "adapters"),
        ({"from": "a", "files": {"x": "y"}}, "files"),
        ({"modelfile": "FROM a\nTEMPLATE x"}, "modelfile"),
        ({"modelfile": "FROM a\nADAPTER x"}, "modelfile"),
        ({"modelfile": "nonsense"}, "modelfile"),
    ],
)
def test_what_a_created_model_cannot_keep_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    assert refused(decode_create, **fields).param == param


@pytest.mark.parametrize("text", ['SYSTEM """never closed', "PARAMETER stop", "x" * 300_000])
def test_a_modelfile_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(RequestInvalid):
        read_modelfile(text)


def test_an_empty_modelfile_says_nothing() -> None:
    assert read_modelfile("\n  # only a comment\n\n") == {}
