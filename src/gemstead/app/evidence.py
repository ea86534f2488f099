"""Whether this installation keeps evidence, and the records that commands and the model desk leave in it.

They write to the chain itself, whether or not a server writes to it too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gemstead.evidence import records
from gemstead.evidence.records import Record

if TYPE_CHECKING:
    from gemstead.access.records import KeyChange, KeyRecord
    from gemstead.catalog.entries import Licence
    from gemstead.catalog.manifests import Manifest
    from gemstead.catalog.store import StoreChange, StoreWatch
    from gemstead.evidence.ledger import Ledger
    from gemstead.evidence.pseudonyms import Pseudonyms
    from gemstead.settings.load import Loaded
    from gemstead.settings.paths import Paths

PSEUDONYM_KEYS = "pseudonyms"
TEXT_KEY = "evidence-hash.key"


def is_recording(loaded: Loaded) -> bool:
    """The one place that decides. "auto" is on once there are keys or an identity provider: from then on there are
    others than the owner of this machine, and something to answer for. Makes no database.
    """
    from gemstead.app.door_lock import has_credentials

    is_on = loaded.settings.evidence.is_on
    return has_credentials(loaded) if is_on == "auto" else is_on == "on"


def write_event(loaded: Loaded, record: Record) -> int | None:
    """Where the chain has the record, once it is safe; None where no evidence is kept.

    Raises: EvidenceUnavailable; SettingInvalid, FileDamaged.
    """
    if not is_recording(loaded):
        return None
    with opened_ledger_of(loaded) as ledger:
        return ledger.write_now(record)


@contextmanager
def opened_ledger_of(loaded: Loaded) -> Iterator[Ledger]:
    """The ledger of this data folder, made if need be. Raises: SettingInvalid, FileDamaged, EvidenceUnavailable."""
    from gemstead.evidence.identity import ensure_identity
    from gemstead.evidence.ledger import LedgerOptions, opened_ledger

    asked = loaded.settings.evidence
    options = LedgerOptions(asked.durability, asked.checkpoint_every, asked.checkpoint_s, asked.second_place)
    with opened_ledger(loaded.paths.evidence, ensure_identity(identity_path(loaded.paths)), options) as ledger:
        yield ledger


def identity_path(paths: Paths) -> Path:
    from gemstead.evidence.identity import KEY_FILE

    return paths.secrets / KEY_FILE


def pseudonyms(paths: Paths) -> Pseudonyms:
    from gemstead.evidence.pseudonyms import Pseudonyms

    return Pseudonyms(paths.secrets / PSEUDONYM_KEYS)


def write_key_change(loaded: Loaded, change: KeyChange, key: KeyRecord) -> None:
    """Raises: as `write_event`."""
    if is_recording(loaded):
        write_event(loaded, key_changed(pseudonyms(loaded.paths), change, key, time.time()))


def key_changed(people: Pseudonyms, change: KeyChange, key: KeyRecord, at_s: float) -> Record:
    """Without its name and its owner's, which may be a person's: `gemstead keys show ID` tells them."""
    fields = key.fields
    end_s = key.end_s()
    return records.event(
        f"key.{change}",
        at_s,
        key=key.id,
        actor=people.of(fields.owner or key.id, at_s),
        by=people.of(key.created_by, at_s) if key.created_by else None,
        groups=records.names(fields.groups),
        scopes=records.names(fields.scopes),
        models=records.names(fields.models),
        tools=records.names(fields.tools),
        labels=records.names(fields.labels),
        quota=dict(fields.quota),
        expires_ms=None if end_s is None else records.to_ms(end_s),
        rotated_from=key.rotated_from,
    )


def store_watch(loaded: Loaded) -> StoreWatch:
    """Models that come and go, and licences that are agreed to, each recorded before it is so."""
    from gemstead.catalog.store import StoreWatch

    def on_model(change: StoreChange, manifest: Manifest) -> None:
        write_event(loaded, model_changed(change, manifest, time.time()))

    def on_licence(licence: Licence) -> None:
        fields = {"licence": licence.id, "title": licence.title, "url": licence.url}
        write_event(loaded, records.event("licence.accepted", time.time(), **fields))

    return StoreWatch(on_model, on_licence)


def model_changed(change: StoreChange, manifest: Manifest, at_s: float) -> Record:
    files = manifest.files[: records.MAX_LISTED]
    return records.event(
        f"model.{change}",
        at_s,
        model=manifest.name,
        source=manifest.source,
        place=_place(manifest),
        quant=manifest.quant,
        licence=manifest.licence,
        made_from=manifest.made_from,
        files=[{"name": file.name, "sha256": file.sha256, "bytes": file.size_bytes} for file in files],
    )


def _place(manifest: Manifest) -> str | None:
    """Not where on this machine a file came from: a path may name a person."""
    return None if manifest.source == "file" else manifest.place[:300]
