"""Raw prompts and embeddings on the engine's side: bodies, answers, command line."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fake_engine import small_plan
from gemstead.core.errors import EngineFailed, RequestInvalid
from gemstead.core.types import (
    ChatRequest,
    Embeddings,
    EmbedRequest,
    Finish,
    ResponseFormat,
    Sampling,
    TextDelta,
    Usage,
)
from gemstead.engines.base import Endpoint, Installation
from gemstead.engines.client import EngineClient
from gemstead.engines.kinds.llama_cpp import ENGINE, SEED_MODULUS, command, encode_complete
from gemstead.engines.openai_embed import EMBED
from gemstead.engines.openai_stream import OpenAiStreamDecoder

HERE = Endpoint(api_key="k", socket_path=Path("/run/e.sock"))
PROGRAM = Installation("llama.cpp", Path("/opt/llama-server"), "1", "the test")


def raw(**fields: Any) -> ChatRequest:
    return ChatRequest("m", (), prompt="Once upon", **fields)


def packed(*floats: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(floats)}f", *floats)).decode()


def reply(*rows: tuple[int, Any]) -> dict[str, Any]:
    return {"data": [{"index": index, "embedding": row} for index, row in rows], "usage": {"prompt_tokens": 5}}


def flags_of(**plan: Any) -> tuple[str, ...]:
    return command(small_plan(model_path="/m/a.gguf", **plan), PROGRAM, HERE).argv


def value_after(argv: tuple[str, ...], flag: str) -> str:
    return argv[argv.index(flag) + 1]


def test_a_raw_prompt_is_sent_as_it_stands_with_its_sampling() -> None:
    sampling = Sampling(temperature=0.5, max_tokens=8, seed=-1, logit_bias={7: -100.0})
    body = json.loads(msgspec.json.encode(encode_complete(raw(sampling=sampling))))
    assert body["prompt"] == "Once upon"
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    assert (body["temperature"], body["max_tokens"], body["logit_bias"]) == (0.5, 8, {"7": -100.0})
    assert body["seed"] == SEED_MODULUS - 1
    assert "messages" not in body
    assert "chat_template_kwargs" not in body


def test_a_schema_holds_a_raw_prompt_too() -> None:
    schema = {"type": "object", "required": ["a"]}
    held = encode_complete(raw(response_format=ResponseFormat("json_schema", schema=schema)))
    assert held["json_schema"] == schema
    assert encode_complete(raw(response_format=ResponseFormat("json_object")))["json_schema"] == {"type": "object"}
    assert "json_schema" not in encode_complete(raw())


async def test_an_engine_that_continues_no_prompts_says_so() -> None:
    wire = msgspec.structs.replace(ENGINE, complete_path=None)
    client = EngineClient(wire, HERE, "m", 1024)
    with pytest.raises(RequestInvalid) as caught:
        async for _ in client.chat(raw()):
            pass
    assert caught.value.param == "prompt"
    assert client.num_active == 0


def test_the_stream_of_a_raw_prompt_is_text() -> None:
    decoder = OpenAiStreamDecoder()
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "text": "", "finish_reason": None}]},
        {"choices": [{"index": 0, "text": " a", "finish_reason": None}]},
        {"choices": [{"index": 0, "text": " time", "finish_reason": "length"}]},
        {"choices": [], "usage": {"prompt_tokens": 2, "completion_tokens": 2}},
    ]
    events = [event for chunk in chunks for event in decoder.feed(json.dumps(chunk).encode())]
    assert [*events, *decoder.feed(b"[DONE]")] == [TextDelta(" a"), TextDelta(" time"), Usage(2, 2), Finish("length")]


def test_a_raw_stream_that_ends_early_is_a_failure() -> None:
    decoder = OpenAiStreamDecoder()
    list(decoder.feed(b'{"choices": [{"index": 0, "text": " a", "finish_reason": null}]}'))
    with pytest.raises(EngineFailed):
        list(decoder.close())


def test_vectors_are_put_in_the_order_of_the_texts() -> None:
    assert EMBED.encode(EmbedRequest("m", ("a", "b")))["input"] == ["a", "b"]
    answer = reply((1, packed(0.0, 1.0)), (0, packed(1.0, 0.0)))
    assert EMBED.read(answer) == Embeddings(((1.0, 0.0), (0.0, 1.0)), 5)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"data": [{"index": 0}], "usage": {"prompt_tokens": 1}},
        {"data": [], "usage": {}},
        reply((0, [0.5, 0.5])),
        reply((0, "no base64!")),
        reply((0, base64.b64encode(b"12345").decode())),
        reply((0, packed(1.0)), (2, packed(1.0))),
        reply((0, packed(1.0)), (0, packed(1.0))),
    ],
)
def test_an_answer_that_is_no_vectors_is_no_answer(answer: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        EMBED.read(answer)


def test_an_engine_for_embeddings_takes_each_text_in_one_batch_and_shares_the_weights() -> None:
    argv = flags_of(purpose="embed", context_length=512, ubatch_tokens=512)
    assert "--embeddings" in argv
    assert "--no-repack" in argv
    assert value_after(argv, "--pooling") == "mean"
    assert value_after(argv, "--device") == "none"
    assert {value_after(argv, flag) for flag in ("--batch-size", "--ubatch-size", "--ctx-size")} == {"512"}


def test_on_a_shared_memory_the_card_computes_embeddings_too() -> None:
    argv = flags_of(purpose="embed", gpu_layers=31)
    assert "--embeddings" in argv
    assert "--device" not in argv
    assert value_after(argv, "--gpu-layers") == "31"


def test_an_engine_that_answers_is_not_restricted_to_embeddings() -> None:
    argv = flags_of()
    assert "--embeddings" not in argv
    assert "--no-repack" not in argv
