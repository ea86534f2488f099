"""The models on offer, as the OpenAI API lists them."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from gemstead.api.dialect import ModelCard


class ModelBody(msgspec.Struct, frozen=True):
    """`context_length` is ours; official clients pass it by."""

    id: str
    created: int
    owned_by: str
    object: Literal["model"] = "model"
    context_length: int | UnsetType = UNSET


class ModelList(msgspec.Struct, frozen=True):
    data: tuple[ModelBody, ...]
    object: Literal["list"] = "list"


def encode_list(cards: tuple[ModelCard, ...]) -> bytes:
    return msgspec.json.encode(ModelList(tuple(_body(card) for card in cards)))


def encode_one(card: ModelCard) -> bytes:
    return msgspec.json.encode(_body(card))


def _body(card: ModelCard) -> ModelBody:
    context_length = UNSET if card.context_length is None else card.context_length
    return ModelBody(card.name, card.created_s, card.owner, context_length=context_length)
