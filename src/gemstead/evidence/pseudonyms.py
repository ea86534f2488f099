"""Names and texts as a record may hold them: keyed, so that who has only the records learns neither.

A plain hash of a short text can be guessed: whoever suspects "yes" hashes "yes" and compares. With a key that lies
beside the records, and not in them, only its holder can.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from gemstead.core.errors import SettingInvalid
from gemstead.store.secret_file import make_secret, read_secret

KEY_BYTES = 32
SHOWN_HEX_DIGITS = 16
"""Of a pseudonym: 64 bits, no two of a million people alike but once in 40 million installations."""

MAX_REMEMBERED = 4096
"""Pseudonyms kept in memory; the one made longest ago goes first."""

_KEY_FILE = re.compile(r"(\d{6})\.key")


class Pseudonyms:
    """Who did something, under a key that changes each month (UTC): within a month records of one person can be told
    to be of one, and no further once the month's key is deleted.

    `folder` holds one private file a month, each made when it is first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._month = ""
        self._starts_s = self._ends_s = 0.0
        self._key = b""
        self._known: OrderedDict[str, str] = OrderedDict()

    def of(self, subject: str, at_s: float) -> str:
        """`p-YYYYMM-` and 16 hex digits. Raises: SettingInvalid if the month's key can be neither read nor made."""
        if not subject:
            raise ValueError("nobody has no pseudonym")
        if not self._starts_s <= at_s < self._ends_s:
            self._turn(at_s)
        found = self._known.get(subject)
        if found is None:
            found = self._known[subject] = _pseudonym(self._month, self._key, subject)
            if len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        return found

    def every(self, subject: str) -> list[str]:
        """The pseudonyms of one subject in all months whose key is left, oldest first. Raises: SettingInvalid."""
        return [_pseudonym(month, self._read(month), subject) for month in self.months()]

    def months(self) -> list[str]:
        """Those whose key is left, as YYYYMM, oldest first."""
        found = (_KEY_FILE.fullmatch(path.name) for path in self._folder.glob("*.key"))
        return sorted(match[1] for match in found if match)

    def forget_before(self, at_s: float) -> list[str]:
        """Deletes the keys of the months before the one of `at_s`: nobody can tell any more whose records those are."""
        first = _month_of(at_s)
        forgotten = [month for month in self.months() if month < first]
        for month in forgotten:
            self._path(month).unlink(missing_ok=True)
        return forgotten

    def _turn(self, at_s: float) -> None:
        month = _month_of(at_s)
        self._key = self._read(month)
        self._month, self._starts_s, self._ends_s = month, _start_s(month), _start_s(_after(month))
        self._known.clear()

    def _read(self, month: str) -> bytes:
        return kept_key(self._path(month))

    def _path(self, month: str) -> Path:
        return self._folder / f"{month}.key"


class KeyedHash:
    """HMAC-SHA-256 of texts under one key: `h-` and 64 hex digits. Equal texts have equal hashes."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._begun = hmac.new(key, digestmod="sha256")

    def begin(self) -> TextHash:
        return TextHash(self._begun.copy())

    def of(self, pieces: Iterable[bytes]) -> str:
        """Of all pieces, one after the other."""
        return f"h-{hmac.digest(self._key, b''.join(pieces), 'sha256').hex()}"


class TextHash:
    """The hash of one text, fed as it comes."""

    def __init__(self, begun: hmac.HMAC) -> None:
        self._hash = begun

    def feed(self, piece: bytes) -> None:
        self._hash.update(piece)

    def shown(self) -> str:
        return f"h-{self._hash.hexdigest()}"


def kept_key(path: Path) -> bytes:
    """The key at `path`, made if there is none. Raises: SettingInvalid."""
    if not path.exists():
        try:
            make_secret(path, secrets.token_bytes(KEY_BYTES))
        except OSError as exc:
            raise SettingInvalid(f"the key {path} cannot be written: {exc.strerror}") from exc
    key = read_secret(path)
    if len(key) < KEY_BYTES:
        raise SettingInvalid(f"the key {path} is damaged: {len(key)} bytes", hint="restore it from a backup")
    return key


def _pseudonym(month: str, key: bytes, subject: str) -> str:
    digest = hmac.digest(key, subject.encode("utf-8", "surrogatepass"), "sha256").hex()
    return f"p-{month}-{digest[:SHOWN_HEX_DIGITS]}"


def _month_of(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y%m")


def _start_s(month: str) -> float:
    return datetime(int(month[:4]), int(month[4:]), 1, tzinfo=UTC).timestamp()


def _after(month: str) -> str:
    year, number = int(month[:4]), int(month[4:])
    return f"{year + number // 12:04d}{number % 12 + 1:02d}"
