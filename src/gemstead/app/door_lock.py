"""The lock of a server's door, as the settings and the database have it."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from gemstead.access.failure_store import HOUR_S, FailureCounts, add_failures
from gemstead.access.key_ring import KeyRing
from gemstead.access.key_store import KeyStore
from gemstead.access.lock import FailedAttempt, Lock
from gemstead.access.pepper import read_pepper
from gemstead.access.signing_keys import SigningKeys, check_transport, fetch
from gemstead.access.tokens import TokenRules, Tokens
from gemstead.core.errors import SettingInvalid
from gemstead.settings.load import Loaded
from gemstead.settings.model import OidcSettings
from gemstead.settings.paths import Paths
from gemstead.store.database import Database, open_database

logger = logging.getLogger(__name__)

FLUSH_EVERY_S = 5.0
"""How long last uses and failures are only in memory."""

PEPPER_FILE = "pepper"


class DoorLock:
    """The lock, the ring it looks at, and what has to be written of both now and then."""

    def __init__(
        self, loaded: Loaded, database: Database, local_token: str, on_failure: Callable[[FailedAttempt], None]
    ) -> None:
        self._database = database
        self._on_failure = on_failure
        self._failures: FailureCounts = Counter()
        self._reading = database.raw()
        self.ring = KeyRing(KeyStore(self._reading, lambda: b""), lambda: given_pepper(loaded, read_pepper))
        self.lock = Lock(
            self.ring,
            is_forced=loaded.settings.access.requires_key,
            tokens=tokens_of(loaded.settings.oidc),
            local_token=local_token,
            on_failure=self._note_failure,
        )

    async def keep(self) -> None:
        """Writes what was noted, every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        """One that cannot be written is told in the log: it is no reason to let nobody in."""
        uses, failures = self.ring.take_uses(), self._failures
        self._failures = Counter()
        if not uses and not failures:
            return
        try:
            await asyncio.to_thread(self._write, uses, failures)
        except sqlite3.Error as exc:
            logger.warning("last uses and failed sign-ins were not written: %s", exc)

    def close(self) -> None:
        """From here on nobody gets in."""
        self._reading.close()

    def _write(self, uses: dict[str, float], failures: FailureCounts) -> None:
        connection = self._database.raw()
        try:
            if uses:
                KeyStore(connection, lambda: b"").note_uses(uses)
            if failures:
                add_failures(connection, failures, time.time())
        finally:
            connection.close()

    def _note_failure(self, attempt: FailedAttempt) -> None:
        hour_s = int(attempt.at_s // HOUR_S * HOUR_S)
        self._failures[hour_s, attempt.network, attempt.reason] += 1
        self._on_failure(attempt)


@asynccontextmanager
async def opened_lock(
    loaded: Loaded, local_token: str, on_failure: Callable[[FailedAttempt], None]
) -> AsyncIterator[DoorLock]:
    """The lock for as long as the server runs; what was noted last is written at the end."""
    door_lock = DoorLock(loaded, open_database(loaded.paths.database), local_token, on_failure)
    keeping = asyncio.create_task(door_lock.keep())
    try:
        yield door_lock
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        await door_lock.flush()
        door_lock.close()


def is_locked(loaded: Loaded) -> bool:
    """Whether a server with these settings lets nobody in without a key or a token. Makes no database."""
    settings = loaded.settings
    if settings.access.requires_key is not None:
        return settings.access.requires_key and has_credentials(loaded)
    return has_credentials(loaded)


def has_credentials(loaded: Loaded) -> bool:
    """Whether there is anything that opens the door: a key was made, or an identity provider is named."""
    if loaded.settings.oidc.issuer is not None:
        return True
    if not loaded.paths.database.exists():
        return False
    connection = open_database(loaded.paths.database).raw()
    try:
        return KeyStore(connection, lambda: b"").change_number() > 0
    finally:
        connection.close()


def given_pepper(loaded: Loaded, read: Callable[[Path, str | None], bytes]) -> bytes:
    """The pepper as `read` gets it: out of its file, or of the settings."""
    given = loaded.settings.access.pepper
    return read(pepper_path(loaded.paths), None if given is None else given.get_secret_value())


def pepper_path(paths: Paths) -> Path:
    return paths.secrets / PEPPER_FILE


def tokens_of(oidc: OidcSettings) -> Tokens | None:
    """None without an issuer. Raises: SettingInvalid."""
    if oidc.issuer is None:
        return None
    if not oidc.audience:
        raise SettingInvalid(
            "oidc.issuer is set, and oidc.audience is not",
            why="any token of that issuer would open the door, whatever it was made for",
            hint='audience = ["gemstead"], or what the identity provider calls this service',
        )
    try:
        check_transport(oidc.issuer)
    except ValueError as exc:
        raise SettingInvalid(f"oidc.issuer: {exc}", param="oidc.issuer") from exc
    rules = TokenRules(
        issuer=oidc.issuer,
        audience=oidc.audience,
        algorithms=oidc.algorithms,
        owner_claim=oidc.owner_claim,
        groups_claim=oidc.groups_claim,
        use_groups=oidc.use_groups,
        admin_groups=oidc.admin_groups,
    )
    return Tokens(rules, SigningKeys(oidc.issuer, fetch))
