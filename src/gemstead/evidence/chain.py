"""Each record's hash covers the hash before it: an edit, a gap or another order breaks every link that follows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

START = bytes(32)
"""The hash before the first record."""

_PREFIX = b"gemstead chain 1\n"
"""Keeps a link from ever being taken for another kind of hash."""


class Link(msgspec.Struct, frozen=True):
    """A record as it is kept, with the hash that binds it to all before. Positions count from 0."""

    position: int
    record: bytes
    hash: bytes


class Break(msgspec.Struct, frozen=True):
    """The first position at which a chain is not what it was, and how."""

    position: int
    why: str


def link_hash(previous: bytes, position: int, record: bytes) -> bytes:
    return hashlib.sha256(_PREFIX + previous + position.to_bytes(8, "big") + record).digest()


def first_break(links: Iterable[Link], *, position: int = 0, previous: bytes = START) -> Break | None:
    """Where `links`, which should begin at `position` after the hash `previous`, stop following from each other.

    None: nowhere. That the end was not cut off, or all of it made anew, only a checkpoint kept elsewhere can tell.
    """
    for link in links:
        if link.position != position:
            return Break(position, f"position {link.position} stands where {position} belongs")
        if link_hash(previous, position, link.record) != link.hash:
            return Break(position, "the record, or one before it, is not the one that was written")
        previous, position = link.hash, position + 1
    return None
