"""What the `subject` commands do: show, hand out and destroy what is kept of one person."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import msgspec

from gemstead import __version__
from gemstead.access.key_store import KeyStore
from gemstead.access.records import KeyRecord
from gemstead.app.content import opened_vault
from gemstead.app.subject_records import records_of
from gemstead.core.errors import NameUnknown, RequestInvalid, SettingInvalid
from gemstead.core.moments import utc_text
from gemstead.evidence.vault.subject import LOCAL, NOBODY, Subject
from gemstead.evidence.vault.vault import KeptContent, KeptSubject, Vault
from gemstead.settings.load import Loaded
from gemstead.store.database import open_database

EXPORT_SCHEMA = "gemstead/subject-export/1"


class Held(msgspec.Struct, frozen=True):
    """Everything there is of a person, by kind; the texts themselves are closed."""

    kept: KeptSubject
    contents: tuple[KeptContent, ...]
    keys: tuple[KeyRecord, ...]
    num_records: int


def list_subjects(loaded: Loaded) -> list[KeptSubject]:
    """Those of whom content is kept."""
    if not loaded.paths.content.exists():
        return []
    with opened_vault(loaded) as (vault, _connection):
        return vault.subjects()


def held(loaded: Loaded, which: str) -> Held:
    """`which` is an id, an owner, `owner/user`, or a user. An owner needs no content to be found: a key is enough.

    Raises: NameUnknown.
    """
    with opened_vault(loaded) as (vault, _connection):
        kept = found_subject(loaded, vault, which)
        contents = tuple(vault.contents([kept.id]))
    keys = tuple(_keys_of(loaded, kept.subject))
    return Held(kept, contents, keys, len(records_of(loaded.paths, kept.subject)))


def found_subject(loaded: Loaded, vault: Vault, which: str) -> KeptSubject:
    """Raises: NameUnknown."""
    try:
        return vault.find(which)
    except NameUnknown:
        owners = {LOCAL, NOBODY, *(key.fields.owner for key in _every_key(loaded))}
        if not which or which not in owners:
            raise
        return KeptSubject(vault.id_of(Subject(which)), Subject(which), 0, 0, None, None)


def export(loaded: Loaded, which: str, target: Path) -> Held:
    """Writes everything of a person as one JSON file, readable by this user alone.

    Raises: NameUnknown; RequestInvalid if the file is there already; FileDamaged for a text that does not open.
    """
    found = held(loaded, which)
    with opened_vault(loaded) as (vault, _connection):
        contents = [_opened(vault, content) for content in found.contents]
    document = {
        "schema": EXPORT_SCHEMA,
        "made_at": utc_text(time.time(), "milliseconds"),
        "made_by": f"gemstead {__version__}",
        "subject": {"id": found.kept.id, "owner": found.kept.subject.owner, "user": found.kept.subject.user},
        "contents": contents,
        "records": records_of(loaded.paths, found.kept.subject),
        "keys": [msgspec.to_builtins(key) for key in found.keys],
    }
    _write_new(target, msgspec.json.format(msgspec.json.encode(document)))
    return found


def _opened(vault: Vault, content: KeptContent) -> dict[str, Any]:
    place = content.place
    return {
        "exchange": place.exchange,
        "opened": place.opened,
        "at": utc_text(place.at_ms / 1000, "milliseconds"),
        "label": place.label,
        "expires_at": utc_text(content.expires_at_ms / 1000, "milliseconds"),
        "sha256": content.sha256,
        "text": msgspec.Raw(vault.text_of(content)),
    }


def _write_new(target: Path, document: bytes) -> None:
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as exc:
        raise RequestInvalid(f"{target} exists", param="to", hint="choose a new file") from exc
    except OSError as exc:
        raise SettingInvalid(f"{target} cannot be written: {exc.strerror}") from exc
    with os.fdopen(descriptor, "wb") as file:
        file.write(document)


def _keys_of(loaded: Loaded, subject: Subject) -> list[KeyRecord]:
    """The keys are the owner's; who is only named in requests has none."""
    if subject.user is not None:
        return []
    return [key for key in _every_key(loaded) if subject.owner in (key.fields.owner, f"key:{key.id}")]


def _every_key(loaded: Loaded) -> list[KeyRecord]:
    if not loaded.paths.database.exists():
        return []
    connection = open_database(loaded.paths.database).raw()
    try:
        return KeyStore(connection, lambda: b"").list()
    finally:
        connection.close()
