"""What a dialect is: pure functions between one API's bytes and the canonical request and events.

A file in `api/dialects/` offers one `DIALECT`. It does no I/O, tells no time and draws no lots: what it needs of those
is in `ReplyHead`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

import msgspec

from gemstead.core.errors import GemsteadError
from gemstead.core.types import ChatRequest, Embeddings, EmbedRequest, Event, Warning
from gemstead.pipeline.fold import FoldedReply


class Decoded(msgspec.Struct, frozen=True):
    """`warnings` name each field that was understood and is not done as asked."""

    request: ChatRequest
    warnings: tuple[Warning, ...] = ()


class ReplyHead(msgspec.Struct, frozen=True):
    """What a reply carries and no event holds. `token` is unique to it, in lower-case letters and digits.

    `fingerprint` names what computes the reply (engine build, model); None: not known.
    """

    token: str
    created_s: int
    model: str
    fingerprint: str | None = None


class StreamEncoder(Protocol):
    """Turns one reply's events into the bytes of a stream, in order."""

    def feed(self, event: Event) -> bytes:
        """May be empty: an event can wait for the next."""
        ...

    def close(self) -> bytes:
        """What ends a whole reply."""
        ...

    def fail(self, error: GemsteadError) -> bytes:
        """What ends a reply that broke off after its first byte."""
        ...


class ChatRoute(msgspec.Struct, frozen=True):
    """POST `path`: one exchange.

    `decode` raises RequestInvalid, its `param` naming the field. `encode_reply` gets the decoded warnings among the
    reply's own.
    """

    path: str
    stream_media_type: str
    decode: Callable[[bytes], Decoded]
    encode_reply: Callable[[ReplyHead, ChatRequest, FoldedReply], bytes]
    new_stream: Callable[[ReplyHead, ChatRequest], StreamEncoder]


class CountRoute(msgspec.Struct, frozen=True):
    """POST `path`: how many tokens the prompt of a chat request has, without an answer."""

    path: str
    decode: Callable[[bytes], Decoded]
    encode_count: Callable[[int], bytes]


class DecodedEmbed(msgspec.Struct, frozen=True):
    request: EmbedRequest
    warnings: tuple[Warning, ...] = ()


class EmbedRoute(msgspec.Struct, frozen=True):
    """POST `path`: vectors for texts."""

    path: str
    decode: Callable[[bytes], DecodedEmbed]
    encode_reply: Callable[[EmbedRequest, Embeddings], bytes]


class ModelCard(msgspec.Struct, frozen=True):
    """One model on offer. `created_s` is when its file was published or written, in Unix seconds."""

    name: str
    created_s: int
    owner: str
    context_length: int | None = None


class ModelsRoute(msgspec.Struct, frozen=True):
    """GET `path`: the models on offer; GET `path`/NAME: one of them."""

    path: str
    encode_list: Callable[[tuple[ModelCard, ...]], bytes]
    encode_one: Callable[[ModelCard], bytes]


AnyRoute: TypeAlias = ChatRoute | CountRoute | EmbedRoute | ModelsRoute

Handling: TypeAlias = Literal["honoured", "refused", "warned"]


class Field(msgspec.Struct, frozen=True):
    """What is done with one documented field. `neutral` values ask for nothing, so they are always accepted.

    A `refused` field with another value is a 4xx that names it; a `warned` one is answered without it, and says so.
    """

    handling: Handling
    note: str
    neutral: tuple[object, ...] = ()


class Dialect(msgspec.Struct, frozen=True):
    """Everything gemstead knows about one API. Errors below `path_prefix` are written the way `encode_error` does."""

    name: str
    title: str
    source: str
    path_prefix: str
    routes: tuple[AnyRoute, ...]
    encode_error: Callable[[GemsteadError], bytes]
    fields: dict[str, Field]
