"""A chat call: decode, run the exchange, encode; whole or streamed."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

import msgspec

from gemstead.api.call import Call, ClientLeft, Header
from gemstead.api.context_policy import HEADER, with_header
from gemstead.api.dialect import ChatRoute, Decoded, ExchangeRoute, ReplyHead, StreamEncoder
from gemstead.api.disconnect import cancelled_if_client_leaves
from gemstead.api.quota_headers import headers_left
from gemstead.api.services import Services
from gemstead.core.errors import GemsteadError
from gemstead.core.lots import RandomNames
from gemstead.core.types import Event, Finish, Warning
from gemstead.pipeline.fold import ReplyFold

logger = logging.getLogger(__name__)

_NAMES = RandomNames()


class ChatEndpoint(msgspec.Struct, frozen=True):
    services: Services
    route: ChatRoute

    async def __call__(self, call: Call) -> None:
        call.require_method("POST")
        services = self.services
        decoded = self.route.decode(await call.read_json_body(services.max_body_bytes, services.body_limit_s))
        await ExchangeReply(services, self.route).send(call, decoded)


class ExchangeReply(msgspec.Struct, frozen=True):
    """One exchange, answered as `route` writes it."""

    services: Services
    route: ExchangeRoute

    async def send(self, call: Call, decoded: Decoded) -> None:
        services = self.services
        request = call.asked(with_header(decoded.request, call.header(HEADER.encode())))
        head = ReplyHead(
            token=_NAMES.hex(12),
            created_s=int(time.time()),
            model=request.model,
            fingerprint=services.fingerprint(request.model),
            elapsed_s=call.elapsed_s,
        )
        async with (
            cancelled_if_client_leaves(call.receive),
            aclosing(services.chat(request)) as events,
        ):
            call.finish_reason = "cancelled"
            try:
                if request.is_stream:
                    await self._stream(call, decoded, head, events)
                else:
                    await self._whole(call, decoded, head, events)
            except ClientLeft:
                raise
            except Exception:
                call.finish_reason = "error"
                raise

    async def _whole(self, call: Call, decoded: Decoded, head: ReplyHead, events: AsyncGenerator[Event]) -> None:
        fold = ReplyFold()
        for warning in decoded.warnings:
            fold.add(warning)
        async for event in events:
            fold.add(event)
        reply = fold.reply()
        body = self.route.encode_reply(head, decoded.request, reply)
        call.finish_reason = reply.finish_reason
        quota = await headers_left(self.services, call)
        headers = [*warning_headers(reply.warnings), *quota, _timing_header("total", call)]
        await call.answer(200, self.route.reply_media_type(decoded.request), body, headers)

    async def _stream(self, call: Call, decoded: Decoded, head: ReplyHead, events: AsyncGenerator[Event]) -> None:
        """The head waits for the first event that is no warning: until then an error can still be a status."""
        encoder = self.route.new_stream(head, decoded.request)
        early = list(decoded.warnings)
        for warning in decoded.warnings:
            encoder.feed(warning)
        first: Event | None = None
        async for event in events:
            if not isinstance(event, Warning):
                first = event
                break
            early.append(event)
            encoder.feed(event)
        assert first is not None, "the exchange ends every reply with a Finish"
        quota = await headers_left(self.services, call)
        headers = [*warning_headers(early), *quota, _timing_header("first", call), _NO_BUFFERING]
        await call.start(200, self.route.stream_media_type, headers)
        await call.write(await self._pump(call, encoder, first, events), is_last=True)

    async def _pump(self, call: Call, encoder: StreamEncoder, first: Event, events: AsyncGenerator[Event]) -> bytes:
        """Writes all but the last bytes, which it returns: they leave when the exchange is over and recorded."""
        try:
            await call.write(encoder.feed(first))
            _note_finish(call, first)
            async for event in events:
                if payload := encoder.feed(event):
                    await call.write(payload)
                _note_finish(call, event)
        except ClientLeft:
            raise
        except GemsteadError as exc:
            call.finish_reason = "error"
            return encoder.fail(exc)
        except Exception:
            logger.exception("request %s failed in mid-stream", call.request_id)
            call.finish_reason = "error"
            return encoder.fail(GemsteadError("internal error", why=f"request {call.request_id}"))
        return encoder.close()


_NO_BUFFERING: Header = (b"x-accel-buffering", b"no")
"""Asks a reverse proxy of the nginx family to pass the stream on as it comes."""


def _note_finish(call: Call, event: Event) -> None:
    if isinstance(event, Finish):
        call.finish_reason = event.reason


_OWN_HEADERS = {"context_dropped": b"x-gemstead-context"}
"""Warnings that also have a header of their own, with nothing in it but their message."""


def warning_headers(warnings: Iterable[Warning]) -> list[Header]:
    warnings = tuple(warnings)
    own = [
        (_OWN_HEADERS[warning.code], _header_text(warning.message))
        for warning in warnings
        if warning.code in _OWN_HEADERS
    ]
    return own + [(b"x-gemstead-warning", _header_text(f"{warning.code}: {warning.message}")) for warning in warnings]


def _header_text(text: str) -> bytes:
    """A message may quote what the caller sent: only printable ASCII goes into a header, and not much of it."""
    return "".join(char if " " <= char <= "~" else "?" for char in text[:300]).encode("ascii")


def _timing_header(name: str, call: Call) -> Header:
    return (b"server-timing", b"%s;dur=%.3f" % (name.encode(), call.elapsed_s() * 1000))
