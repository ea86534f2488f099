"""Erasing a person: the key is destroyed, and with it every text under it. What that does not reach is said."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import msgspec

from gemstead.app.content import opened_vault
from gemstead.app.evidence import write_event
from gemstead.app.servers import ServerRecord, running_servers
from gemstead.app.subjects import found_subject, held
from gemstead.evidence import records
from gemstead.evidence.vault.erasures import done_by, last_erasure
from gemstead.evidence.vault.key_copies import known_copies, wipe, write_key_copy
from gemstead.evidence.vault.subject import LOCAL, NOBODY
from gemstead.settings.load import Loaded

POLL_S = 0.2
FORGET_MARGIN_S = 10.0
"""On top of how long a server lets running answers end: it looks every second, and an engine takes a moment to stop."""


class KeyFile(msgspec.Struct, frozen=True):
    """A file with the keys for backups; `why` it could not be written anew, None: it was."""

    path: str
    why: str | None = None


class ServerReached(msgspec.Struct, frozen=True):
    """Whether a running server has forgotten what it and its engine had in memory."""

    pid: int
    port: int
    has_forgotten: bool


class Erasure(msgspec.Struct, frozen=True):
    """What was destroyed, or would be. `num_below`: other people that requests named under this owner, and left.

    `left` are sentences about what is still there, and what would remove it.
    """

    subject: str
    name: str
    num_texts: int
    num_subjects: int
    num_below: int
    is_dry_run: bool = False
    is_scrubbed: bool = False
    key_files: tuple[KeyFile, ...] = ()
    servers: tuple[ServerReached, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether all that could be reached was."""
        return (
            self.is_scrubbed
            and all(one.why is None for one in self.key_files)
            and all(one.has_forgotten for one in self.servers)
        )


def would_erase(loaded: Loaded, which: str, *, has_below: bool) -> Erasure:
    """Raises: NameUnknown."""
    with opened_vault(loaded) as (vault, connection):
        kept = found_subject(loaded, vault, which)
        below = vault.below(kept.id)
        ids = [kept.id, *(below if has_below else ())]
        num_texts = sum(1 for _ in vault.contents(ids))
        files = tuple(KeyFile(str(path)) for path in known_copies(connection))
    servers = running_servers(loaded.paths.servers)
    return Erasure(
        subject=kept.id,
        name=str(kept.subject),
        num_texts=num_texts,
        num_subjects=len(ids),
        num_below=0 if has_below else len(below),
        is_dry_run=True,
        key_files=files,
        servers=tuple(ServerReached(one.pid, one.port, has_forgotten=False) for one in servers),
        left=_left(loaded, which),
    )


def erase(loaded: Loaded, which: str, *, has_below: bool) -> Erasure:
    """Destroys the person's key, removes what was under it, and has running servers forget. Waits for them.

    It is recorded first: whoever asks later can be shown when it was done.

    Raises: NameUnknown; EvidenceUnavailable; SettingInvalid, FileDamaged.
    """
    planned = would_erase(loaded, which, has_below=has_below)
    now_s = time.time()
    now_ms = round(now_s * 1000)
    servers = running_servers(loaded.paths.servers)
    with opened_vault(loaded) as (vault, connection):
        ids = [planned.subject, *(vault.below(planned.subject) if has_below else ())]
        write_event(
            loaded,
            records.event("content.erased", now_s, subject=planned.subject, num=planned.num_texts, subjects=len(ids)),
        )
        num_texts = vault.erase(ids, now_ms)
        number = last_erasure(connection)
        is_scrubbed = vault.scrub()
        if has_history(loaded, planned.name):
            wipe(loaded.paths.chat_history)
        files = tuple(_renewed(connection, path, now_ms) for path in known_copies(connection))
        limit_s = max((one.drain_s for one in servers), default=0.0) + FORGET_MARGIN_S
        deadline_s = time.monotonic() + limit_s
        while (missing := _not_yet(loaded, connection, number, servers)) and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
        # The servers wrote that they have forgotten, and the log holds what they overwrote.
        is_scrubbed = vault.scrub() or is_scrubbed
    reached = tuple(ServerReached(one.pid, one.port, has_forgotten=one not in missing) for one in servers)
    return msgspec.structs.replace(
        planned, num_texts=num_texts, is_dry_run=False, is_scrubbed=is_scrubbed, key_files=files, servers=reached
    )


def has_history(loaded: Loaded, owner: str) -> bool:
    """Whether what was typed into `gemstead chat` here is this person's, and there is some."""
    return owner in (LOCAL, NOBODY) and loaded.paths.chat_history.exists()


def _not_yet(
    loaded: Loaded, connection: sqlite3.Connection, number: int, servers: list[ServerRecord]
) -> list[ServerRecord]:
    """Servers that run and have not forgotten yet; one that has ended has nothing any more."""
    done = done_by(connection, number)
    alive = {one.pid for one in running_servers(loaded.paths.servers)}
    return [one for one in servers if one.pid in alive and one.pid not in done]


def _renewed(connection: sqlite3.Connection, path: Path, now_ms: int) -> KeyFile:
    try:
        write_key_copy(connection, path, now_ms)
    except OSError as exc:
        return KeyFile(str(path), exc.strerror or str(exc))
    return KeyFile(str(path))


def _left(loaded: Loaded, which: str) -> tuple[str, ...]:
    """What an erasure leaves, in words."""
    found = held(loaded, which)
    left = []
    if found.num_records:
        left.append(
            f"records of the evidence ({found.num_records}): no text, a pseudonym, and keyed hashes of texts; they go"
            " with their time (evidence.keep_days)"
        )
    if found.keys:
        names = ", ".join(f"{key.id} ({key.fields.name})" for key in found.keys)
        left.append(f"access keys with this owner's name: {names}; gemstead keys revoke ends them, their rows stay")
    if loaded.paths.chat_history.exists() and not has_history(loaded, str(found.kept.subject)):
        left.append(
            f"what was typed into gemstead chat on this machine, by whom is not known: {loaded.paths.chat_history}"
        )
    left.append(
        "copies of the data folder that were not made by gemstead backup (snapshots, disk images), and blocks that the"
        " file system or the disk has given up without overwriting them"
    )
    return tuple(left)
