"""Seals a backup with age (age-encryption.org/v1): to a public key, or with a passphrase. `age -d` opens it, too."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gemstead.core.errors import FileDamaged, RequestInvalid, SettingInvalid

if TYPE_CHECKING:
    from pyrage import x25519

MIN_PASSPHRASE_CHARS = 16
"""It is read from a file, so nobody has to type it."""

MAX_FILE_BYTES = 64 * 1024

MAX_PASSPHRASE_BYTES = 1024 * 1024 * 1024
"""Of a backup with a passphrase: pyrage does those in memory, and takes three times as much. Keys have no bound."""


class Sealer(msgspec.Struct, frozen=True):
    """To whom: public keys (`age1...`), or a passphrase."""

    recipients: tuple[str, ...] = ()
    passphrase: str | None = None

    def __repr__(self) -> str:
        return f"Sealer({', '.join(self.recipients) or 'a passphrase'})"


class Opener(msgspec.Struct, frozen=True):
    """With what: a private key (`AGE-SECRET-KEY-1...`), or the passphrase."""

    identity: str | None = None
    passphrase: str | None = None

    def __repr__(self) -> str:
        return f"Opener({'a key' if self.identity else 'a passphrase'})"


def new_identity() -> tuple[str, str]:
    """A new private key, and its public key."""
    from pyrage import x25519

    identity = x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def public_of(identity: str) -> str:
    """Raises: RequestInvalid for what is no private key."""
    return str(_identity(identity).to_public())


def read_secret(path: Path, what: str) -> str:
    """The first line of a private file that is no comment (`age-keygen` writes some).

    Raises: SettingInvalid if it cannot be read, others can read it, or it has no line.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES).decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingInvalid(f"{what} {path} cannot be read: {exc}") from exc
    if os.name == "posix" and mode & 0o077:
        raise SettingInvalid(f"others can read {what} {path}", hint=f"chmod 600 {path}")
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            return line.strip()
    raise SettingInvalid(f"{what} {path} is empty")


def seal(source: Path, target: Path, sealer: Sealer) -> None:
    """Writes the new file `target`, for this user alone.

    Raises: RequestInvalid for a bad public key, or a passphrase that is too short; OSError.
    """
    import pyrage

    target.touch(mode=0o600, exist_ok=False)
    if sealer.passphrase is not None:
        if len(sealer.passphrase) < MIN_PASSPHRASE_CHARS:
            raise RequestInvalid(
                f"the passphrase has fewer than {MIN_PASSPHRASE_CHARS} characters", hint="openssl rand -base64 24"
            )
        _check_size(source)
        target.write_bytes(pyrage.passphrase.encrypt(source.read_bytes(), sealer.passphrase))
        return
    try:
        recipients = [pyrage.x25519.Recipient.from_str(one) for one in sealer.recipients]
    except pyrage.RecipientError as exc:
        raise RequestInvalid("what the backup is to be sealed to is no public key of age", hint="age1...") from exc
    pyrage.encrypt_file(str(source), str(target), recipients)


def sync(path: Path) -> None:
    """So that what is in the file, or the folder, outlives a power cut."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_sealed(source: Path, target: Path, opener: Opener) -> None:
    """Raises: FileDamaged if it does not open; RequestInvalid for what is no private key; OSError."""
    import pyrage

    target.touch(mode=0o600, exist_ok=False)
    try:
        if opener.identity is None:
            _check_size(source)
            target.write_bytes(pyrage.passphrase.decrypt(source.read_bytes(), opener.passphrase or ""))
        else:
            pyrage.decrypt_file(str(source), str(target), [_identity(opener.identity)])
    except (pyrage.DecryptError, OSError) as exc:
        # What fails beyond the head of the file comes as an OSError that no system call gave.
        if isinstance(exc, OSError) and exc.errno is not None:
            raise
        raise FileDamaged(
            f"the backup {source} does not open",
            why="the passphrase or key is another, or the file is damaged",
            hint="--passphrase-file, or --identity",
        ) from exc


def _check_size(path: Path) -> None:
    if (num_bytes := path.stat().st_size) > MAX_PASSPHRASE_BYTES:
        raise RequestInvalid(
            f"{num_bytes} bytes are too many for a passphrase", hint="gemstead backup key --to FILE makes a key pair"
        )


def _identity(text: str) -> x25519.Identity:
    from pyrage import IdentityError, x25519

    try:
        return x25519.Identity.from_str(text)
    except IdentityError as exc:
        raise RequestInvalid("this is no private key of age", hint="AGE-SECRET-KEY-1...") from exc
