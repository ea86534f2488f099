"""Whether a prompt and the answer asked for fit the context length: said before the engine is asked, never cut."""

from __future__ import annotations

import msgspec

from gemstead.core.errors import ContextOverflow
from gemstead.core.types import ChatRequest, TextPart, Warning
from gemstead.engines.base import Engine

TEMPLATE_TOKENS = 512
"""Room for what a chat template adds once: a default system prompt, how to call tools, the turn it opens."""

TOKENS_PER_MESSAGE = 32
"""Room for what a chat template adds to each turn: its markers and its role."""


async def check_context(engine: Engine, request: ChatRequest) -> tuple[Warning, ...]:
    """Warnings for an answer that will be cut short by the context length.

    Raises: ContextOverflow, with the numbers, if the prompt leaves no room for a single token of an answer.
    """
    asked = request.sampling.max_tokens
    most = most_prompt_tokens(request)
    if most is not None and most + (asked or 1) <= engine.context_length:
        return ()
    prompt_tokens = await engine.count_tokens(request)
    room = engine.context_length - prompt_tokens
    if room < 1:
        raise ContextOverflow(
            f"the prompt has {prompt_tokens} tokens and the context length is {engine.context_length}",
            prompt_tokens=prompt_tokens,
            context_length=engine.context_length,
            hint="shorten the conversation, or serve with a larger --context",
        )
    if asked is not None and asked > room:
        message = (
            f"max_tokens is {asked}, but after a prompt of {prompt_tokens} tokens only {room} "
            f"fit the context length of {engine.context_length}"
        )
        return (Warning(code="answer_room", message=message, param="max_tokens"),)
    return ()


def most_prompt_tokens(request: ChatRequest) -> int | None:
    """A bound on the prompt's tokens that costs no call: no token of a byte-level vocabulary is less than one byte.

    None where bytes bound nothing: pictures and sound. It only saves the exact count for short prompts; if a template
    adds more than is allowed for here, the engine's own check is the second line.
    """
    if any(not isinstance(part, TextPart) for message in request.messages for part in message.content):
        return None
    texts = sum(_num_bytes(message.text) + _num_bytes(message.reasoning or "") for message in request.messages)
    calls = sum(
        _num_bytes(call.name) + 2 * _num_bytes(call.arguments) + TOKENS_PER_MESSAGE
        for message in request.messages
        for call in message.tool_calls
    )
    # Templates print schemas in their own spelling: twice the JSON covers its quotes, indents and escapes.
    offered = 2 * len(msgspec.json.encode((request.tools, request.response_format)))
    return TEMPLATE_TOKENS + TOKENS_PER_MESSAGE * len(request.messages) + texts + calls + offered


def _num_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
