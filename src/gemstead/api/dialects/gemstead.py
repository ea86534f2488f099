"""gemstead's own API: what no other dialect has a word for."""

from __future__ import annotations

from gemstead.api.dialect import Dialect, TokenizeRoute
from gemstead.api.gemstead.tokenize import (
    TEXT_FIELDS,
    TokenizeReply,
    TokenizeRequest,
    decode_tokenize,
    encode_tokenize,
)
from gemstead.api.openai.errors import ErrorReply, encode_error

DIALECT = Dialect(
    name="gemstead",
    title="gemstead",
    source="https://github.com/gemstead/gemstead/tree/main/docs",
    path_prefix="/tokenize",
    routes=(
        TokenizeRoute(
            path="/tokenize",
            decode=decode_tokenize,
            encode_reply=encode_tokenize,
            summary="Count the tokens of a chat completion's prompt, or of a text, exactly",
            request_type=TokenizeRequest,
            reply_type=TokenizeReply,
        ),
    ),
    encode_error=encode_error,
    fields=TEXT_FIELDS,
    error_type=ErrorReply,
)
"""The path is the one other local servers have; errors are in OpenAI's words, as theirs are."""
