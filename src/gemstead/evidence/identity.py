"""Who signs the checkpoints of this installation: a name, and an Ed25519 key in a private file.

The file is one line in the form of Go's signed notes: `PRIVATE+KEY+<origin>+<key id>+<base64 of 0x01 and the seed>`.
Source: golang.org/x/mod/sumdb/note; c2sp.org/signed-note.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from gemstead.core.errors import FileDamaged, SettingInvalid
from gemstead.evidence.checkpoint import ED25519, verifier_key
from gemstead.store.secret_file import make_secret, read_secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_FILE = "evidence.key"
_PREFIX = "PRIVATE+KEY+"
_SEED_BYTES = 32


class Identity:
    """`origin` names the installation in records and checkpoints; `path` is where its key lies."""

    def __init__(self, origin: str, key: Ed25519PrivateKey, path: Path) -> None:
        self.origin = origin
        self.key = key
        self.path = path

    @property
    def public(self) -> bytes:
        """32 bytes."""
        return self.key.public_key().public_bytes_raw()

    @property
    def verifier_key(self) -> str:
        """What an auditor is given beforehand."""
        return verifier_key(self.origin, self.public)

    def file_text(self) -> bytes:
        """What stands in the key file: a secret."""
        key_id = self.verifier_key.split("+", 2)[1]
        seed = base64.b64encode(ED25519 + self.key.private_bytes_raw()).decode()
        return f"{_PREFIX}{self.origin}+{key_id}+{seed}\n".encode()

    def __repr__(self) -> str:
        return f"<identity {self.origin}>"


def new_identity(path: Path, origin: str | None = None) -> Identity:
    """One that nobody knows yet; nothing is written. Without an `origin` it gets one by chance: it names no host."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Identity(origin or f"gemstead/{secrets.token_hex(8)}", Ed25519PrivateKey.generate(), path)


def ensure_identity(path: Path) -> Identity:
    """The identity in the file `path`, made at first use. Of two makers one wins.

    Raises: SettingInvalid if the file cannot be read or written, or others can read it; FileDamaged.
    """
    if not path.exists():
        try:
            make_secret(path, new_identity(path).file_text())
        except OSError as exc:
            raise SettingInvalid(f"the key {path} cannot be written: {exc.strerror}") from exc
    return read_identity(path)


def read_identity(path: Path) -> Identity:
    """Raises: Missing, SettingInvalid, FileDamaged."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        text = read_secret(path).decode("ascii").strip()
        origin, key_id, encoded = text.removeprefix(_PREFIX).split("+", 2)
        content = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        # Without the cause: it would hold the secret, or what should have been one.
        raise _damaged(path) from None
    if not text.startswith(_PREFIX) or len(content) != 1 + _SEED_BYTES or content[:1] != ED25519:
        raise _damaged(path)
    identity = Identity(origin, Ed25519PrivateKey.from_private_bytes(content[1:]), path)
    if not origin.isprintable() or " " in origin or not identity.verifier_key.startswith(f"{origin}+{key_id}+"):
        raise _damaged(path)
    return identity


def _damaged(path: Path) -> FileDamaged:
    return FileDamaged(f"{path} is no signing key of gemstead", hint="restore it from a backup")
