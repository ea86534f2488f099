"""Conversations made by chance, with everything that Gemma 4's chat template has a rule for."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from gemstead.core.types import (
    AudioPart,
    ChatRequest,
    ImagePart,
    Message,
    Part,
    TextPart,
    Thinking,
    Tool,
    ToolCall,
    VideoPart,
)

TEXTS = st.text(st.sampled_from("aZ é\n\t{}:,\"'<|>漢"), max_size=12) | st.sampled_from(
    ["", " ", "<|channel>thought\nhm<channel|>", "<channel|>", "x<|channel>y", "<|turn>", '<|"|>']
)
KEYS = st.sampled_from(["city", "City", "a b", "ß", "x", "zeta"])
TEMPLATE_KEYS = st.sampled_from(["description", "type", "properties", "required", "nullable", "items", "enum"])
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
MEDIA = st.sampled_from([ImagePart(b"", "image/png"), AudioPart(b"", "audio/wav"), VideoPart(b"", "video/mp4")])
TYPES = st.sampled_from(["string", "integer", "Number", "boolean", "array", "object"])


def values(*, has_null: bool) -> st.SearchStrategy[Any]:
    leaves = TEXTS | NUMBERS | st.booleans()
    return st.recursive(
        leaves | st.none() if has_null else leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=5,
    )


@st.composite
def schemas(draw: st.DrawFn, depth: int = 0, *, is_shared: bool = False) -> Any:
    """`is_shared`: only what the template of April 2026 and that of July print alike."""
    if depth == 3 or draw(st.integers(0, 9)) == 0:
        return draw(st.booleans() | st.just({}))
    schema: dict[str, Any] = {}
    inner = schemas(depth + 1, is_shared=is_shared)
    properties = st.dictionaries(KEYS if is_shared else KEYS | TEMPLATE_KEYS, inner, max_size=3)
    if draw(st.booleans()):
        schema["description"] = draw(TEXTS)
    if draw(st.integers(0, 5)):
        schema["type"] = draw(TYPES | st.lists(TYPES, max_size=2))
    if draw(st.booleans()):
        schema["properties"] = draw(properties)
    if draw(st.booleans()):
        schema["required"] = draw(st.lists(KEYS, max_size=2))
    if draw(st.booleans()):
        schema["items"] = draw(inner)
    if draw(st.booleans()):
        schema["nullable"] = draw(st.booleans())
    if draw(st.booleans()):
        schema["enum"] = draw(st.lists(values(has_null=not is_shared), max_size=3))
    if draw(st.integers(0, 3)) == 0:
        schema["anyOf"] = draw(st.lists(inner, max_size=2))
    return schema


@st.composite
def tools(draw: st.DrawFn, *, is_shared: bool) -> Tool:
    parameters = draw(schemas(is_shared=is_shared))
    return Tool(draw(KEYS), draw(TEXTS), parameters if isinstance(parameters, dict) else {})


def contents(media: st.SearchStrategy[Part] = MEDIA) -> st.SearchStrategy[tuple[Part, ...]]:
    return st.lists(TEXTS.map(TextPart) | media, max_size=4).map(tuple)


TEXT_CONTENTS = contents(TEXTS.map(TextPart))


@st.composite
def calls(draw: st.DrawFn, *, is_shared: bool) -> tuple[ToolCall, ...]:
    arguments = st.dictionaries(KEYS, values(has_null=not is_shared), max_size=3)
    num_calls = draw(st.integers(1, 3))
    return tuple(ToolCall(f"c{index}", draw(KEYS), json.dumps(draw(arguments))) for index in range(num_calls))


@st.composite
def any_messages(draw: st.DrawFn) -> list[Message]:
    """In any order, sensible or not."""
    messages = []
    for _ in range(draw(st.integers(0, 7))):
        role = draw(st.sampled_from(["system", "user", "assistant", "tool"]))
        reasoning = draw(st.none() | TEXTS) if role == "assistant" else None
        made = draw(st.just(()) | calls(is_shared=False)) if role == "assistant" else ()
        call_id = draw(st.none() | st.sampled_from(["c0", "c1", "c9"])) if role == "tool" else None
        name = draw(st.none() | KEYS)
        messages.append(Message(role, draw(contents()), made, call_id, name, reasoning))
    return messages


@st.composite
def shared_messages(draw: st.DrawFn) -> list[Message]:
    """What both templates print alike: questions with media, thoughts that lead to calls, results that are answered."""
    messages = [Message("system", draw(TEXT_CONTENTS))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        messages.append(Message("user", draw(contents())))
        for _ in range(draw(st.integers(0, 2))):
            made = draw(calls(is_shared=True))
            messages.append(Message("assistant", (), made, reasoning=draw(st.none() | TEXTS)))
            messages += [Message("tool", draw(TEXT_CONTENTS), tool_call_id=call.id) for call in made]
        messages.append(Message("assistant", (TextPart("It is."), *draw(contents()))))
    return messages if draw(st.booleans()) else [*messages, Message("user", draw(contents()))]


@st.composite
def any_requests(draw: st.DrawFn) -> ChatRequest:
    offered = draw(st.lists(tools(is_shared=False), max_size=2))
    return ChatRequest("m", tuple(draw(any_messages())), tuple(offered), thinking=Thinking(draw(st.booleans())))


@st.composite
def shared_requests(draw: st.DrawFn) -> ChatRequest:
    offered = draw(st.lists(tools(is_shared=True), max_size=2))
    return ChatRequest("m", tuple(draw(shared_messages())), tuple(offered), thinking=Thinking(draw(st.booleans())))
