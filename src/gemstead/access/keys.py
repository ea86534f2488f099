"""The text of an access key: made, taken apart, hashed. Pure, but for the lots that `new_key` draws.

    gk_x3k9q2mz_<43 characters of 0-9A-Za-z, 256 bits>_<6 characters, a checksum>

The id in front is public: it finds the row and stands in listings, records and metrics. The checksum tells a mistyped
key from a wrong one without a look-up, and lets a scanner of repositories be sure of what it has found.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from functools import lru_cache

import msgspec

ID_CHARS = string.digits + string.ascii_lowercase
SECRET_CHARS = string.digits + string.ascii_uppercase + string.ascii_lowercase
NUM_ID_CHARS = 8
NUM_SECRET_CHARS = 43
"""62^43 is a little more than 2^256."""
NUM_CHECK_CHARS = 6
"""Enough for the 32 bits of a CRC."""
MAX_KEY_CHARS = 3 + NUM_ID_CHARS + 1 + NUM_SECRET_CHARS + 1 + NUM_CHECK_CHARS

KEY_PATTERN = re.compile(r"gk_([0-9a-z]{8})_([0-9A-Za-z]{43})_([0-9A-Za-z]{6})")

NO_HASH = bytes(32)
"""What the key of an unknown id is compared with: a hash that no key has been found to have."""


class NewKey(msgspec.Struct, frozen=True):
    """`text` is the whole key: shown once, stored nowhere."""

    id: str
    text: str

    def __repr__(self) -> str:
        return f"NewKey({self.id})"


def new_key() -> NewKey:
    """A key nobody has had before."""
    key_id = "".join(secrets.choice(ID_CHARS) for _ in range(NUM_ID_CHARS))
    body = f"gk_{key_id}_{''.join(secrets.choice(SECRET_CHARS) for _ in range(NUM_SECRET_CHARS))}"
    return NewKey(key_id, f"{body}_{checksum(body)}")


def checksum(body: str) -> str:
    """The CRC-32 of what stands before it, in base 62."""
    number = zlib.crc32(body.encode())
    chars = []
    for _ in range(NUM_CHECK_CHARS):
        number, index = divmod(number, len(SECRET_CHARS))
        chars.append(SECRET_CHARS[index])
    return "".join(reversed(chars))


def key_id_of(text: str) -> str | None:
    """The id of what has the form of a key, checksum included; None: it cannot be one."""
    found = KEY_PATTERN.fullmatch(text)
    if found is None or checksum(text[: -NUM_CHECK_CHARS - 1]) != found[3]:
        return None
    return found[1]


def hash_key(pepper: bytes, text: str) -> bytes:
    """What is stored of a key. A slow hash would add nothing: the secret has 256 random bits, nobody's password."""
    # Not `hmac.digest`, which lets other threads run first: a sign-in would wait for whatever they do.
    mac = _begun(pepper).copy()
    mac.update(text.encode())
    return mac.digest()


@lru_cache(maxsize=4)
def _begun(pepper: bytes) -> hmac.HMAC:
    return hmac.new(pepper, digestmod=hashlib.sha256)


def is_same_hash(given: bytes, stored: bytes | None) -> bool:
    """Constant time, for an unknown id too: `stored` None is compared like any other and never equal."""
    is_equal = hmac.compare_digest(given, NO_HASH if stored is None else stored)
    return is_equal and stored is not None
