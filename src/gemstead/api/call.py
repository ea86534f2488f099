"""One HTTP call, as the endpoints see it: what came in, and the few ways to answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TypeVar

import msgspec
from starlette.types import Receive, Scope, Send

from gemstead.access.address import network_of
from gemstead.api.data_label import LABEL_HEADER, label_of
from gemstead.api.dialect import Dialect
from gemstead.api.errors import BodyTooLarge, BodyTooSlow, ContentTypeRefused, MethodRefused
from gemstead.core.caller import Caller, Origin
from gemstead.core.errors import ScopeMissing
from gemstead.core.types import ChatRequest, EmbedRequest
from gemstead.core.units import format_bytes, format_duration

Header = tuple[bytes, bytes]

JSON = "application/json"

Request = TypeVar("Request", ChatRequest, EmbedRequest)


SECURITY_HEADERS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""On every answer: none of them is a page, whatever a browser that is led here takes it for."""

TLS_HEADERS: tuple[Header, ...] = ((b"strict-transport-security", b"max-age=31536000"),)


class ClientLeft(Exception):
    """The client closed the connection, or reads no more: nobody is left to answer."""


class Call:
    """State of one call. `route` and `finish_reason` are what the metrics call it by; endpoints set them."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str, stall_limit_s: float) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.request_id = request_id
        self.stall_limit_s = stall_limit_s
        self.started_s = time.perf_counter()
        self.route = "unknown"
        self.dialect: Dialect | None = None
        """Whose route it is; None until one is found, and on routes that belong to no dialect."""
        self.caller = Caller()
        """Who asks; until that is known, somebody who may do nothing."""
        self.request: ChatRequest | EmbedRequest | None = None
        """What was asked of the exchange; None until then."""
        self.added_headers: list[Header] = []
        """What the door adds to the answer, whatever it will be."""
        self.finish_reason = ""
        self.status: int | None = None
        """None until the answer has begun."""

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        return str(self.scope["path"])

    @property
    def address(self) -> str:
        """The peer's; empty if the connection has none (any more)."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    def require_scope(self, *scopes: str) -> None:
        """Raises: ScopeMissing unless the caller has one of them."""
        if self.caller.scopes.isdisjoint(scopes):
            raise ScopeMissing(
                f"this key may not do that: it lacks the scope {' or '.join(scopes)}",
                hint=f"gemstead keys create --scopes {scopes[0]}",
            )

    def asked(self, request: Request) -> Request:
        """`request` with where it comes from: the one way a caller's request gets into the exchange.

        Raises: ScopeMissing for a caller who may not use models; RequestInvalid for a data label that is none.
        """
        self.require_scope("use")
        dialect = self.dialect.name if self.dialect is not None else ""
        label = label_of(self.header(LABEL_HEADER))
        origin = Origin(self.caller, self.request_id, dialect, network_of(self.address), label)
        asked = msgspec.structs.replace(request, origin=origin)
        self.request = asked
        return asked

    def elapsed_s(self) -> float:
        return time.perf_counter() - self.started_s

    def header(self, name: bytes) -> str | None:
        """The first header `name` (lower case); None if there is none."""
        for key, value in self.scope["headers"]:
            if key == name:
                return str(value.decode("latin-1"))
        return None

    def require_method(self, *methods: str) -> None:
        if self.method not in methods:
            raise MethodRefused(f"{self.path} does not answer {self.method}", hint=f"use {' or '.join(methods)}")

    async def read_json_body(self, max_bytes: int, limit_s: float) -> bytes:
        """The whole body, undecoded.

        A page in a browser can send other sites only "simple" types without asking first, and JSON is not among them:
        so the type is required, and a missing one refused too.

        Raises: ContentTypeRefused, BodyTooLarge, BodyTooSlow, ClientLeft.
        """
        return await self.read_body(JSON, max_bytes, limit_s)

    async def read_body(self, media_type: str, max_bytes: int, limit_s: float) -> bytes:
        """The whole body, undecoded, if it is of that type. Raises: as `read_json_body`."""
        given = (self.header(b"content-type") or "").partition(";")[0].strip().lower()
        if given != media_type:
            raise ContentTypeRefused(
                f"the body's content type is {given[:80]!r}" if given else "the body has no content type",
                hint=f"send it with the header: content-type: {media_type}",
            )
        declared = self.header(b"content-length") or ""
        if declared.isdigit() and int(declared) > max_bytes:
            raise _too_large(max_bytes)
        try:
            async with asyncio.timeout(limit_s):
                return await self._read_body(max_bytes)
        except TimeoutError as exc:
            raise BodyTooSlow(f"the body was not whole within {format_duration(limit_s)}") from exc

    async def _read_body(self, max_bytes: int) -> bytes:
        body = bytearray()
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            body += message.get("body", b"")
            if len(body) > max_bytes:
                raise _too_large(max_bytes)
            if not message.get("more_body", False):
                return bytes(body)

    async def start(self, status: int, media_type: str, headers: Iterable[Header] = ()) -> None:
        """Sends the head; `write` sends the rest, in pieces."""
        self.status = status
        own = self.dialect.request_id_header if self.dialect is not None else None
        ids = [(name, self.request_id.encode()) for name in (b"x-request-id", own) if name is not None]
        await self.send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", media_type.encode()),
                    *ids,
                    *SECURITY_HEADERS,
                    *(TLS_HEADERS if self.scope.get("scheme") == "https" else ()),
                    *self.added_headers,
                    *headers,
                ],
            }
        )

    async def write(self, payload: bytes, *, is_last: bool = False) -> None:
        """Waits while the client's socket is full: a slow reader slows whoever writes.

        Raises: ClientLeft if it stays full for `stall_limit_s`.
        """
        try:
            async with asyncio.timeout(self.stall_limit_s):
                await self.send({"type": "http.response.body", "body": payload, "more_body": not is_last})
        except TimeoutError as exc:
            raise ClientLeft from exc

    async def answer(self, status: int, media_type: str, body: bytes, headers: Iterable[Header] = ()) -> None:
        """A whole answer at once."""
        await self.start(status, media_type, [(b"content-length", b"%d" % len(body)), *headers])
        await self.write(body, is_last=True)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {format_bytes(max_bytes)}", hint="send fewer or smaller media")
