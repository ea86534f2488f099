"""The one secret that opens the vault. It encrypts no text itself: it wraps each person's key, and hides the names."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from gemstead.core.errors import FileDamaged, Missing, SettingInvalid
from gemstead.evidence.vault.subject import Subject, decoded_subject
from gemstead.store.secret_file import make_secret, read_secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
"""AES-GCM's own; random ones are safe for 2^32 texts under one key (NIST SP 800-38D, section 8.3)."""

MIN_GIVEN_CHARS = 32
KEYRING_SERVICE = "gemstead"


class KeySource(msgspec.Struct, frozen=True):
    """Where the master key is. `given` comes out of the environment, and wins."""

    path: Path
    kept_in: Literal["file", "keyring"] = "file"
    given: str | None = None

    def __repr__(self) -> str:
        return f"KeySource({self.kept_in}, {self.path})"


class MasterKey:
    """Three keys made of one secret, so that none is used for two things (HKDF-SHA-256, RFC 5869)."""

    def __init__(self, secret: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._wrapping = AESGCM(_derived(secret, b"wrap"))
        self._naming = AESGCM(_derived(secret, b"name"))
        self._pseudonyms = _derived(secret, b"subject")
        self.fingerprint = hmac.digest(_derived(secret, b"check"), b"gemstead content 1", hashlib.sha256).hex()[:32]
        """Tells this key from another, and nothing else about it."""

    def __repr__(self) -> str:
        return f"MasterKey({self.fingerprint})"

    def subject_id(self, subject: Subject) -> str:
        """A keyed pseudonym: without this key nobody can try names."""
        return f"s-{hmac.digest(self._pseudonyms, subject.encoded(), hashlib.sha256).hex()[:24]}"

    def seal_name(self, subject_id: str, subject: Subject) -> bytes:
        return sealed(self._naming, subject.encoded(), subject_id.encode())

    def open_name(self, subject_id: str, name: bytes) -> Subject:
        """Raises: FileDamaged."""
        return decoded_subject(opened(self._naming, name, subject_id.encode(), f"the name of {subject_id}"))

    def new_key(self, subject_id: str) -> bytes:
        """A new key for a person, wrapped: there is no other copy of it."""
        return sealed(self._wrapping, os.urandom(KEY_BYTES), subject_id.encode())

    def open_key(self, subject_id: str, wrapped: bytes) -> AESGCM:
        """Raises: FileDamaged."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(opened(self._wrapping, wrapped, subject_id.encode(), f"the key of {subject_id}"))


def read_master_key(source: KeySource) -> MasterKey:
    """Raises: Missing; SettingInvalid."""
    return _master_key(source, is_made=False)


def ensure_master_key(source: KeySource) -> MasterKey:
    """As `read_master_key`, but makes one if there is none: before the first text is kept."""
    return _master_key(source, is_made=True)


def sealed(key: AESGCM, plain: bytes, bound_to: bytes) -> bytes:
    """AES-256-GCM: a random nonce, then the ciphertext with its tag. It opens only where it was put (`bound_to`)."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + key.encrypt(nonce, plain, bound_to)


def opened(key: AESGCM, content: bytes, bound_to: bytes, what: str) -> bytes:
    """Raises: FileDamaged if it was changed, moved or cut."""
    from cryptography.exceptions import InvalidTag

    try:
        return key.decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], bound_to)
    except (InvalidTag, ValueError) as exc:
        raise FileDamaged(f"{what} does not open", why="it was changed, or belongs elsewhere") from exc


def _derived(secret: bytes, purpose: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"gemstead content 1 " + purpose).derive(secret)


def _master_key(source: KeySource, *, is_made: bool) -> MasterKey:
    if source.given is not None:
        if len(source.given) < MIN_GIVEN_CHARS:
            raise SettingInvalid(
                f"content.master_key has {len(source.given)} characters, fewer than {MIN_GIVEN_CHARS}",
                hint="openssl rand -hex 32",
            )
        return MasterKey(source.given.encode())
    if source.kept_in == "keyring":
        return MasterKey(_from_keyring(str(source.path), is_made=is_made))
    if is_made and not source.path.exists():
        try:
            make_secret(source.path, os.urandom(KEY_BYTES))
        except OSError as exc:
            raise SettingInvalid(f"the master key {source.path} cannot be made: {exc.strerror}") from exc
    secret = read_secret(source.path)
    if len(secret) != KEY_BYTES:
        raise SettingInvalid(f"the master key {source.path} is damaged", hint="restore it from a backup")
    return MasterKey(secret)


def _from_keyring(name: str, *, is_made: bool) -> bytes:
    """The key that the system's keyring has under the path the file would have, so that two installations differ.

    Raises: SettingInvalid without a keyring; Missing if there is no key in it.
    """
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError as exc:
        raise SettingInvalid(
            'content.key_from is "keyring", and the package for it is not installed',
            hint="pip install 'gemstead[keyring]'",
        ) from exc
    try:
        found = keyring.get_password(KEYRING_SERVICE, name)
        if found is None and is_made:
            keyring.set_password(KEYRING_SERVICE, name, os.urandom(KEY_BYTES).hex())
            found = keyring.get_password(KEYRING_SERVICE, name)
    except KeyringError as exc:
        why = f"{type(exc).__name__}: {exc}"
        raise SettingInvalid("the system's keyring cannot be used", why=why, hint='content.key_from = "file"') from exc
    if found is None:
        raise Missing("the system's keyring has no master key", hint="restore it from a backup")
    try:
        return bytes.fromhex(found)
    except ValueError as exc:
        raise SettingInvalid("what the system's keyring has is no master key", hint="restore it from a backup") from exc
