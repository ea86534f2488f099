"""A signed statement of how long the record is and what it holds: small enough to print, mail or have anchored.

Sources: c2sp.org/tlog-checkpoint (the text), c2sp.org/signed-note (its signature, Ed25519).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

import msgspec

from gemstead.core.errors import FileDamaged

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ED25519 = b"\x01"
MAX_NOTE_BYTES = 16_384


class Checkpoint(msgspec.Struct, frozen=True):
    """`origin` names the installation, `root` is of the tree of the first `size` records, `head` the hash of the last
    link of their chain. `at_ms`: when it was made, in milliseconds since 1970.
    """

    origin: str
    size: int
    root: bytes
    head: bytes
    at_ms: int

    def text(self) -> str:
        root, head = _encode(self.root), _encode(self.head)
        return f"{self.origin}\n{self.size}\n{root}\nhead {head}\ntime {self.at_ms}\n"


def signed(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """The note: the text, an empty line, and one line of signature by `key`, named as the origin."""
    text, public = checkpoint.text(), key.public_key().public_bytes_raw()
    signature = _key_id(checkpoint.origin, public) + key.sign(text.encode())
    return f"{text}\n— {checkpoint.origin} {_encode(signature)}\n"


def verifier_key(origin: str, public: bytes) -> str:
    """What an auditor is given beforehand, to know this installation's signature by."""
    return f"{origin}+{_key_id(origin, public).hex()}+{_encode(ED25519 + public)}"


def opened(note: str, origin: str, public: bytes) -> Checkpoint:
    """The statement of a note that `public` signed for `origin`. Raises: FileDamaged for any other."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(note) > MAX_NOTE_BYTES:
        raise _damaged(f"it is longer than {MAX_NOTE_BYTES} characters")
    text, separator, signatures = note.rpartition("\n\n")
    if not separator:
        raise _damaged("it has no signature")
    expected = _key_id(origin, public)
    for line in signatures.splitlines():
        signature = _signature(line, origin)
        if signature[:4] != expected:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], f"{text}\n".encode())
        except InvalidSignature as exc:
            raise _damaged("its signature is not of this text") from exc
        return _parsed(f"{text}\n", origin)
    raise _damaged("the key that is known did not sign it")


def _parsed(text: str, origin: str) -> Checkpoint:
    try:
        name, size, root, head, at_ms = text.splitlines()
        checkpoint = Checkpoint(
            name, int(size), _decode(root), _decode(head.removeprefix("head ")), int(at_ms.removeprefix("time "))
        )
    except ValueError as exc:
        raise _damaged("it is no checkpoint of gemstead") from exc
    # Written again, so that what could be read in two ways is not read at all.
    if checkpoint.text() != text or name != origin:
        raise _damaged("it is no checkpoint of this installation")
    return checkpoint


def _signature(line: str, origin: str) -> bytes:
    prefix = f"— {origin} "
    if not line.startswith(prefix):
        return b""
    try:
        return _decode(line.removeprefix(prefix))
    except ValueError as exc:
        raise _damaged("its signature cannot be read") from exc


def _key_id(origin: str, public: bytes) -> bytes:
    return hashlib.sha256(origin.encode() + b"\n" + ED25519 + public).digest()[:4]


def _encode(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise ValueError(str(exc)) from exc


def _damaged(why: str) -> FileDamaged:
    return FileDamaged("the checkpoint is not to be trusted", why=why, hint="compare it with a copy kept elsewhere")
