import json

import pytest

from gemstead.core.errors import (
    ContextOverflow,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineRefused,
    GemsteadError,
    RequestInvalid,
)
from gemstead.engines.openai_errors import error_from_reply


def body(message: str, kind: str = "some_error", **extra: int) -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, **extra}}).encode()


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (400, body("bad field"), RequestInvalid),
        (422, body("bad field"), RequestInvalid),
        (401, body("Invalid API Key"), EngineError),
        (429, body("slow down"), EngineBusy),
        (503, body("Loading model"), EngineBusy),
        (502, b"<html>Bad gateway</html>", EngineFailed),
        (500, body("something odd"), EngineRefused),
        (500, body("image input is not supported"), RequestInvalid),
        (500, body("JSON schema error at #/items: schema must be an object"), RequestInvalid),
        (404, b"", EngineRefused),
    ],
)
def test_the_status_decides_what_a_refusal_is(status: int, content: bytes, kind: type[GemsteadError]) -> None:
    assert type(error_from_reply(status, content)) is kind


def test_an_overlong_prompt_carries_both_numbers() -> None:
    error = error_from_reply(400, body("too long", "exceed_context_size_error", n_prompt_tokens=2031, n_ctx=1024))
    assert isinstance(error, ContextOverflow)
    assert (error.prompt_tokens, error.context_length) == (2031, 1024)
    assert error.what == "the prompt has 2031 tokens, the context length is 1024"


def test_an_overlong_prompt_without_numbers_is_still_one() -> None:
    error = error_from_reply(400, body("too long", "context_length_exceeded"))
    assert isinstance(error, ContextOverflow)
    assert error.prompt_tokens is None


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[]", b"3", b'"x"', b'{"error": 5}', b'{"error": {"message": 5}}'])
def test_an_odd_error_body_never_breaks_the_mapping(content: bytes) -> None:
    assert "500" in str(error_from_reply(500, content).why)


def test_an_engine_that_loads_is_worth_another_try() -> None:
    error = error_from_reply(503, body("Loading model"))
    assert error.retryable
    assert error.retry_after_s
