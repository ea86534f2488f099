"""Each record's hash covers the hash before it: an edit, a gap or another order breaks every link that follows.

A link is over the record's leaf hash, not its text: a record that is past its retention can be blanked, with the leaf
kept in its place, and chain and tree still show that nothing else changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

START = bytes(32)
"""The hash before the first record."""

_PREFIX = b"gemstead chain 2\n"
"""Keeps a link from ever being taken for another kind of hash."""


class Link(msgspec.Struct, frozen=True):
    """A record's leaf (`tree.leaf_hash`), with the hash that binds it to all before. Positions count from 0."""

    position: int
    leaf: bytes
    hash: bytes


class Break(msgspec.Struct, frozen=True):
    """The first position at which a chain is not what it was, and how."""

    position: int
    why: str


def link_hash(previous: bytes, position: int, leaf: bytes) -> bytes:
    return hashlib.sha256(_PREFIX + previous + position.to_bytes(8, "big") + leaf).digest()


def first_break(links: Iterable[Link], *, position: int = 0, previous: bytes = START) -> Break | None:
    """Where `links`, which should begin at `position` after the hash `previous`, stop following from each other.

    None: nowhere. That the end was not cut off, or all of it made anew, only a checkpoint kept elsewhere can tell.
    """
    for link in links:
        if link.position != position:
            return Break(position, f"position {link.position} stands where {position} belongs")
        if link_hash(previous, position, link.leaf) != link.hash:
            return Break(position, "the record, or one before it, is not the one that was written")
        previous, position = link.hash, position + 1
    return None
