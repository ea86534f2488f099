"""Whether a prompt and the answer asked for fit the context length: said before the engine is asked, never cut."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gemstead.core.errors import ContextOverflow
from gemstead.core.facts import TemplateName
from gemstead.core.types import ChatRequest, ContextPolicy, Message, Warning
from gemstead.engines.base import Engine
from gemstead.gemma.template import render

TEMPLATE_TOKENS = 512
"""Room for what a chat template adds once: a default system prompt, how to call tools, the turn it opens."""

TOKENS_PER_MESSAGE = 32
"""Room for what a chat template adds to each turn: its markers and its role."""

ANSWER_RESERVE_TOKENS = 512
"""Room that leaving turns out makes for the answer, or what `max_tokens` asks if that is less: of a context length too
short for it, a quarter."""


class Fitted(msgspec.Struct, frozen=True):
    """`request` is the conversation that fits."""

    request: ChatRequest
    warnings: tuple[Warning, ...] = ()
    dropped_messages: int = 0


async def fit_context(
    engine: Engine,
    request: ChatRequest,
    policy: ContextPolicy = "refuse",
    media_tokens: int | None = 0,
    template: TemplateName | None = None,
) -> Fitted:
    """The request, or what is left of it by `policy`, with warnings for what was left out or will be cut short.

    Raises: ContextOverflow, with the numbers, if the prompt leaves no room for a single token of an answer.
    """
    asked = request.sampling.max_tokens
    for_prompt = engine.context_length - (asked or 1)
    if any(most <= for_prompt for most in prompt_bounds(request, media_tokens, template)):
        return Fitted(request)
    prompt_tokens = await engine.count_tokens(request)
    dropped: tuple[Warning, ...] = ()
    fitted = request
    if policy == "drop_oldest" and prompt_tokens + _reserve(engine, request) > engine.context_length:
        fitted, prompt_tokens = await _drop_oldest(engine, request)
        dropped = _say_dropped(engine, request, fitted, prompt_tokens)
    room = engine.context_length - prompt_tokens
    if room < 1:
        raise ContextOverflow(
            f"the prompt has {prompt_tokens} tokens and the context length is {engine.context_length}"
            + (", even with every turn but the last left out" if dropped else ""),
            prompt_tokens=prompt_tokens,
            context_length=engine.context_length,
            hint="shorten the conversation, or serve with a larger --context",
        )
    return Fitted(
        fitted, dropped + _say_cut(engine, asked, prompt_tokens), len(request.messages) - len(fitted.messages)
    )


def split_turns(messages: tuple[Message, ...]) -> list[list[int]]:
    """The turns, oldest first, each as the places of its messages: a user's message and all that answers it.

    Calls of tools and their results so stay together. System messages belong to no turn; what comes before the first
    user message is a turn of its own.
    """
    turns: list[list[int]] = []
    for index, message in enumerate(messages):
        if message.role == "system":
            continue
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(index)
    return turns


async def _drop_oldest(engine: Engine, request: ChatRequest) -> tuple[ChatRequest, int]:
    """The request without as few of its oldest turns as make room for the answer, and its exact tokens.

    The last turn always stays, whether that is enough or not. One count for each halving of the number of turns.
    """
    limit = engine.context_length - _reserve(engine, request)
    turns = split_turns(request.messages)
    fewest, enough = min(1, len(turns) - 1), len(turns) - 1
    while fewest < enough:
        middle = (fewest + enough) // 2
        if await engine.count_tokens(_without(request, turns[:middle])) <= limit:
            enough = middle
        else:
            fewest = middle + 1
    fitted = _without(request, turns[:enough])
    return fitted, await engine.count_tokens(fitted)


def _without(request: ChatRequest, turns: list[list[int]]) -> ChatRequest:
    left_out = {index for turn in turns for index in turn}
    kept = tuple(message for index, message in enumerate(request.messages) if index not in left_out)
    return msgspec.structs.replace(request, messages=kept)


def _reserve(engine: Engine, request: ChatRequest) -> int:
    asked = request.sampling.max_tokens or ANSWER_RESERVE_TOKENS
    return min(asked, ANSWER_RESERVE_TOKENS, engine.context_length // 4)


def _say_dropped(engine: Engine, request: ChatRequest, fitted: ChatRequest, prompt_tokens: int) -> tuple[Warning, ...]:
    num_all = len(request.messages)
    num_dropped = num_all - len(fitted.messages)
    if not num_dropped:
        return ()
    message = f"dropped {num_dropped} of {num_all} messages; prompt {prompt_tokens} of {engine.context_length} tokens"
    return (Warning(code="context_dropped", message=message, param="messages"),)


def _say_cut(engine: Engine, asked: int | None, prompt_tokens: int) -> tuple[Warning, ...]:
    room = engine.context_length - prompt_tokens
    if asked is None or asked <= room:
        return ()
    message = (
        f"max_tokens is {asked}, but after a prompt of {prompt_tokens} tokens only {room} "
        f"fit the context length of {engine.context_length}"
    )
    return (Warning(code="answer_room", message=message, param="max_tokens"),)


def prompt_bounds(
    request: ChatRequest, media_tokens: int | None = 0, template: TemplateName | None = None
) -> Iterator[int]:
    """Bounds on the prompt's tokens that cost no call, the cheapest first: each byte is one token at the most.

    `media_tokens` bounds those of pictures and sounds; None where it is not known, and then nothing is. The bounds only
    save the exact count for short prompts; if a template adds more than is allowed for here, the engine's own check is
    the second line. With a Gemma 4 `template` the prompt itself is measured; the file that is served may hold an older
    template than ours, which the same allowance covers.

    Raises: RequestInvalid for a call or a tool that the template cannot print.
    """
    if media_tokens is None:
        return
    yield media_tokens + _most_tokens(request)
    if template is not None:
        yield TEMPLATE_TOKENS + media_tokens + num_bytes(render(request, template))


def _most_tokens(request: ChatRequest) -> int:
    """Of the texts, whatever the template."""
    if request.prompt is not None:
        return TEMPLATE_TOKENS + num_bytes(request.prompt)
    texts = sum(num_bytes(message.text) + num_bytes(message.reasoning or "") for message in request.messages)
    calls = sum(
        num_bytes(call.name) + 2 * num_bytes(call.arguments) + TOKENS_PER_MESSAGE
        for message in request.messages
        for call in message.tool_calls
    )
    # Templates print schemas in their own spelling: twice the JSON covers its quotes, indents and escapes.
    offered = 2 * len(msgspec.json.encode((request.tools, request.response_format)))
    return TEMPLATE_TOKENS + TOKENS_PER_MESSAGE * len(request.messages) + texts + calls + offered


def num_bytes(text: str) -> int:
    """Bytes of its UTF-8, half characters included."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
