"""A response as a stream: its events in the order the API promises, numbered without a gap."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from gemstead.api.conversations import Memory
from gemstead.api.dialect import ReplyHead
from gemstead.api.openai.errors import error_body
from gemstead.api.openai.responses.body import (
    INCOMPLETE_REASONS,
    asked_of,
    begin_body,
    end_body,
    fail_body,
    warn_unknown_usage,
    with_warnings,
)
from gemstead.api.openai.responses.events import (
    DONE,
    Completed,
    Created,
    ErrorDetails,
    ErrorEvent,
    Failed,
    Incomplete,
    InProgress,
    StreamEvent,
    encode_event,
)
from gemstead.api.openai.responses.items import ItemStatus, ReasoningItem
from gemstead.api.openai.responses.keep import keep_response
from gemstead.api.openai.responses.writers import (
    CallWriter,
    ItemWriter,
    MessageWriter,
    Place,
    ReasoningWriter,
    SummaryWriter,
    call_id_of,
)
from gemstead.core.errors import GemsteadError
from gemstead.core.types import (
    ChatRequest,
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
    Warning,
)


class ResponseStream:
    """Encodes one reply's events; a whole one is kept before its last event is given out.

    Calls stay open side by side until something else comes: their pieces may interleave.
    """

    def __init__(self, memory: Memory, head: ReplyHead, request: ChatRequest) -> None:
        self._memory = memory
        self._head = head
        self._request = request
        self._body = begin_body(head, request)
        self._numbers = count()
        self._writers: list[ItemWriter] = []
        self._open: dict[object, ItemWriter] = {}
        """By what a later piece is known by: the kind of delta, or a call's index."""
        self._statuses: dict[ItemWriter, ItemStatus] = {}
        self._warnings: list[Warning] = []
        self._usage: Usage | None = None
        self._reason: FinishReason | None = None
        self._is_begun = False

    def feed(self, event: Event) -> bytes:
        match event:
            case TextDelta(text=text):
                return self._begin() + self._add(TextDelta, text)
            case ReasoningDelta(text=text):
                return self._begin() + self._add(ReasoningDelta, text)
            case ToolCallDelta():
                return self._begin() + self._add_call(event)
            case Finish(reason=reason):
                self._reason = reason
                return self._begin() + self._end_open("incomplete" if reason in INCOMPLETE_REASONS else "completed")
            case Usage():
                self._usage = event
            case Warning():
                self._warnings.append(event)
        return b""

    def close(self) -> bytes:
        assert self._reason is not None, "the exchange ends every reply with a Finish"
        output = tuple(writer.item(self._statuses[writer]) for writer in self._writers)
        has_reasoning = any(isinstance(item, ReasoningItem) for item in output)
        self._warnings += warn_unknown_usage(self._usage, has_reasoning=has_reasoning)
        ended = end_body(self._body, self._memory, self._reason, output, self._usage)
        body = with_warnings(ended, tuple(self._warnings))
        keep_response(self._memory, self._head, self._request, body)
        kind = Completed if body.status == "completed" else Incomplete
        return _encode([kind(sequence_number=next(self._numbers), response=body)]) + DONE

    def fail(self, error: GemsteadError) -> bytes:
        """An error, then the response with what there was of it: failed, and not kept."""
        begun = self._begin()
        output = tuple(writer.item(self._statuses.get(writer, "incomplete")) for writer in self._writers)
        details = error_body(error)
        told = ErrorEvent(
            sequence_number=next(self._numbers),
            code=details.code,
            message=details.message,
            param=details.param,
            error=ErrorDetails(details.type, details.code, details.message, details.param),
        )
        body = with_warnings(fail_body(self._body, error, output), tuple(self._warnings))
        return begun + _encode([told, Failed(sequence_number=next(self._numbers), response=body)]) + DONE

    def _begin(self) -> bytes:
        if self._is_begun:
            return b""
        self._is_begun = True
        body = with_warnings(self._body, tuple(self._warnings))
        return _encode(
            [
                Created(sequence_number=next(self._numbers), response=body),
                InProgress(sequence_number=next(self._numbers), response=body),
            ]
        )

    def _add(self, kind: type[TextDelta] | type[ReasoningDelta], piece: str) -> bytes:
        if (writer := self._open.get(kind)) is not None:
            return encode_event(writer.add(piece))
        ended = self._end_open("completed")
        if kind is TextDelta:
            writer = MessageWriter(self._place("msg"))
        elif asked_of(self._request).has_summary:
            writer = SummaryWriter(self._place("rs"))
        else:
            writer = ReasoningWriter(self._place("rs"))
        return ended + self._open_with(kind, writer, piece)

    def _add_call(self, piece: ToolCallDelta) -> bytes:
        if (writer := self._open.get(piece.index)) is not None:
            return encode_event(writer.add(piece.arguments)) if piece.arguments else b""
        has_only_calls = all(isinstance(key, int) for key in self._open)
        ended = b"" if has_only_calls else self._end_open("completed")
        call_id = call_id_of(piece.id or f"call_{piece.index}", self._head.token)
        writer = CallWriter(self._place("fc"), call_id, piece.name or "")
        return ended + self._open_with(piece.index, writer, piece.arguments)

    def _place(self, prefix: str) -> Place:
        return Place(prefix, self._head.token, len(self._writers), self._numbers)

    def _open_with(self, key: object, writer: ItemWriter, piece: str) -> bytes:
        self._writers.append(writer)
        self._open[key] = writer
        begun = _encode(writer.begin())
        return begun + encode_event(writer.add(piece)) if piece else begun

    def _end_open(self, status: ItemStatus) -> bytes:
        """Only the last of what is open can be cut short."""
        ended = []
        writers = list(self._open.values())
        self._open.clear()
        for writer in writers:
            its_status = status if writer is writers[-1] else "completed"
            self._statuses[writer] = its_status
            ended.append(_encode(writer.end(its_status)))
        return b"".join(ended)


def _encode(events: Iterable[StreamEvent]) -> bytes:
    return b"".join(encode_event(event) for event in events)
