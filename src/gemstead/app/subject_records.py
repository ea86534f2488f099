"""The records of the evidence that are about one person. They carry pseudonyms; whoever has the keys can tell."""

from __future__ import annotations

from typing import Any

import msgspec

from gemstead.evidence.pseudonyms import Pseudonyms
from gemstead.evidence.vault.subject import NOBODY, Subject
from gemstead.settings.paths import Paths
from gemstead.store.database import open_database

PSEUDONYMS_FOLDER = "pseudonyms"


def records_of(paths: Paths, subject: Subject) -> list[dict[str, Any]]:
    """In order, each with its position. Only of the months whose pseudonym key is left: of others nobody can tell.

    An owner's are those of the requests that named no other person; theirs are that person's.

    Raises: SettingInvalid, FileDamaged.
    """
    people = Pseudonyms(paths.secrets / PSEUDONYMS_FOLDER)
    if not paths.evidence.exists() or not people.months():
        return []
    who = "" if subject.owner == NOBODY else subject.owner.removeprefix("key:")
    actors = set(people.every(who)) if who else set()
    users = set() if subject.user is None else set(people.every(f"{who}\x1f{subject.user}"))
    found: list[dict[str, Any]] = []
    opened: set[int] = set()
    """Positions of the person's own exchanges: a closing record does not repeat whom the request named."""
    for position, record in _named(paths, actors | users):
        is_closing = record["kind"] == "exchange.closed"
        is_theirs = record.get("opened") in opened if is_closing else _is_of(record, actors, users)
        if is_theirs:
            found.append({"position": position, **record})
            opened.add(position)
    return found


def _is_of(record: dict[str, Any], actors: set[str], users: set[str]) -> bool:
    user = record.get("user")
    return user in users if users else user is None and record.get("actor") in actors


def _named(paths: Paths, pseudonyms: set[str]) -> list[tuple[int, dict[str, Any]]]:
    """Records that name one of these, and those that close an exchange which nobody's key was used for."""
    connection = open_database(paths.evidence, "evidence").raw()
    try:
        rows = connection.execute(
            "WITH given(pseudonym) AS (SELECT value FROM json_each(?))"
            " SELECT position, record FROM records WHERE record IS NOT NULL AND ("
            " json_extract(record, '$.actor') IN given OR json_extract(record, '$.user') IN given"
            " OR (kind = 'exchange.closed' AND json_extract(record, '$.actor') IS NULL)) ORDER BY position",
            (msgspec.json.encode(sorted(pseudonyms)).decode(),),
        ).fetchall()
    finally:
        connection.close()
    return [(position, msgspec.json.decode(record)) for position, record in rows]
