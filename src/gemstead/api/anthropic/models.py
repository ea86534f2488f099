"""The models on offer, and token counts, as the Anthropic API tells them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from gemstead.api.dialect import ModelCard


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`capabilities` null: not told. Prompt and answer share the context length, so it is the limit of both."""

    id: str
    type: Literal["model"] = "model"
    display_name: str
    created_at: datetime
    max_input_tokens: int | None
    max_tokens: int | None
    capabilities: None = None
    lifecycle: Literal["active"] = "active"
    line: None = None
    deprecated_at: None = None
    retires_at: None = None


class ModelPage(msgspec.Struct, frozen=True, kw_only=True):
    data: tuple[ModelInfo, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool = False


class TokenCount(msgspec.Struct, frozen=True):
    input_tokens: int


def encode_list(cards: tuple[ModelCard, ...]) -> bytes:
    """All of them, in one page."""
    infos = tuple(_info(card) for card in cards)
    first, last = (infos[0].id, infos[-1].id) if infos else (None, None)
    return msgspec.json.encode(ModelPage(data=infos, first_id=first, last_id=last))


def encode_one(card: ModelCard) -> bytes:
    return msgspec.json.encode(_info(card))


def encode_count(num_tokens: int) -> bytes:
    return msgspec.json.encode(TokenCount(num_tokens))


def _info(card: ModelCard) -> ModelInfo:
    return ModelInfo(
        id=card.name,
        display_name=card.name,
        created_at=datetime.fromtimestamp(card.created_s, UTC),
        max_input_tokens=card.context_length,
        max_tokens=card.context_length,
    )
