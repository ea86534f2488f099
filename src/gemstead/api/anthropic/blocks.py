"""The content blocks of a request as Anthropic writes them, and as canonical parts."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from gemstead.api.media import decode_image
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Part, TextPart


class CacheControl(msgspec.Struct, frozen=True):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class Citations(msgspec.Struct, frozen=True):
    enabled: bool | None = None


class Base64Source(msgspec.Struct, frozen=True, tag="base64"):
    media_type: str
    data: str


class UrlSource(msgspec.Struct, frozen=True, tag="url"):
    url: str


class FileSource(msgspec.Struct, frozen=True, tag="file"):
    file_id: str


class TextSource(msgspec.Struct, frozen=True, tag="text"):
    media_type: Literal["text/plain"]
    data: str


class TextBlock(msgspec.Struct, frozen=True, tag="text"):
    """`citations` come back with a reply."""

    text: str
    cache_control: CacheControl | None = None
    citations: list[Any] | None = None


class ImageBlock(msgspec.Struct, frozen=True, tag="image"):
    source: Base64Source | UrlSource | FileSource
    cache_control: CacheControl | None = None
    transformations: dict[str, Any] | None = None


class ContentSource(msgspec.Struct, frozen=True, tag="content"):
    content: str | list[TextBlock | ImageBlock]


class DocumentBlock(msgspec.Struct, frozen=True, tag="document"):
    source: TextSource | ContentSource | Base64Source | UrlSource | FileSource
    title: str | None = None
    context: str | None = None
    citations: Citations | None = None
    cache_control: CacheControl | None = None


class SearchResultBlock(msgspec.Struct, frozen=True, tag="search_result"):
    content: list[TextBlock]
    source: str
    title: str
    citations: Citations | None = None
    cache_control: CacheControl | None = None


ResultBlock: TypeAlias = TextBlock | ImageBlock | DocumentBlock | SearchResultBlock


class ToolResultBlock(msgspec.Struct, frozen=True, tag="tool_result"):
    tool_use_id: str
    content: str | list[ResultBlock] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None


class ToolUseBlock(msgspec.Struct, frozen=True, tag="tool_use"):
    """`caller` comes back with a reply."""

    id: str
    name: str
    input: dict[str, Any]
    caller: dict[str, Any] | None = None
    cache_control: CacheControl | None = None


class ThinkingBlock(msgspec.Struct, frozen=True, tag="thinking"):
    thinking: str
    signature: str | None = None


class RedactedThinkingBlock(msgspec.Struct, frozen=True, tag="redacted_thinking"):
    data: str


UserBlock: TypeAlias = TextBlock | ImageBlock | DocumentBlock | SearchResultBlock | ToolResultBlock
AssistantBlock: TypeAlias = TextBlock | ToolUseBlock | ThinkingBlock | RedactedThinkingBlock
AnyBlock: TypeAlias = UserBlock | AssistantBlock


LINE_END = TextPart("\n")


def parts_of(block: ResultBlock, path: str) -> tuple[Part, ...]:
    """What the model is shown of a block. Raises: RequestInvalid naming what cannot be taken."""
    match block:
        case TextBlock(text=text):
            return (TextPart(text),)
        case ImageBlock(source=Base64Source(media_type=media_type, data=data)):
            return (decode_image(f"data:{media_type};base64,{data}", f"{path}.source"),)
        case ImageBlock(source=source):
            raise _refusal(source, path, "send the picture itself: a source of type base64")
        case DocumentBlock():
            return _document(block, path)
        case SearchResultBlock(title=title, source=origin, content=texts):
            head = TextPart(f"\nSearch result: {title} ({origin})\n")
            return (head, *(TextPart(text.text) for text in texts), LINE_END)


def _document(block: DocumentBlock, path: str) -> tuple[Part, ...]:
    head = f"\nDocument: {block.title}\n" if block.title else "\nDocument:\n"
    opening = TextPart(head + (f"{block.context}\n" if block.context else ""))
    match block.source:
        case TextSource(data=text) | ContentSource(content=str(text)):
            return (opening, TextPart(text), LINE_END)
        case ContentSource(content=list(inner)):
            places = enumerate(inner)
            parts = (part for index, item in places for part in parts_of(item, f"{path}.source.content[{index}]"))
            return (opening, *parts, LINE_END)
        case source:
            raise _refusal(source, path, "send its text: a source of type text")


def _refusal(source: msgspec.Struct, path: str, hint: str) -> RequestInvalid:
    if isinstance(source, Base64Source):
        return RequestInvalid(
            f"documents of type {source.media_type[:40]!r} are not taken", param=f"{path}.source.media_type", hint=hint
        )
    return RequestInvalid(
        f"sources of type {source.__struct_config__.tag!r} are refused",
        param=f"{path}.source.type",
        why="fetching them would let a caller read files and networks that only this machine reaches",
        hint=hint,
    )
