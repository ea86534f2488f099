"""Whom a text concerns: the owner of the key it came with, or the person whom the request itself names."""

from __future__ import annotations

import msgspec

NOBODY = "anonymous"
"""The owner where a door asks for no key."""

LOCAL = "key:local"
"""The owner of what comes from the command line of the user who runs the server, once there are keys."""

MAX_NAME_CHARS = 512
"""Of a name that a request brings along; the rest is left out, so that nobody fills a disk with it."""


class Subject(msgspec.Struct, frozen=True):
    """`user` is the request's own word for a person, below the owner of the key: two owners' "alice" are two people."""

    owner: str
    user: str | None = None

    def __str__(self) -> str:
        return self.owner if self.user is None else f"{self.owner}/{self.user}"

    @property
    def parent(self) -> Subject | None:
        """The owner, for a person below one."""
        return None if self.user is None else Subject(self.owner)

    def encoded(self) -> bytes:
        """The same bytes for the same subject, and for no other."""
        return msgspec.json.encode([self.owner, self.user])


def subject_of(owner: str | None, key_id: str | None, user: str | None) -> Subject:
    """A key without an owner stands for itself."""
    named = owner or (f"key:{key_id}" if key_id else NOBODY)
    return Subject(named[:MAX_NAME_CHARS], user[:MAX_NAME_CHARS] if user else None)


def decoded_subject(content: bytes) -> Subject:
    owner, user = msgspec.json.decode(content, type=tuple[str, str | None])
    return Subject(owner, user)
