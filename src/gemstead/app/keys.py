"""What the `keys` commands do: on the database itself, so that they work with and without a running server."""

from __future__ import annotations

import getpass
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import get_args

from gemstead.access.failure_store import FailureRow, list_failures
from gemstead.access.key_store import KeyStore
from gemstead.access.limit_values import limits_of
from gemstead.access.pepper import ensure_pepper
from gemstead.access.records import SCOPES, KeyChange, KeyRecord, Scope
from gemstead.app.door_lock import given_pepper
from gemstead.app.evidence import write_key_change
from gemstead.core.errors import NameUnknown, RequestInvalid
from gemstead.settings.load import Loaded
from gemstead.store.database import open_database

DAY_S = 86_400.0
UNITS_S = {"m": 60.0, "h": 3600.0, "d": DAY_S, "w": 7 * DAY_S, "y": 365 * DAY_S}
MAX_WORD_CHARS = 200


@contextmanager
def key_store(loaded: Loaded) -> Iterator[KeyStore]:
    """The keys of this data folder; the pepper is made with the first of them. Each change leaves a record."""

    def on_change(change: KeyChange, record: KeyRecord) -> None:
        write_key_change(loaded, change, record)

    connection = open_database(loaded.paths.database).raw()
    try:
        yield KeyStore(connection, lambda: given_pepper(loaded, ensure_pepper), on_change)
    finally:
        connection.close()


def failures(loaded: Loaded, since_s: float) -> list[FailureRow]:
    """Failed sign-ins, newest hour first."""
    connection = open_database(loaded.paths.database).raw()
    try:
        return list_failures(connection, since_s)
    finally:
        connection.close()


def this_user() -> str:
    """Who runs the command, for the record of who made a key."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def read_moment(text: str, *, now_s: float | None = None) -> float | None:
    """`90d`, `12h`, `2027-01-31` or `2027-01-31T08:00:00+01:00` (without a zone: UTC) as Unix seconds; `never`: None.

    Raises: RequestInvalid for anything else, or what is past.
    """
    now_s = time.time() if now_s is None else now_s
    if text == "never":
        return None
    try:
        moment_s = now_s + read_span_s(text) if re.fullmatch(r"\d+[a-z]", text) else _read_date_s(text)
    except ValueError as exc:
        hint = "a span (90d, 12h), a date (2027-01-31), or never"
        raise RequestInvalid(f"{text[:40]!r} is no moment", param="expires", hint=hint) from exc
    if moment_s <= now_s:
        raise RequestInvalid(f"{text} is past", param="expires", hint="a key has to live for a while")
    return moment_s


def read_span_s(text: str) -> float:
    """`30m`, `24h`, `7d`, `2w`, `1y`; `0`. Raises: ValueError."""
    if text == "0":
        return 0.0
    found = re.fullmatch(r"(\d{1,6})([mhdwy])", text)
    if found is None:
        raise ValueError(text)
    return int(found[1]) * UNITS_S[found[2]]


def _read_date_s(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def read_words(option: str, texts: list[str]) -> tuple[str, ...]:
    """`--group a,b --group c` as (a, b, c), each once. Raises: RequestInvalid."""
    return tuple(dict.fromkeys(read_name(option, word) for text in texts for word in text.split(",")))


def read_name(option: str, text: str) -> str:
    """Raises: RequestInvalid for what cannot stand in a listing."""
    name = text.strip()
    if not name or len(name) > MAX_WORD_CHARS or not name.isprintable():
        raise RequestInvalid(f"{option}: {text[:40]!r} is no name", param=option)
    return name


def read_scopes(texts: list[str]) -> tuple[Scope, ...]:
    """Raises: NameUnknown, RequestInvalid."""
    words = read_words("--scopes", texts)
    for word in words:
        if word not in SCOPES:
            raise NameUnknown("scope", word, list(SCOPES))
    return tuple(scope for scope in get_args(Scope) if scope in words)


def read_quota(texts: list[str]) -> dict[str, int]:
    """`--quota tokens_per_day=100000`. Raises: RequestInvalid."""
    quota = {}
    for text in texts:
        name, _, number = text.partition("=")
        if not number.isdecimal() or len(number) > 15:
            raise RequestInvalid(
                f"--quota {text[:60]!r} is no limit", param="quota", hint="--quota tokens_per_day=100000"
            )
        quota[name] = int(number)
    return checked_quota(quota)


def checked_quota(quota: dict[str, int]) -> dict[str, int]:
    """Raises: RequestInvalid for a limit that is none, or out of range."""
    return limits_of(quota).named()
