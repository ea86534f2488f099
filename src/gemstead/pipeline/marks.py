"""What a record says of a prompt and a reply in the place of their text: keyed hashes, made while the text passes."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.core.types import (
    ChatRequest,
    EmbedRequest,
    Event,
    ImagePart,
    Message,
    ReasoningDelta,
    TextDelta,
    TextPart,
    ToolCallDelta,
)
from gemstead.evidence.pseudonyms import KeyedHash, TextHash
from gemstead.pipeline.fold import join_call

MAX_AT_ONCE_BYTES = 256 * 1024
"""A longer prompt is hashed in a thread: a picture of 20 MB takes 20 ms."""


def prompt_pieces(request: ChatRequest | EmbedRequest) -> list[bytes]:
    """What a prompt is hashed over: of each piece its kind, its length in bytes, and itself.

    A piece is `KIND LENGTH\n` and its bytes; the kinds are the roles of messages, `image`, `audio`, `video`, `call`
    (name, a line feed, arguments), `prompt` (a text to continue) and `text` (one to embed). Tools that are offered and
    sampling are not part of it.
    """
    return list(_pieces(request))


def is_long(pieces: list[bytes]) -> bool:
    return sum(map(len, pieces)) > MAX_AT_ONCE_BYTES


class ReplyMarks:
    """Takes the events of a reply as they are given out."""

    def __init__(self, texts: KeyedHash) -> None:
        self._texts = texts
        self._reply: TextHash | None = None
        self._reasoning: TextHash | None = None
        self._calls: dict[int, list[ToolCallDelta]] = {}
        """Whole: their pieces may come in any order, and the check of replies bounds them."""

    def see(self, event: Event) -> None:
        if isinstance(event, TextDelta):
            self._reply = self._reply or self._texts.begin()
            self._reply.feed(_utf8(event.text))
        elif isinstance(event, ReasoningDelta):
            self._reasoning = self._reasoning or self._texts.begin()
            self._reasoning.feed(_utf8(event.text))
        elif isinstance(event, ToolCallDelta):
            self._calls.setdefault(event.index, []).append(event)

    def reply(self) -> str | None:
        """Of the text, its deltas joined; None if there was none."""
        return self._reply.shown() if self._reply else None

    def reasoning(self) -> str | None:
        return self._reasoning.shown() if self._reasoning else None

    def tools(self) -> tuple[str, ...]:
        """Names of the tools that were called, in order."""
        return tuple(name for name, _ in self._joined())

    def calls(self) -> str | None:
        """Of all calls, as pieces of a prompt would be."""
        pieces = [piece for name, arguments in self._joined() for piece in _piece("call", _call(name, arguments))]
        return self._texts.of(pieces) if pieces else None

    def _joined(self) -> Iterator[tuple[str, str]]:
        for index in sorted(self._calls):
            call = join_call(self._calls[index], "")
            yield call.name, call.arguments


def _pieces(request: ChatRequest | EmbedRequest) -> Iterator[bytes]:
    if isinstance(request, EmbedRequest):
        for text in request.texts:
            yield from _piece("text", _utf8(text))
        return
    if request.prompt is not None:
        yield from _piece("prompt", _utf8(request.prompt))
    for message in request.messages:
        yield from _message(message)


def _message(message: Message) -> Iterator[bytes]:
    yield from _piece(message.role, _utf8(message.text))
    for part in message.content:
        if isinstance(part, TextPart):
            continue
        kind = "image" if isinstance(part, ImagePart) else type(part).__struct_config__.tag
        yield from _piece(str(kind), part.content)
    for call in message.tool_calls:
        yield from _piece("call", _call(call.name, call.arguments))


def _piece(kind: str, payload: bytes) -> Iterator[bytes]:
    yield f"{kind} {len(payload)}\n".encode()
    yield payload


def _call(name: str, arguments: str) -> bytes:
    return _utf8(f"{name}\n{arguments}")


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
