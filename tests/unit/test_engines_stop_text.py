"""Which stop text ended an answer: asked of llama-server only where there is one, and read where it says."""

import json
from typing import Any

import pytest

from gemstead.core.types import ChatRequest, Finish, Message, Sampling, TextPart
from gemstead.engines.kinds.llama_cpp import encode_chat
from gemstead.engines.openai_stream import OpenAiStreamDecoder


def ask(*roles: Any, **fields: Any) -> ChatRequest:
    return ChatRequest("m", tuple(Message(role, (TextPart("x"),)) for role in roles), **fields)


def finish_of(**verbose: Any) -> Finish:
    decoder = OpenAiStreamDecoder()
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert list(decoder.feed(json.dumps({"choices": [choice], **verbose}).encode())) == []
    (finish,) = decoder.close()
    assert isinstance(finish, Finish)
    return finish


def test_the_server_is_asked_for_it_only_with_stop_texts() -> None:
    with_stop = encode_chat(ask("user", sampling=Sampling(stop=("END",))))
    assert (with_stop["verbose"], with_stop["response_fields"]) == (True, ["stopping_word"])
    assert "verbose" not in encode_chat(ask("user"))


@pytest.mark.parametrize(
    ("said", "stop_text"),
    [
        ({"__verbose": {"stopping_word": "END"}}, "END"),
        ({"__verbose": {"stopping_word": ""}}, None),
        ({"__verbose": {}}, None),
        ({}, None),
    ],
)
def test_the_finish_names_it_where_the_engine_does(said: dict[str, Any], stop_text: str | None) -> None:
    assert finish_of(**said) == Finish("stop", stop_text)


def test_a_last_assistant_turn_is_continued_without_being_given_back() -> None:
    body = encode_chat(ask("user", "assistant"))
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert "continue_final_message" not in encode_chat(ask("user", "assistant", "user"))
