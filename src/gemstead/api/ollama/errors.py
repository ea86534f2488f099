"""Errors as Ollama writes them: one sentence under `error`. The code beside it is gemstead's own."""

from __future__ import annotations

import msgspec

from gemstead.api.errors import full_message
from gemstead.core.errors import GemsteadError


class ErrorBody(msgspec.Struct, frozen=True):
    """`code` is the stable name of the error, for programs; official clients read `error` only."""

    error: str
    code: str


def encode_error(error: GemsteadError) -> bytes:
    return msgspec.json.encode(ErrorBody(full_message(error), error.code))
