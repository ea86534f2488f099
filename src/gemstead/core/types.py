"""The request and the events that every dialect, guard and engine speaks.

A dialect decodes its bytes to a `ChatRequest`; an engine yields `Event`s; a dialect encodes them. What a dialect
carries and no canonical field holds is in `ChatRequest.raw`: honoured, refused or warned about, never dropped.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from gemstead.core.caller import Origin

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]

ContextPolicy: TypeAlias = Literal["refuse", "drop_oldest"]
"""What happens to a conversation longer than the context length: an error, or its oldest turns are left out."""

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "error", "cancelled"]
"""The one closed set; each dialect maps it to its own words."""


class TextPart(msgspec.Struct, frozen=True, tag="text"):
    text: str


class ImagePart(msgspec.Struct, frozen=True, tag="image"):
    """Encoded image bytes (PNG, JPEG ...); `media_type` as declared by the caller, checked before use.

    `token_budget` is the most tokens the picture may take in the prompt; None: as the operator has set it.
    """

    content: bytes
    media_type: str
    token_budget: int | None = None


class AudioPart(msgspec.Struct, frozen=True, tag="audio"):
    content: bytes
    media_type: str


class VideoPart(msgspec.Struct, frozen=True, tag="video"):
    content: bytes
    media_type: str


Part: TypeAlias = TextPart | ImagePart | AudioPart | VideoPart


class ToolCall(msgspec.Struct, frozen=True):
    """A call the model made: `arguments` is the JSON text of an object, exactly as it arrived."""

    id: str
    name: str
    arguments: str


class Message(msgspec.Struct, frozen=True):
    """One turn. `tool_call_id` is set on role `tool` only; `reasoning` on role `assistant` only."""

    role: Role
    content: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    reasoning: str | None = None

    @property
    def text(self) -> str:
        """All text parts joined; media parts are left out."""
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


class Tool(msgspec.Struct, frozen=True):
    """A function offered to the model; `parameters` is a JSON schema."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}
    is_strict: bool = False


class ToolChoice(msgspec.Struct, frozen=True):
    """`mode` named: only the function `name` may, and must, be called."""

    mode: Literal["auto", "none", "required", "named"] = "auto"
    name: str | None = None


class ResponseFormat(msgspec.Struct, frozen=True):
    kind: Literal["text", "json_object", "json_schema"] = "text"
    schema: dict[str, Any] | None = None
    name: str | None = None


class Sampling(msgspec.Struct, frozen=True):
    """None leaves the model's own default. `seed` None: not reproducible."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repeat_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    logit_bias: dict[int, float] = {}

    def filled(self, default: Sampling) -> Sampling:
        """What is left open here is as in `default`."""
        values = {name: getattr(self, name) or getattr(default, name) for name in ("stop", "logit_bias")}
        for name in Sampling.__struct_fields__:
            if name not in values and getattr(self, name) is None:
                values[name] = getattr(default, name)
        return msgspec.structs.replace(self, **values)


class Thinking(msgspec.Struct, frozen=True):
    """Whether the model thinks first. Always sent explicitly: engines differ in their default.

    `budget_tokens` None: as long as it takes.
    """

    is_on: bool = False
    budget_tokens: int | None = None


class ChatRequest(msgspec.Struct, frozen=True):
    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    response_format: ResponseFormat = ResponseFormat()
    sampling: Sampling = Sampling()
    thinking: Thinking = Thinking()
    has_parallel_tool_calls: bool = True
    is_stream: bool = False
    user: str | None = None
    prompt: str | None = None
    """A text to continue as it stands, without a template: then there are no messages and no tools."""
    context_policy: ContextPolicy | None = None
    """None: as the operator has set it."""
    keep_alive_s: float | None = None
    """How long the model stays loaded after this answer; infinite: for good; None: as the operator has set it."""
    wanted_context: int | None = None
    """The context length the caller counts on; being served with less is warned about."""
    raw: dict[str, Any] = {}
    """Fields of the caller's dialect that have no canonical field."""
    origin: Origin = Origin()
    """Set by the door; no dialect reads it from what a caller wrote."""

    @property
    def is_load(self) -> bool:
        """Nothing to answer: the model is to be loaded, or with `keep_alive_s` 0 unloaded."""
        return not self.messages and self.prompt is None


class Warning(msgspec.Struct, frozen=True, tag="warning"):
    """Something asked for that was done otherwise: never left unsaid. `param` names the field."""

    code: str
    message: str
    param: str | None = None


class EmbedRequest(msgspec.Struct, frozen=True):
    """`dimensions` None: as many as the model gives. `keep_alive_s` as in ChatRequest."""

    model: str
    texts: tuple[str, ...]
    dimensions: int | None = None
    user: str | None = None
    keep_alive_s: float | None = None
    raw: dict[str, Any] = {}
    """Fields of the caller's dialect that have no canonical field."""
    origin: Origin = Origin()


class Embeddings(msgspec.Struct, frozen=True):
    """One vector a text, in order, each of length 1. `prompt_tokens` are those of all texts together."""

    vectors: tuple[tuple[float, ...], ...]
    prompt_tokens: int
    warnings: tuple[Warning, ...] = ()


class TextDelta(msgspec.Struct, frozen=True, tag="text"):
    text: str


class ReasoningDelta(msgspec.Struct, frozen=True, tag="reasoning"):
    text: str


class ToolCallDelta(msgspec.Struct, frozen=True, tag="tool_call"):
    """A piece of the call at `index`: the first carries `id` and `name`; the `arguments` pieces join to JSON text."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


class Timings(msgspec.Struct, frozen=True):
    """What the engine itself measured, in seconds; None where it does not say.

    `prefill_tokens` are the uncached prompt tokens it really evaluated in `prefill_s`. `load_s` is the wait for the
    model to be loaded, None if it was. `drafted_tokens` were guessed ahead by speculation, `accepted_tokens` of them
    turned out right.
    """

    prefill_tokens: int | None = None
    prefill_s: float | None = None
    decode_tokens: int | None = None
    decode_s: float | None = None
    load_s: float | None = None
    drafted_tokens: int | None = None
    accepted_tokens: int | None = None


class Usage(msgspec.Struct, frozen=True, tag="usage"):
    """Tokens of one exchange: `completion_tokens` includes reasoning, `prompt_tokens` includes cached ones."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    dropped_messages: int = 0
    """Messages of the request that the context policy left out of the prompt."""
    timings: Timings | None = None


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """`stop_text` is the text of `Sampling.stop` that ended the reply; None: another end, or one not told."""

    reason: FinishReason
    stop_text: str | None = None


Event: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta | Usage | Finish | Warning


class Span(msgspec.Struct, frozen=True):
    """Characters [start, end) of the text a guard looked at."""

    start: int
    end: int
    kind: str


class Verdict(msgspec.Struct, frozen=True):
    """What one rule decided about one text. A refused prompt is a verdict, not an exception."""

    rule: str
    action: Literal["allow", "redact", "refuse", "hold"]
    reason: str = ""
    spans: tuple[Span, ...] = ()
    elapsed_s: float = 0.0
