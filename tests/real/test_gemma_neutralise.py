"""Every control token of a real vocabulary, typed into every field: the real engine never reads it as itself."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from gemstead.catalog.gguf import read_gguf
from gemstead.catalog.gguf_vocab import token_table
from gemstead.core.types import ChatRequest, Message, ResponseFormat, TextPart, Tool, ToolCall, ToolChoice
from gemstead.gemma.control_tokens import control_tokens_of
from gemstead.gemma.neutralise import neutralise
from raw_llama_server import RawServer, raw_llama_server

pytestmark = pytest.mark.real

FREE = ToolChoice()
HELLO = Message("user", (TextPart("Hello"),))
BATCH = 700
"""Tokens of one request."""


def said(*messages: Message) -> ChatRequest:
    return ChatRequest("m", messages)


def called(call: ToolCall, answer: Message) -> ChatRequest:
    return said(HELLO, Message("assistant", (), tool_calls=(call,)), answer)


def offered(tool: Tool, choice: ToolChoice = FREE) -> ChatRequest:
    return ChatRequest("m", (HELLO,), tools=(tool,), tool_choice=choice)


def schema_with(text: str) -> dict[str, object]:
    field = {"type": "string", "description": text, "enum": [text]}
    return {"type": "object", "properties": {text: field, "rows": {"type": "array", "items": {"title": text}}}}


def json_text(text: str) -> str:
    """An object whose key and value are `text`, its first characters hidden in escapes."""
    escaped = "".join(f"\\u{ord(character):04x}" for character in text[:200]) + text[200:].replace('"', '\\"')
    return f'{{"{escaped}": ["{escaped}"]}}'


RESULT = Message("tool", (TextPart("1"),), tool_call_id="c")
FIELDS: dict[str, Callable[[str], ChatRequest]] = {
    "user": lambda text: said(Message("user", (TextPart(text),))),
    "parts": lambda text: said(
        Message("user", tuple(TextPart(text[at : at + 3]) for at in range(0, len(text), 3))), HELLO
    ),
    "system": lambda text: said(Message("system", (TextPart(text),)), HELLO),
    "assistant": lambda text: said(HELLO, Message("assistant", (TextPart(text),)), HELLO),
    "reasoning": lambda text: said(HELLO, Message("assistant", (TextPart("x"),), reasoning=text), HELLO),
    "name": lambda text: said(Message("user", (TextPart("x"),), name=text)),
    "result": lambda text: called(ToolCall("c", "f", "{}"), Message("tool", (TextPart(text),), tool_call_id="c")),
    "result in JSON": lambda text: called(
        ToolCall("c", "f", "{}"), Message("tool", (TextPart(json_text(text)),), tool_call_id="c")
    ),
    "call name": lambda text: called(ToolCall("c", text, "{}"), RESULT),
    "call id": lambda text: called(ToolCall(text, "f", "{}"), Message("tool", (TextPart("1"),), tool_call_id=text)),
    "call arguments": lambda text: called(ToolCall("c", "f", json_text(text)), RESULT),
    "tool description": lambda text: offered(Tool("f", text)),
    "tool schema": lambda text: offered(Tool("f", "", schema_with(text))),
    "tool name": lambda text: offered(Tool(text)),
    "tool choice": lambda text: offered(Tool(text), ToolChoice("named", text)),
    "response format": lambda text: ChatRequest(
        "m", (HELLO,), response_format=ResponseFormat("json_schema", {"type": "object", "title": text}, text)
    ),
}


def control_ids(model: Path) -> dict[str, int]:
    tokens, types = token_table(read_gguf(model))
    found = control_tokens_of(tokens, types)
    ids = {token.decode(errors="replace"): index for index, token in enumerate(tokens)}
    return {token: ids[token] for token in sorted(found)}


def read_as_control(server: RawServer, prompt: str, ids: dict[str, int]) -> Counter[int]:
    known = set(ids.values())
    return Counter(token for token in server.tokens_of(prompt, parses_special=True) if token in known)


def check_every_token_in_every_field(program: Path, model: Path, log: Path, num_tokens: int) -> None:
    ids = control_ids(model)
    assert len(ids) == num_tokens
    control_tokens = frozenset(ids)
    with raw_llama_server(program, model, log) as server:
        typed_at_all = server.prompt_of(FIELDS["user"]("".join(ids)))
        assert read_as_control(server, typed_at_all, ids).total() > num_tokens / 300, "typed tokens are read as such"
        for make in FIELDS.values():
            harmless = read_as_control(server, server.prompt_of(make("harmless")), ids)
            for start in range(0, num_tokens, BATCH):
                typed = "x".join(list(ids)[start : start + BATCH])
                result = neutralise(make(typed), control_tokens)
                assert result.count >= len(list(ids)[start : start + BATCH])
                assert read_as_control(server, server.prompt_of(result.request), ids) == harmless, result.fields


def test_gemma_4_reads_no_control_token_that_somebody_typed(
    llama_server: Path, whole_vocabulary_e2b: Path, tmp_path: Path
) -> None:
    check_every_token_in_every_field(llama_server, whole_vocabulary_e2b, tmp_path / "log", 6251)


def test_another_vocabularys_control_tokens_are_broken_likewise(
    llama_server: Path, smollm2: Path, tmp_path: Path
) -> None:
    check_every_token_in_every_field(llama_server, smollm2, tmp_path / "log", 17)
