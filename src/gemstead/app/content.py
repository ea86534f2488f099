"""The content vault of this data folder: opened for commands, and for the server that keeps what a policy says."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec

from gemstead.access.policy import Decision
from gemstead.core.errors import ContentUnavailable, GemsteadError
from gemstead.core.types import ChatRequest, EmbedRequest
from gemstead.evidence.vault.master_key import KeySource
from gemstead.evidence.vault.subject import subject_of
from gemstead.evidence.vault.vault import Place, Vault
from gemstead.pipeline.fold import FoldedReply
from gemstead.settings.load import Loaded
from gemstead.settings.paths import Paths
from gemstead.store.database import open_database

DAY_MS = 86_400_000
MASTER_KEY_FILE = "content.key"
VERSION = 1
"""Of the text's own form, inside."""


def key_source(loaded: Loaded) -> KeySource:
    content = loaded.settings.content
    given = None if content.master_key is None else content.master_key.get_secret_value()
    return KeySource(master_key_path(loaded.paths), content.key_from, given)


def master_key_path(paths: Paths) -> Path:
    return paths.secrets / MASTER_KEY_FILE


@contextmanager
def opened_vault(loaded: Loaded) -> Iterator[tuple[Vault, sqlite3.Connection]]:
    """The vault and its connection, for one command. Raises: SettingInvalid, FileDamaged."""
    connection = open_database(loaded.paths.content, "content").raw()
    try:
        yield Vault(connection, key_source(loaded)), connection
    finally:
        connection.close()


def content_keeper(loaded: Loaded) -> Keeper:
    """Opens nothing until there is something to keep."""
    return Keeper(loaded)


class Keeper:
    """Implements `pipeline.recording.ContentKeeper`: keeps what the policy says, in one thread of its own.

    `close()` it.
    """

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._default_days = loaded.settings.content.retention_days
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="content")
        self._connection: sqlite3.Connection | None = None
        self._vault: Vault | None = None

    def wants(self, decision: Decision | None) -> bool:
        """Whether the text of a request with this decision is kept at all."""
        return decision is not None and _days(decision, self._default_days) > 0

    async def keep(
        self,
        request: ChatRequest | EmbedRequest,
        decision: Decision | None,
        reply: FoldedReply,
        opened: int,
        label: str,
    ) -> str:
        """Gives the SHA-256 of the ciphertext, in hex, once it is in the database.

        `opened` is the position of the exchange's opening record, `reply` what the caller was given.

        Raises: ContentUnavailable.
        """
        assert decision is not None, "without one nothing is wanted"
        at_ms = round(time.time() * 1000)
        origin = request.origin
        subject = subject_of(origin.caller.owner, origin.caller.key_id, request.user)
        place = Place(opened, origin.request_id, at_ms, label or origin.label)
        expires_at_ms = at_ms + _days(decision, self._default_days) * DAY_MS

        def work() -> str:
            return self._opened().keep(subject, place, expires_at_ms, content_text(request, reply))

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, GemsteadError) as exc:
            why = exc.what if isinstance(exc, GemsteadError) else str(exc)
            raise ContentUnavailable(
                "a rule says that this text is kept, and it cannot be", why=why, hint="gemstead subject list"
            ) from exc

    def close(self) -> None:
        """Waits for what is being kept."""
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def _opened(self) -> Vault:
        if self._vault is None:
            self._connection = open_database(self._loaded.paths.content, "content").raw()
            if self._loaded.settings.evidence.durability == "power":
                self._connection.execute("PRAGMA synchronous = FULL")
            self._vault = Vault(self._connection, key_source(self._loaded))
        return self._vault

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def content_text(request: ChatRequest | EmbedRequest, reply: FoldedReply) -> bytes:
    """What is encrypted: the request as it was asked and the reply as it was given, as JSON; media in base64."""
    asked = msgspec.to_builtins(request)
    del asked["origin"]
    return msgspec.json.encode({"v": VERSION, "request": asked, "reply": reply})


def _days(decision: Decision, default_days: int) -> int:
    """0: not kept. The strictest of the rules that allow a request decides: see `Obligations`."""
    duties = decision.obligations
    if not duties.keeps_content:
        return 0
    return default_days if duties.retention_days is None else duties.retention_days
