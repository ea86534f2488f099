"""Another key for the checkpoints: the old one signs the new one, in the chain, before anything is signed by it.

The new key is written beside the old one first, then the record, then it takes the old one's place: whenever that is
cut off, the file of the key that the chain names is there.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from gemstead.core.errors import AlreadyRunning, FileDamaged, Missing
from gemstead.evidence.canonical import Value, canonical
from gemstead.evidence.identity import Identity, new_identity, read_identity
from gemstead.store.secret_file import replace_secret, sync_folder

ROTATED = "evidence.key_rotated"
SIGNED_PREFIX = b"gemstead key rotation 1\n"
LOCK_TIMEOUT_S = 2.0
"""A rotation takes milliseconds."""


class Chain(Protocol):
    """What of a ledger is needed to rotate its key."""

    def named_key(self) -> bytes: ...
    def write_now(self, record: dict[str, Value]) -> int: ...


def rotate_key(ledger: Chain, path: Path, *, now_ms: int) -> Identity:
    """Replaces the key in the file `path`; a running server takes the new one up with its next checkpoint.

    `now_ms`: Unix time in milliseconds. Raises: EvidenceUnavailable; AlreadyRunning; FileDamaged, Missing or
    SettingInvalid for the key that is there.
    """
    with _locked(path):
        old = _found(path, ledger.named_key())
        new = new_identity(path, old.origin)
        replace_secret(next_path(path), new.file_text())
        ledger.write_now(rotation_record(old, new, now_ms))
        _publish(path)
    return new


def rotation_record(old: Identity, new: Identity, now_ms: int) -> dict[str, Value]:
    record: dict[str, Value] = {
        "v": 1,
        "kind": ROTATED,
        "at_ms": now_ms,
        "origin": new.origin,
        "public_key": base64.b64encode(new.public).decode(),
    }
    signature = old.key.sign(SIGNED_PREFIX + canonical(record))
    return {**record, "signature": base64.b64encode(signature).decode()}


def settled(identity: Identity, public: bytes) -> Identity:
    """The identity whose public key is `public`, the one that the chain names: this one, or what its files hold now.

    Raises: FileDamaged if the key is none of them; SettingInvalid; AlreadyRunning.
    """
    if identity.public == public:
        return identity
    with _locked(identity.path):
        return _found(identity.path, public)


def _found(path: Path, public: bytes) -> Identity:
    """Under the lock; finishes a rotation that was cut off."""
    for place in (path, next_path(path)):
        with suppress(Missing):
            found = read_identity(place)
            if found.public == public:
                if place != path:
                    _publish(path)
                return Identity(found.origin, found.key, path)
    raise FileDamaged(
        f"{path} is not the key that the evidence names",
        why="what another key signs, nobody who knows this installation would believe",
        hint="restore the key from the backup that belongs to evidence.db",
    )


def next_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.next")


def _publish(path: Path) -> None:
    next_path(path).replace(path)
    sync_folder(path.parent)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(f"{path}.lock", timeout=LOCK_TIMEOUT_S):
            yield
    except Timeout as exc:
        raise AlreadyRunning(f"another process rotates the key {path}", hint="try again") from exc
