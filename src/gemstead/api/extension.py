"""What gemstead adds to a reply under its own name; official clients pass it by."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from gemstead.core.types import Usage, Warning


class ReplyExtension(msgspec.Struct, frozen=True):
    warnings: tuple[Warning, ...]


class UsageExtension(msgspec.Struct, frozen=True):
    """Messages of the request that the context policy left out: the tokens are those of the others."""

    dropped_messages: int


def reply_extension(warnings: tuple[Warning, ...]) -> ReplyExtension | UnsetType:
    return ReplyExtension(warnings) if warnings else UNSET


def usage_extension(usage: Usage) -> UsageExtension | UnsetType:
    return UsageExtension(usage.dropped_messages) if usage.dropped_messages else UNSET
