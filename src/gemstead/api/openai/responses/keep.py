"""What of a response is kept, and kept responses as they are listed and deleted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from gemstead.api.body import take_fields
from gemstead.api.conversations import KeptResponse, Memory
from gemstead.api.dialect import ReplyHead
from gemstead.api.openai.responses.body import ResponseBody, asked_of
from gemstead.api.openai.responses.items import Item, with_id
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import ChatRequest

_encode_json = msgspec.json.Encoder().encode


def keep_response(memory: Memory, head: ReplyHead, request: ChatRequest, body: ResponseBody) -> None:
    asked = asked_of(request)
    if not asked.is_kept:
        return
    given = (with_id(item, head.token, index) for index, item in enumerate(asked.given))
    memory.keep(
        KeptResponse(
            id=body.id,
            body=_encode_json(body),
            given=tuple(_encode_json(item) for item in given),
            made=tuple(_encode_json(item) for item in body.output),
            previous=asked.previous,
        )
    )


class PageQuery(msgspec.Struct, frozen=True):
    """Which items of a list are asked for. `include` asks for what is always there."""

    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"


class ItemList(msgspec.Struct, frozen=True):
    data: tuple[Item, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class Deleted(msgspec.Struct, frozen=True):
    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True


class InputTokens(msgspec.Struct, frozen=True):
    input_tokens: int
    object: Literal["response.input_tokens"] = "response.input_tokens"


def encode_items(response: KeptResponse, query: dict[str, str]) -> bytes:
    """The page of the response's input items that `query` asks for. Raises: RequestInvalid."""
    asked = _page_query(query)
    items = [msgspec.json.decode(item, type=Item) for item in response.input_items()]
    if asked.order == "desc":
        items.reverse()
    start = 0
    if asked.after is not None:
        places = [index for index, item in enumerate(items) if item.id == asked.after]
        if not places:
            raise RequestInvalid(f"there is no item {asked.after[:100]!r} in this response", param="after")
        start = places[0] + 1
    page = items[start : start + asked.limit]
    return _encode_json(
        ItemList(
            data=tuple(page),
            first_id=page[0].id if page else None,
            last_id=page[-1].id if page else None,
            has_more=start + len(page) < len(items),
        )
    )


def _page_query(query: dict[str, str]) -> PageQuery:
    given: dict[str, Any] = {name: value for name, value in query.items() if name in PageQuery.__struct_fields__}
    limit = given.get("limit", "")
    return take_fields(given | ({"limit": int(limit)} if limit.isdecimal() and len(limit) < 10 else {}), PageQuery)


def encode_deleted(response_id: str) -> bytes:
    return _encode_json(Deleted(response_id))


def encode_input_tokens(num_tokens: int) -> bytes:
    return _encode_json(InputTokens(num_tokens))
