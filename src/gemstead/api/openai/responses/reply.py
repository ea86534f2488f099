"""A whole response: the folded reply as one object."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gemstead.api.conversations import Memory
from gemstead.api.dialect import ReplyHead
from gemstead.api.openai.responses.body import (
    INCOMPLETE_REASONS,
    asked_of,
    begin_body,
    end_body,
    warn_unknown_usage,
    with_warnings,
)
from gemstead.api.openai.responses.items import FunctionCallItem, Item, ItemStatus
from gemstead.api.openai.responses.keep import keep_response
from gemstead.api.openai.responses.writers import call_id_of, message_item, reasoning_item
from gemstead.core.types import ChatRequest
from gemstead.pipeline.fold import FoldedReply


def encode_response(memory: Memory, head: ReplyHead, request: ChatRequest, reply: FoldedReply) -> bytes:
    """The response, which is kept if it was asked to be."""
    output = tuple(_output(head.token, request, reply))
    ended = end_body(begin_body(head, request), memory, reply.finish_reason, output, reply.usage)
    unknown = warn_unknown_usage(reply.usage, has_reasoning=bool(reply.reasoning))
    body = with_warnings(ended, (*reply.warnings, *unknown))
    keep_response(memory, head, request, body)
    return msgspec.json.encode(body)


def _output(token: str, request: ChatRequest, reply: FoldedReply) -> Iterator[Item]:
    """Thinking, text and calls, each under its place in the list. A cut-off reply is incomplete in its last item."""
    index = 0
    cut: ItemStatus = "incomplete" if reply.finish_reason in INCOMPLETE_REASONS else "completed"
    if reply.reasoning:
        status = "completed" if reply.text or reply.tool_calls else cut
        is_summary = asked_of(request).has_summary
        yield reasoning_item(f"rs_{token}_{index}", reply.reasoning, status, is_summary=is_summary)
        index += 1
    if reply.text:
        yield message_item(f"msg_{token}_{index}", reply.text, "completed" if reply.tool_calls else cut)
        index += 1
    for call in reply.tool_calls:
        is_last = call is reply.tool_calls[-1]
        yield FunctionCallItem(
            id=f"fc_{token}_{index}",
            call_id=call_id_of(call.id, token),
            name=call.name,
            arguments=call.arguments,
            status=cut if is_last else "completed",
        )
        index += 1
