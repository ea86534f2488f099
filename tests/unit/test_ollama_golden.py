"""The Ollama dialect against files: request -> ChatRequest, events -> lines, and the objects about models."""

import json
from typing import Any

import msgspec
import pytest
from ollama import ChatResponse, GenerateResponse, ListResponse, ProcessResponse, ShowResponse

from gemstead.api.desk import LoadedModel, ModelDetails, StoredModel, WorkProgress
from gemstead.api.dialect import Decoded, ReplyHead
from gemstead.api.dialects.ollama import CHAT, DIALECT, GENERATE
from gemstead.api.ollama.models import encode_done, encode_loaded, encode_show, encode_step, encode_tags
from gemstead.core.errors import (
    ContextOverflow,
    EngineBusy,
    EngineRefused,
    GemsteadError,
    NameUnknown,
    RequestInvalid,
)
from gemstead.core.types import ChatRequest, Event, Finish, Sampling, TextDelta, ToolCallDelta, Warning
from gemstead.pipeline.fold import ReplyFold
from golden_files import golden, golden_error

HEAD = ReplyHead(token="abc123", created_s=1700000000, model="gemma4:e2b", elapsed_s=lambda: 0.75)
ROUTES = {"/api/chat": CHAT, "/api/generate": GENERATE}
REPLIES: dict[str, Any] = {"/api/chat": ChatResponse, "/api/generate": GenerateResponse}

MODEL = StoredModel(
    name="parrot",
    sha256="ab" * 32,
    size_bytes=100,
    stored_at="2026-11-24T00:00:00+00:00",
    format="gguf",
    quant="Q4_0",
    architecture="gemma4",
    num_parameters=5_123_000_000,
    made_from="gemma4:e2b-q4_0",
)


@pytest.mark.parametrize("case", golden("ollama", "decode"))
def test_a_request_decodes_to_its_canonical_form(case: dict[str, Any]) -> None:
    decoded = ROUTES[case["path"]].decode(json.dumps(case["request"]).encode())
    assert decoded == msgspec.json.decode(json.dumps(case["decoded"]), type=Decoded)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("case", golden("ollama", "encode"))
def test_events_encode_to_the_lines_of_a_stream(case: dict[str, Any], path: str) -> None:
    stream = ROUTES[path].new_stream(HEAD, msgspec.convert(case["request"], ChatRequest))
    events = msgspec.convert(case["events"], list[Event])
    encoded = b"".join(stream.feed(event) for event in events) + stream.close()
    assert encoded.decode().splitlines() == case[path]["stream"]
    for line in encoded.splitlines():
        REPLIES[path].model_validate_json(line)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("case", golden("ollama", "encode"))
def test_the_same_events_fold_into_one_object(case: dict[str, Any], path: str) -> None:
    fold = ReplyFold()
    for event in msgspec.convert(case["events"], list[Event]):
        fold.add(event)
    body = ROUTES[path].encode_reply(HEAD, msgspec.convert(case["request"], ChatRequest), fold.reply())
    assert json.loads(body) == case[path]["reply"]
    REPLIES[path].model_validate_json(body)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("overflow", ContextOverflow("too long", prompt_tokens=9, context_length=8, hint="cut it")),
        ("model", NameUnknown("model", "gema4", ["gemma4:e2b"], param="model")),
        ("field", RequestInvalid("suffix is not supported", param="suffix", why="not offered")),
        ("busy", EngineBusy("busy", retry_after_s=1)),
        ("internal", GemsteadError("internal error")),
    ],
)
def test_errors_have_the_shape_clients_read(name: str, error: GemsteadError) -> None:
    assert json.loads(DIALECT.encode_error(error)) == golden_error("ollama", name)


@pytest.mark.parametrize("path", ROUTES)
def test_an_error_in_mid_stream_is_a_line_and_no_done(path: str) -> None:
    stream = ROUTES[path].new_stream(HEAD, ChatRequest(model="m", messages=()))
    stream.feed(TextDelta("a"))
    assert stream.fail(EngineBusy("busy")) == DIALECT.encode_error(EngineBusy("busy")) + b"\n"


def test_a_call_whose_arguments_are_no_object_is_an_error_never_a_text() -> None:
    stream = CHAT.new_stream(HEAD, ChatRequest(model="m", messages=()))
    stream.feed(ToolCallDelta(0, "c", "weather", "[1]"))
    with pytest.raises(EngineRefused, match="'weather'"):
        stream.feed(Finish("tool_calls"))


def test_models_are_listed_with_what_their_files_tell() -> None:
    (listed,) = ListResponse.model_validate_json(encode_tags((MODEL,))).models
    assert (listed.model, listed.size, listed.digest) == ("parrot", 100, "ab" * 32)
    assert listed.details is not None
    assert listed.details.parameter_size == "5.1B"
    assert listed.details.parent_model == "gemma4:e2b-q4_0"
    unknown = StoredModel("odd", "cd" * 32, 1, "2026-11-24T00:00:00+00:00", "safetensors")
    (listed,) = json.loads(encode_tags((unknown,)))["models"]
    assert listed["details"]["family"] == listed["details"]["quantization_level"] == ""


def test_a_loaded_model_tells_when_it_goes_or_that_it_stays() -> None:
    loaded = (LoadedModel(MODEL, 8192, 300, 200, 1700000000.0), LoadedModel(MODEL, 8192, 300))
    goes, stays = ProcessResponse.model_validate_json(encode_loaded(loaded)).models
    assert goes.expires_at is not None
    assert goes.expires_at.timestamp() == 1700000000
    assert (goes.size, goes.size_vram, goes.context_length) == (300, 200, 8192)
    assert stays.expires_at is not None
    assert stays.expires_at.year == 9999


def test_a_model_is_shown_with_the_modelfile_that_would_make_it() -> None:
    details = ModelDetails(
        MODEL,
        licence="MIT",
        template="{{ messages }}",
        system="You are a parrot.",
        sampling=Sampling(temperature=0.5, stop=("END",), max_tokens=3),
        wanted_context=4096,
        capabilities=("completion", "vision"),
        metadata={"gemma4.context_length": 131072},
    )
    shown = ShowResponse.model_validate_json(encode_show(details))
    assert str(shown.modelfile).splitlines() == [
        "FROM gemma4:e2b-q4_0",
        'SYSTEM """You are a parrot."""',
        "PARAMETER num_ctx 4096",
        "PARAMETER num_predict 3",
        "PARAMETER temperature 0.5",
        'PARAMETER stop "END"',
    ]
    assert str(shown.parameters).splitlines()[0].split() == ["num_ctx", "4096"]
    assert shown.modelinfo == {
        "gemma4.context_length": 131072,
        "general.architecture": "gemma4",
        "general.parameter_count": 5_123_000_000,
    }
    assert (shown.license, shown.template, shown.capabilities) == ("MIT", "{{ messages }}", ["completion", "vision"])


def test_steps_of_a_pull_tell_bytes_and_digest_where_they_are_known() -> None:
    assert json.loads(encode_step(WorkProgress("looking"))) == {"status": "looking"}
    step = WorkProgress("pull m", 5, 10, "ab" * 32)
    assert json.loads(encode_step(step)) == {
        "status": "pull m",
        "completed": 5,
        "total": 10,
        "digest": "sha256:" + "ab" * 32,
    }
    assert json.loads(encode_done(())) == {"status": "success"}
    warned = json.loads(encode_done((Warning("field_unknown", "odd is not a field"),)))
    assert warned["gemstead"]["warnings"][0]["code"] == "field_unknown"
