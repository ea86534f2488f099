"""What every engine kind promises, run over all that are found."""

import base64
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fake_engine import small_plan
from gemstead.core.errors import EngineFailed, EngineMissing, ModelMissing, RequestInvalid
from gemstead.core.plugins import load_plugin, plugin_names
from gemstead.core.types import ChatRequest, ImagePart, Message, Sampling, TextPart, Thinking, Tool
from gemstead.engines.base import Endpoint, EngineKind, Installation
from gemstead.engines.extra_args import check_extra_args

KINDS = "gemstead.engines.kinds"
SECRET = "the-secret-key"
REQUEST = ChatRequest("m", (Message("system", (TextPart("be short"),)), Message("user", (TextPart("hi"),))))


@pytest.fixture(params=plugin_names(KINDS))
def kind(request: pytest.FixtureRequest) -> EngineKind:
    return load_plugin(KINDS, request.param, "ENGINE", EngineKind)


def endpoints() -> Iterator[Endpoint]:
    yield Endpoint(api_key=SECRET, socket_path=Path("/run/e.sock"))
    yield Endpoint(api_key=SECRET, port=4711)


def test_a_kind_says_who_it_is(kind: EngineKind) -> None:
    assert kind.name in plugin_names(KINDS)
    assert kind.title
    assert kind.licence
    assert kind.artefact_formats


def test_a_program_that_is_not_there_is_missing_with_a_hint(kind: EngineKind, tmp_path: Path) -> None:
    with pytest.raises(EngineMissing) as missing:
        kind.find(str(tmp_path / "absent"), tmp_path)
    assert missing.value.hint


def test_the_command_line_holds_the_plan_and_no_secret(kind: EngineKind) -> None:
    plan = small_plan("gemma4:e2b", model_path="/models/e2b.gguf", context_length=2048, num_slots=2)
    installation = Installation(kind.name, Path("/opt/engine"), "1", "the test")
    for endpoint in endpoints():
        command = kind.command(plan, installation, endpoint)
        assert command.argv[0] == "/opt/engine"
        assert "/models/e2b.gguf" in command.argv
        shown = " ".join((*command.argv, *command.env.values()))
        assert SECRET not in shown
        assert str(endpoint.socket_path or endpoint.port) in command.argv


def test_a_plan_without_weights_is_refused(kind: EngineKind) -> None:
    with pytest.raises(ModelMissing):
        kind.command(small_plan(), Installation(kind.name, Path("/e"), "1", "t"), Endpoint(api_key=SECRET, port=1))


def test_thinking_is_always_explicit(kind: EngineKind) -> None:
    off = kind.encode_chat(REQUEST)
    on = kind.encode_chat(msgspec.structs.replace(REQUEST, thinking=Thinking(is_on=True)))
    assert off != on


def test_a_body_is_json_that_streams_and_keeps_the_text(kind: EngineKind) -> None:
    tools = (Tool("weather", "", {"type": "object"}),)
    request = msgspec.structs.replace(REQUEST, tools=tools, sampling=Sampling(temperature=0.5, stop=("x",), seed=1))
    body = msgspec.json.decode(msgspec.json.encode(kind.encode_chat(request)))
    assert body["stream"] is True
    assert "be short" in str(body)
    assert "weather" in str(body)


def test_media_are_sent_as_bytes_never_as_an_address(kind: EngineKind) -> None:
    message = Message("user", (ImagePart(b"\x89PNG", "image/png"),))
    if not kind.capabilities.can_see:
        with pytest.raises(RequestInvalid):
            kind.encode_chat(ChatRequest("m", (message,)))
        return
    body = str(kind.encode_chat(ChatRequest("m", (message,))))
    assert base64.b64encode(b"\x89PNG").decode() in body
    assert "http" not in body


def test_a_request_without_messages_is_refused(kind: EngineKind) -> None:
    with pytest.raises(RequestInvalid):
        kind.encode_chat(ChatRequest("m", ()))


def test_a_stream_that_ends_early_is_a_failure(kind: EngineKind) -> None:
    with pytest.raises(EngineFailed):
        list(kind.new_decoder().close())


def test_garbage_in_a_stream_is_a_failure(kind: EngineKind) -> None:
    with pytest.raises(EngineFailed):
        list(kind.new_decoder().feed(b"{"))


def test_a_kind_that_counts_says_where_and_how(kind: EngineKind) -> None:
    assert (kind.count is not None) == kind.capabilities.can_count_tokens


def test_extra_arguments_come_from_the_list_only(kind: EngineKind) -> None:
    for flag, num_values in kind.allowed_args.items():
        assert flag.startswith("--")
        assert check_extra_args(kind.allowed_args, (flag, *["1"] * num_values))
    for word in ("key", "host", "port", "tools", "mcp"):
        assert not [flag for flag in kind.allowed_args if word in flag.split("-")]
