"""What a dialect is: pure functions between one API's bytes and the canonical request and events.

A file in `api/dialects/` offers one `DIALECT`. It does no I/O, tells no time and draws no lots: what it needs of those
is in `ReplyHead`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from gemstead.api.conversations import KeptResponse, Memory
from gemstead.api.desk import Order, Work, WorkProgress
from gemstead.core.errors import GemsteadError
from gemstead.core.types import ChatRequest, Embeddings, EmbedRequest, Event, Warning
from gemstead.pipeline.fold import FoldedReply


class Decoded(msgspec.Struct, frozen=True):
    """`warnings` name each field that was understood and is not done as asked."""

    request: ChatRequest
    warnings: tuple[Warning, ...] = ()


class ReplyHead(msgspec.Struct, frozen=True):
    """What a reply carries and no event holds. `token` is unique to it, in lower-case letters and digits.

    `fingerprint` names what computes the reply (engine build, model); None: not known. `elapsed_s` gives the seconds
    since the call came in.
    """

    token: str
    created_s: int
    model: str
    fingerprint: str | None = None
    elapsed_s: Callable[[], float] = lambda: 0.0


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


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What the OpenAPI document says of a route: the types of its bodies are the Structs that decode and encode them.

    None: the route has no such body, or none with a shape of its own.
    """

    summary: str = ""
    request_type: Any = None
    reply_type: Any = None


class ExchangeRoute(Described, frozen=True, kw_only=True):
    """POST `path`: one exchange. `encode_reply` gets the decoded warnings among the reply's own."""

    path: str
    stream_media_type: str
    encode_reply: Callable[[ReplyHead, ChatRequest, FoldedReply], bytes]
    new_stream: Callable[[ReplyHead, ChatRequest], StreamEncoder]
    reply_media_type: Callable[[ChatRequest], str] = lambda _request: "application/json"


class ChatRoute(ExchangeRoute, frozen=True, kw_only=True):
    """Asked with JSON. `decode` raises RequestInvalid, its `param` naming the field."""

    decode: Callable[[bytes], Decoded]


class FormFile(msgspec.Struct, frozen=True):
    """`name` and `media_type` are the caller's word; empty if there was none."""

    name: str
    media_type: str
    content: bytes


class Form(msgspec.Struct, frozen=True):
    """What a multipart form holds: the values of each field in their order, and at most one file a field."""

    fields: dict[str, tuple[str, ...]]
    files: dict[str, FormFile]


class FormRoute(ExchangeRoute, frozen=True, kw_only=True):
    """Asked with a multipart form. `decode` raises RequestInvalid, its `param` naming the field."""

    decode: Callable[[Form], Decoded]


class ResponsesRoute(Described, frozen=True):
    """POST `path`: one exchange that may go on from a kept response, and is kept itself.

    Below it: GET and DELETE /ID, GET /ID/input_items, POST /ID/cancel, POST /input_tokens. As a `ChatRoute`, but that
    decoding and encoding also read and write the caller's memory. `encode_items` gets the query of the call.
    """

    path: str
    stream_media_type: str
    decode: Callable[[Memory, bytes], Decoded]
    encode_reply: Callable[[Memory, ReplyHead, ChatRequest, FoldedReply], bytes]
    new_stream: Callable[[Memory, ReplyHead, ChatRequest], StreamEncoder]
    encode_count: Callable[[int], bytes]
    encode_items: Callable[[KeptResponse, dict[str, str]], bytes]
    encode_deleted: Callable[[str], bytes]
    count_type: Any = None
    items_type: Any = None
    deleted_type: Any = None


class CountRoute(Described, frozen=True):
    """POST `path`: how many tokens the prompt of a chat request has, without an answer."""

    path: str
    decode: Callable[[bytes], Decoded]
    encode_count: Callable[[int], bytes]


class TokenizeRoute(Described, frozen=True):
    """POST `path`: how many tokens the prompt of a request has; which ones too, if it is a raw prompt.

    `encode_reply` gets the count, the tokens and the model's context length.
    """

    path: str
    decode: Callable[[bytes], Decoded]
    encode_reply: Callable[[int, tuple[int, ...] | None, int | None], bytes]


class DecodedEmbed(msgspec.Struct, frozen=True):
    request: EmbedRequest
    warnings: tuple[Warning, ...] = ()


class EmbedRoute(Described, frozen=True):
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


class ModelsRoute(Described, frozen=True):
    """GET `path`: the models on offer; GET `path`/NAME: one of them."""

    path: str
    encode_list: Callable[[tuple[ModelCard, ...]], bytes]
    encode_one: Callable[[ModelCard], bytes]
    item_type: Any = None


class DecodedOrder(msgspec.Struct, frozen=True):
    order: Order
    warnings: tuple[Warning, ...] = ()


class OrderRoute(Described, frozen=True):
    """`method` `path`: one order for the model desk. `decode` gets no bytes with GET, `encode` the desk's answer."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    decode: Callable[[bytes], DecodedOrder]
    encode: Callable[[Any], bytes]


class DecodedWork(msgspec.Struct, frozen=True):
    work: Work
    is_stream: bool
    warnings: tuple[Warning, ...] = ()


class WorkRoute(Described, frozen=True):
    """POST `path`: long work of the model desk, told step by step; `encode_done` alone is the reply if not streamed."""

    path: str
    stream_media_type: str
    decode: Callable[[bytes], DecodedWork]
    encode_step: Callable[[WorkProgress], bytes]
    encode_done: Callable[[tuple[Warning, ...]], bytes]
    encode_failure: Callable[[GemsteadError], bytes]
    """What ends a stream that broke off after its first byte."""


class FixedRoute(Described, frozen=True):
    """GET `path`: the same answer always."""

    path: str
    media_type: str
    body: bytes


class RefusedRoute(Described, frozen=True):
    """`path`, whatever the method: a part of the API that is not offered, refused with what `error` says."""

    path: str
    error: Callable[[], GemsteadError]


AnyRoute: TypeAlias = (
    ChatRoute
    | FormRoute
    | ResponsesRoute
    | CountRoute
    | TokenizeRoute
    | EmbedRoute
    | ModelsRoute
    | OrderRoute
    | WorkRoute
    | FixedRoute
    | RefusedRoute
)

Handling: TypeAlias = Literal["honoured", "refused", "warned"]


class Field(msgspec.Struct, frozen=True):
    """What is done with one documented field. `neutral` values ask for nothing, so they are always accepted.

    A `refused` field with another value is a 4xx that names it; a `warned` one is answered without it, and says so.
    """

    handling: Handling
    note: str
    neutral: tuple[object, ...] = ()


class Dialect(msgspec.Struct, frozen=True):
    """Everything gemstead knows about one API. Errors below `path_prefix` are written the way `encode_error` does.

    `client_header` (lower case) is one that only clients of this API send: on a path that several dialects share, a
    call with it is theirs. `error_type` is the Struct of an error's body, `request_id_header` where clients of this API
    look for the request's id besides `x-request-id`.
    """

    name: str
    title: str
    source: str
    path_prefix: str
    routes: tuple[AnyRoute, ...]
    encode_error: Callable[[GemsteadError], bytes]
    fields: dict[str, Field]
    error_type: Any = None
    client_header: bytes | None = None
    request_id_header: bytes | None = None
