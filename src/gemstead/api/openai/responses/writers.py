"""One output item as it comes in: the events that tell of it, and the item it comes to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from msgspec import UNSET

from gemstead.api.openai.responses.events import (
    CallDone,
    CallPiece,
    ItemAdded,
    ItemDone,
    PartAdded,
    PartDone,
    ReasoningDone,
    ReasoningPiece,
    StreamEvent,
    SummaryDone,
    SummaryPartAdded,
    SummaryPartDone,
    SummaryPiece,
    TextDone,
    TextPiece,
)
from gemstead.api.openai.responses.items import (
    FunctionCallItem,
    Item,
    ItemStatus,
    MessageItem,
    OutputText,
    ReasoningItem,
    ReasoningText,
    SummaryText,
)


class Place:
    """Where an item stands in its response, its id, and the numbers its events take."""

    def __init__(self, prefix: str, token: str, output_index: int, numbers: Iterator[int]) -> None:
        self.item_id = f"{prefix}_{token}_{output_index}"
        self._output_index = output_index
        self._numbers = numbers

    def next(self) -> dict[str, Any]:
        """The fields of the item's next event that say where it belongs."""
        return {
            "sequence_number": next(self._numbers),
            "item_id": self.item_id,
            "output_index": self._output_index,
        }

    def added(self, item: Item) -> ItemAdded:
        return ItemAdded(sequence_number=next(self._numbers), output_index=self._output_index, item=item)

    def done(self, item: Item) -> ItemDone:
        return ItemDone(sequence_number=next(self._numbers), output_index=self._output_index, item=item)


class ItemWriter(ABC):
    """`text` is what has come so far."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    @abstractmethod
    def begin(self) -> Iterator[StreamEvent]: ...

    def add(self, piece: str) -> StreamEvent:
        self._pieces.append(piece)
        return self._piece(piece)

    @abstractmethod
    def _piece(self, piece: str) -> StreamEvent: ...

    @abstractmethod
    def end(self, status: ItemStatus) -> Iterator[StreamEvent]: ...

    @abstractmethod
    def item(self, status: ItemStatus) -> Item:
        """The item with what has come so far."""


class MessageWriter(ItemWriter):
    def item(self, status: ItemStatus) -> MessageItem:
        return message_item(self.place.item_id, self.text, status)

    def begin(self) -> Iterator[StreamEvent]:
        yield self.place.added(MessageItem(id=self.place.item_id, status="in_progress", role="assistant", content=()))
        yield PartAdded(part=OutputText(""), **self.place.next())

    def _piece(self, piece: str) -> StreamEvent:
        return TextPiece(delta=piece, **self.place.next())

    def end(self, status: ItemStatus) -> Iterator[StreamEvent]:
        text = self.text
        yield TextDone(text=text, **self.place.next())
        yield PartDone(part=OutputText(text), **self.place.next())
        yield self.place.done(self.item(status))


class ReasoningWriter(ItemWriter):
    """Thinking as the item's own content."""

    def item(self, status: ItemStatus) -> ReasoningItem:
        return reasoning_item(self.place.item_id, self.text, status, is_summary=False)

    def begin(self) -> Iterator[StreamEvent]:
        yield self.place.added(ReasoningItem(id=self.place.item_id, status="in_progress"))
        yield PartAdded(part=ReasoningText(""), **self.place.next())

    def _piece(self, piece: str) -> StreamEvent:
        return ReasoningPiece(delta=piece, **self.place.next())

    def end(self, status: ItemStatus) -> Iterator[StreamEvent]:
        text = self.text
        yield ReasoningDone(text=text, **self.place.next())
        yield PartDone(part=ReasoningText(text), **self.place.next())
        yield self.place.done(self.item(status))


class SummaryWriter(ItemWriter):
    """Thinking where a client that asked for a summary looks."""

    def item(self, status: ItemStatus) -> ReasoningItem:
        return reasoning_item(self.place.item_id, self.text, status, is_summary=True)

    def begin(self) -> Iterator[StreamEvent]:
        yield self.place.added(ReasoningItem(id=self.place.item_id, status="in_progress"))
        yield SummaryPartAdded(part=SummaryText(""), **self.place.next())

    def _piece(self, piece: str) -> StreamEvent:
        return SummaryPiece(delta=piece, **self.place.next())

    def end(self, status: ItemStatus) -> Iterator[StreamEvent]:
        text = self.text
        yield SummaryDone(text=text, **self.place.next())
        yield SummaryPartDone(part=SummaryText(text), **self.place.next())
        yield self.place.done(self.item(status))


class CallWriter(ItemWriter):
    def __init__(self, place: Place, call_id: str, name: str) -> None:
        super().__init__(place)
        self._call_id = call_id
        self._name = name

    def item(self, status: ItemStatus) -> FunctionCallItem:
        return FunctionCallItem(
            id=self.place.item_id, call_id=self._call_id, name=self._name, arguments=self.text, status=status
        )

    def begin(self) -> Iterator[StreamEvent]:
        yield self.place.added(self.item("in_progress"))

    def _piece(self, piece: str) -> StreamEvent:
        return CallPiece(delta=piece, **self.place.next())

    def end(self, status: ItemStatus) -> Iterator[StreamEvent]:
        yield CallDone(name=self._name, arguments=self.text, **self.place.next())
        yield self.place.done(self.item(status))


def message_item(item_id: str, text: str, status: ItemStatus) -> MessageItem:
    return MessageItem(id=item_id, status=status, role="assistant", content=(OutputText(text),))


def reasoning_item(item_id: str, text: str, status: ItemStatus, *, is_summary: bool) -> ReasoningItem:
    return ReasoningItem(
        id=item_id,
        status=status,
        summary=(SummaryText(text),) if is_summary else (),
        content=UNSET if is_summary else (ReasoningText(text),),
    )


def call_id_of(given: str, token: str) -> str:
    """An id that only counts within its reply would mean two calls once the conversation goes on."""
    count = given.removeprefix("call_")
    return f"call_{token}_{count}" if count != given and count.isdigit() else given
