"""The items of a conversation as the Responses API writes them: what comes in, and what the model gives."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import UNSET, UnsetType

from gemstead.core.errors import RequestInvalid

ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"]


class InputText(msgspec.Struct, frozen=True, tag="input_text"):
    text: str


class OutputText(msgspec.Struct, frozen=True, tag="output_text"):
    text: str
    annotations: tuple[Any, ...] = ()
    logprobs: tuple[Any, ...] | None = ()


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    refusal: str


class InputImage(msgspec.Struct, frozen=True, tag="input_image"):
    image_url: str | None = None
    file_id: str | None = None
    detail: Literal["auto", "low", "high", "original"] = "auto"


class AudioBytes(msgspec.Struct, frozen=True):
    data: str
    format: str


class InputAudio(msgspec.Struct, frozen=True, tag="input_audio"):
    input_audio: AudioBytes


class ReasoningText(msgspec.Struct, frozen=True, tag="reasoning_text"):
    text: str


class SummaryText(msgspec.Struct, frozen=True, tag="summary_text"):
    text: str


MessageContent: TypeAlias = InputText | OutputText | Refusal | InputImage | InputAudio


class MessageItem(msgspec.Struct, frozen=True, kw_only=True, tag="message"):
    """`phase` labels what an assistant said on its way to the answer; it is given back and changes no prompt."""

    id: str | None = None
    status: ItemStatus | None = None
    role: Literal["user", "assistant", "system", "developer"]
    content: str | tuple[MessageContent, ...]
    phase: Literal["commentary", "final_answer"] | UnsetType | None = UNSET


class FunctionCallItem(msgspec.Struct, frozen=True, kw_only=True, tag="function_call"):
    id: str | None = None
    call_id: str
    name: str
    arguments: str
    status: ItemStatus | None = None


class FunctionCallOutputItem(msgspec.Struct, frozen=True, kw_only=True, tag="function_call_output"):
    id: str | None = None
    call_id: str
    output: str | tuple[InputText | InputImage, ...]
    status: ItemStatus | None = None


class ReasoningItem(msgspec.Struct, frozen=True, kw_only=True, tag="reasoning"):
    """`encrypted_content` is another server's: nobody here can read it."""

    id: str | None = None
    summary: tuple[SummaryText, ...] = ()
    content: tuple[ReasoningText, ...] | UnsetType | None = UNSET
    encrypted_content: str | UnsetType | None = UNSET
    status: ItemStatus | None = None

    @property
    def text(self) -> str:
        """The thinking where it is given, else its summary."""
        return "\n\n".join(part.text for part in (self.content or self.summary))


class ItemReference(msgspec.Struct, frozen=True, tag="item_reference"):
    """Stands for the kept item with this id."""

    id: str


Item: TypeAlias = MessageItem | FunctionCallItem | FunctionCallOutputItem | ReasoningItem
InputItem: TypeAlias = Item | ItemReference

ITEM_TYPES = tuple(str(kind.__struct_config__.tag) for kind in get_args(InputItem))


def with_types(items: list[Any]) -> list[Any]:
    """`items` with the type that the API lets a caller leave out filled in: a message's, or a reference's.

    Raises: RequestInvalid for a kind of item that only a vendor's own tools make.
    """
    return [_with_type(item, f"input[{index}]") for index, item in enumerate(items)]


def _with_type(item: Any, path: str) -> Any:
    if not isinstance(item, dict):
        return item
    kind = item.get("type")
    if kind is None:
        return item | {"type": "message" if "role" in item else "item_reference"}
    if kind not in ITEM_TYPES:
        raise RequestInvalid(
            f"input items of type {str(kind)[:60]!r} are not taken",
            param=f"{path}.type",
            hint=f"use one of {', '.join(ITEM_TYPES)}",
        )
    return item


def with_id(item: Item, token: str, index: int) -> Item:
    """The item as it is kept and listed: with an id, a status, and content in parts."""
    given_id = item.id or f"{PREFIXES[type(item)]}_{token}_i{index}"
    if isinstance(item, MessageItem) and isinstance(item.content, str):
        part = OutputText(item.content) if item.role == "assistant" else InputText(item.content)
        item = msgspec.structs.replace(item, content=(part,))
    return msgspec.structs.replace(item, id=given_id, status=item.status or "completed")


PREFIXES: dict[type, str] = {
    MessageItem: "msg",
    FunctionCallItem: "fc",
    FunctionCallOutputItem: "fco",
    ReasoningItem: "rs",
}


def response_id_of(item_id: str) -> str | None:
    """The response that an item with an id of ours came in with or was made by; None for an id of somebody else's."""
    prefix, _, rest = item_id.partition("_")
    token, _, index = rest.partition("_")
    return f"resp_{token}" if prefix in PREFIXES.values() and token and index else None
