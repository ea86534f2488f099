"""Replies of every dialect, read as one kind of answer. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import msgspec


class Said(msgspec.Struct, frozen=True):
    """What a whole reply says. `calls` are the names of the tools called. None: this endpoint does not tell."""

    text: str = ""
    calls: tuple[str, ...] = ()
    is_cut: bool = False
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    vectors: tuple[Any, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """`bodies` are the JSON objects that came: one, or those of a stream. `error` is the message of a refusal."""

    status: int
    media_type: str
    warnings: tuple[str, ...]
    bodies: tuple[dict[str, Any], ...]
    said: Said = Said()
    error: str = ""
    code: str = ""
    param: str | None = None
    has_dropped_turns: bool = False

    @property
    def last(self) -> dict[str, Any]:
        return self.bodies[-1] if self.bodies else {}

    @property
    def breaks_off(self) -> bool:
        """Whether it is a stream that ends in an error."""
        last = self.last
        has_error = bool(last.get("error")) or last.get("type") in ("error", "response.failed")
        return self.status == 200 and has_error


Reader: TypeAlias = Callable[[dict[str, Any]], Said]


def read_answer(path: str, status: int, headers: Iterable[tuple[str, str]], content: bytes) -> Answer:
    named = [(name.lower(), value) for name, value in headers]
    media_type = next((value for name, value in named if name == "content-type"), "")
    bodies = _bodies(media_type, content)
    answer = Answer(
        status,
        media_type,
        warnings=tuple(value for name, value in named if name == "x-gemstead-warning"),
        bodies=bodies,
        has_dropped_turns=any(name == "x-gemstead-context" for name, _ in named),
    )
    if status != 200:
        return _with_error(answer)
    is_whole = len(bodies) == 1 and media_type == "application/json"
    return msgspec.structs.replace(answer, said=READERS[path](bodies[0])) if is_whole else answer


def _bodies(media_type: str, content: bytes) -> tuple[dict[str, Any], ...]:
    """One object; or an object a line, or a `data:` line; none for plain text."""
    if media_type == "application/json":
        return (msgspec.json.decode(content),)
    lines = [line.removeprefix(b"data:").strip() for line in content.splitlines()]
    return tuple(msgspec.json.decode(line) for line in lines if line.startswith(b"{"))


def _with_error(answer: Answer) -> Answer:
    """OpenAI and Anthropic have an object under `error`, Ollama a sentence."""
    error = answer.last.get("error", "")
    if isinstance(error, str):
        return msgspec.structs.replace(answer, error=error, code=answer.last.get("code", ""))
    code = error.get("code") or error.get("type", "")
    return msgspec.structs.replace(answer, error=error.get("message", ""), code=code, param=error.get("param"))


def _chat_completion(body: dict[str, Any]) -> Said:
    (choice,) = body["choices"]
    message = choice["message"]
    return Said(
        message["content"] or "",
        tuple(call["function"]["name"] for call in message.get("tool_calls", ())),
        choice["finish_reason"] == "length",
        body["usage"]["prompt_tokens"],
        body["usage"]["completion_tokens"],
    )


def _completion(body: dict[str, Any]) -> Said:
    (choice,) = body["choices"]
    usage = body["usage"]
    is_cut = choice["finish_reason"] == "length"
    return Said(choice["text"], (), is_cut, usage["prompt_tokens"], usage["completion_tokens"])


def _response(body: dict[str, Any]) -> Said:
    items = body["output"]
    texts = [part["text"] for item in items if item["type"] == "message" for part in item["content"]]
    return Said(
        "".join(texts),
        tuple(item["name"] for item in items if item["type"] == "function_call"),
        body["status"] == "incomplete",
        body["usage"]["input_tokens"],
        body["usage"]["output_tokens"],
    )


def _message(body: dict[str, Any]) -> Said:
    blocks, usage = body["content"], body["usage"]
    return Said(
        "".join(block["text"] for block in blocks if block["type"] == "text"),
        tuple(block["name"] for block in blocks if block["type"] == "tool_use"),
        body["stop_reason"] == "max_tokens",
        usage["input_tokens"] + (usage["cache_read_input_tokens"] or 0),
        usage["output_tokens"],
    )


def _ollama(body: dict[str, Any]) -> Said:
    message = body.get("message") or {}
    return Said(
        message.get("content") or body.get("response", ""),
        tuple(call["function"]["name"] for call in message.get("tool_calls", ())),
        body["done_reason"] == "length",
        body.get("prompt_eval_count"),
        body.get("eval_count"),
    )


READERS: dict[str, Reader] = {
    "/v1/chat/completions": _chat_completion,
    "/v1/responses": _response,
    "/v1/completions": _completion,
    "/v1/embeddings": lambda body: Said(
        prompt_tokens=body["usage"]["prompt_tokens"], vectors=tuple(one["embedding"] for one in body["data"])
    ),
    "/v1/audio/transcriptions": lambda body: Said(body["text"]),
    "/v1/messages": _message,
    "/api/chat": _ollama,
    "/api/generate": _ollama,
    "/api/embed": lambda body: Said(prompt_tokens=body["prompt_eval_count"], vectors=tuple(body["embeddings"])),
    "/api/embeddings": lambda body: Said(vectors=(body["embedding"],)),
    "/tokenize": lambda body: Said(prompt_tokens=body["count"]),
}
"""By path."""
