"""The events of a streamed response, by the names the official client knows, and as server-sent events."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gemstead.api.openai.responses.body import ResponseBody
from gemstead.api.openai.responses.items import Item, OutputText, ReasoningText, SummaryText


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True):
    sequence_number: int


class Created(StreamEvent, frozen=True, tag="response.created"):
    response: ResponseBody


class InProgress(StreamEvent, frozen=True, tag="response.in_progress"):
    response: ResponseBody


class Completed(StreamEvent, frozen=True, tag="response.completed"):
    response: ResponseBody


class Incomplete(StreamEvent, frozen=True, tag="response.incomplete"):
    response: ResponseBody


class Failed(StreamEvent, frozen=True, tag="response.failed"):
    response: ResponseBody


class ItemEvent(StreamEvent, frozen=True, kw_only=True):
    output_index: int
    item: Item


class ItemAdded(ItemEvent, frozen=True, tag="response.output_item.added"):
    pass


class ItemDone(ItemEvent, frozen=True, tag="response.output_item.done"):
    pass


class PartEvent(StreamEvent, frozen=True, kw_only=True):
    """`content_index` and `summary_index` are 0: each item has one part."""

    item_id: str
    output_index: int
    content_index: int | UnsetType = 0


class PartAdded(PartEvent, frozen=True, kw_only=True, tag="response.content_part.added"):
    part: OutputText | ReasoningText


class PartDone(PartEvent, frozen=True, kw_only=True, tag="response.content_part.done"):
    part: OutputText | ReasoningText


class TextPiece(PartEvent, frozen=True, kw_only=True, tag="response.output_text.delta"):
    delta: str
    logprobs: tuple[Any, ...] = ()


class TextDone(PartEvent, frozen=True, kw_only=True, tag="response.output_text.done"):
    text: str
    logprobs: tuple[Any, ...] = ()


class ReasoningPiece(PartEvent, frozen=True, kw_only=True, tag="response.reasoning_text.delta"):
    delta: str


class ReasoningDone(PartEvent, frozen=True, kw_only=True, tag="response.reasoning_text.done"):
    text: str


class SummaryEvent(PartEvent, frozen=True, kw_only=True):
    content_index: int | UnsetType = UNSET
    summary_index: int = 0


class SummaryPartAdded(SummaryEvent, frozen=True, kw_only=True, tag="response.reasoning_summary_part.added"):
    part: SummaryText


class SummaryPartDone(SummaryEvent, frozen=True, kw_only=True, tag="response.reasoning_summary_part.done"):
    part: SummaryText


class SummaryPiece(SummaryEvent, frozen=True, kw_only=True, tag="response.reasoning_summary_text.delta"):
    delta: str


class SummaryDone(SummaryEvent, frozen=True, kw_only=True, tag="response.reasoning_summary_text.done"):
    text: str


class CallPiece(StreamEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.delta"):
    item_id: str
    output_index: int
    delta: str


class CallDone(StreamEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.done"):
    item_id: str
    output_index: int
    name: str
    arguments: str


class ErrorDetails(msgspec.Struct, frozen=True):
    type: str
    code: str
    message: str
    param: str | None


class ErrorEvent(StreamEvent, frozen=True, kw_only=True, tag="error"):
    """The OpenAI reference has the details on the event itself, Open Responses in `error`: here they are in both."""

    code: str
    message: str
    param: str | None
    error: ErrorDetails


_encode_json = msgspec.json.Encoder().encode

DONE = b"data: [DONE]\n\n"
"""Open Responses ends every stream with it; the official OpenAI client stops reading there."""


def encode_event(event: StreamEvent) -> bytes:
    name = str(event.__struct_config__.tag)
    return b"event: %s\ndata: %s\n\n" % (name.encode(), _encode_json(event))
