"""The OpenAI dialect: chat completions and models."""

from __future__ import annotations

from gemstead.api.dialect import ChatRoute, Dialect, ModelsRoute
from gemstead.api.openai.errors import encode_error
from gemstead.api.openai.fields import ALL_FIELDS
from gemstead.api.openai.models import encode_list, encode_one
from gemstead.api.openai.reply import ChatStream, encode_reply
from gemstead.api.openai.request import decode_chat

DIALECT = Dialect(
    name="openai",
    title="OpenAI",
    source="https://platform.openai.com/docs/api-reference",
    path_prefix="/",
    routes=(
        ChatRoute(
            path="/v1/chat/completions",
            stream_media_type="text/event-stream",
            decode=decode_chat,
            encode_reply=encode_reply,
            new_stream=ChatStream,
        ),
        ModelsRoute(path="/v1/models", encode_list=encode_list, encode_one=encode_one),
    ),
    encode_error=encode_error,
    fields=ALL_FIELDS,
)
"""Its prefix is the root: it is also the shape of errors on paths that no dialect owns."""
