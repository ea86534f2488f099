"""The Anthropic dialect: messages, token counts and models."""

from __future__ import annotations

from gemstead.api.anthropic.errors import ErrorReply, encode_error
from gemstead.api.anthropic.fields import ALL_FIELDS
from gemstead.api.anthropic.models import ModelInfo, ModelPage, TokenCount, encode_count, encode_list, encode_one
from gemstead.api.anthropic.reply import MessageBody, encode_reply
from gemstead.api.anthropic.request import CountRequest, MessagesRequest, decode_count, decode_messages
from gemstead.api.anthropic.stream import MessageStream
from gemstead.api.dialect import ChatRoute, CountRoute, Dialect, ModelsRoute

DIALECT = Dialect(
    name="anthropic",
    title="Anthropic",
    source="https://docs.anthropic.com/en/api/messages",
    path_prefix="/v1/messages",
    routes=(
        ChatRoute(
            path="/v1/messages",
            stream_media_type="text/event-stream",
            decode=decode_messages,
            encode_reply=encode_reply,
            new_stream=MessageStream,
            summary="Answer a conversation",
            request_type=MessagesRequest,
            reply_type=MessageBody,
        ),
        CountRoute(
            path="/v1/messages/count_tokens",
            decode=decode_count,
            encode_count=encode_count,
            summary="Count the tokens of a conversation",
            request_type=CountRequest,
            reply_type=TokenCount,
        ),
        ModelsRoute(
            path="/v1/models",
            encode_list=encode_list,
            encode_one=encode_one,
            summary="The models on offer",
            reply_type=ModelPage,
            item_type=ModelInfo,
        ),
    ),
    encode_error=encode_error,
    fields=ALL_FIELDS,
    error_type=ErrorReply,
    client_header=b"anthropic-version",
    request_id_header=b"request-id",
)
"""It shares the path of the models with another dialect: a call with its header is its own."""
