"""The keys as a running server knows them: in memory, and never more than a moment behind the database."""

from __future__ import annotations

import time
from collections.abc import Callable

from gemstead.access.key_store import KeyStore
from gemstead.access.records import KeyRecord, StoredKey
from gemstead.core.caller import Caller

LOOK_EVERY_S = 0.25
"""How old an answer may be: what `keys revoke` has written is in force that much later."""

USE_GRAIN_S = 60.0
"""How exactly it is kept when a key was last used: a write a minute and key at most."""


class KeyRing:
    """Looks at one number of the database when it was not looked at for `LOOK_EVERY_S`, and reads what changed.

    For one thread; the reads wait for no writer (WAL), and raise if the database is gone: then nobody gets in.
    """

    def __init__(
        self, store: KeyStore, read_pepper: Callable[[], bytes], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._read_pepper = read_pepper
        self._pepper: bytes | None = None
        self._clock = clock
        self._looked_s = float("-inf")
        self._number = 0
        self._keys: dict[str, StoredKey] = {}
        self._callers: dict[str, Caller] = {}
        self._uses: dict[str, float] = {}
        """Not written yet."""
        self._noted: dict[str, float] = {}

    def has_keys(self) -> bool:
        """Whether a key was ever made."""
        self._look()
        return self._number > 0

    def find(self, key_id: str) -> StoredKey | None:
        self._look()
        return self._keys.get(key_id)

    def caller(self, key_id: str) -> Caller:
        """Who a key of the ring belongs to."""
        return self._callers[key_id]

    def quota(self, key_id: str | None) -> dict[str, int]:
        """The limits that the key itself names; empty for a caller without a key of ours."""
        stored = self._keys.get(key_id or "")
        return {} if stored is None else stored.record.fields.quota

    def labels(self, key_id: str | None) -> tuple[str, ...]:
        """The data labels that the key itself names."""
        stored = self._keys.get(key_id or "")
        return () if stored is None else stored.record.fields.labels

    def record(self, key_id: str) -> KeyRecord | None:
        self._look()
        stored = self._keys.get(key_id)
        return None if stored is None else stored.record

    def pepper(self) -> bytes:
        """Read once, when the first key is checked. Raises: Missing, SettingInvalid."""
        if self._number == 0:
            return bytes(32)  # there is none before the first key, and nothing to find with it
        if self._pepper is None:
            self._pepper = self._read_pepper()
        return self._pepper

    def note_use(self, key_id: str, at_s: float) -> None:
        last_s = self._keys[key_id].record.last_used_at_s or 0.0
        if at_s - max(last_s, self._noted.get(key_id, 0.0)) >= USE_GRAIN_S:
            self._uses[key_id] = self._noted[key_id] = at_s

    def take_uses(self) -> dict[str, float]:
        """What was used since this was last asked, to be written where writing may wait."""
        uses, self._uses = self._uses, {}
        return uses

    def _look(self) -> None:
        now_s = self._clock()
        if now_s - self._looked_s < LOOK_EVERY_S:
            return
        number = self._store.change_number()
        if number != self._number:
            # A change between the two reads is read now and once more at the next look: nothing is missed.
            for stored in self._store.changed_since(self._number):
                self._keys[stored.record.id] = stored
                self._callers[stored.record.id] = stored.record.caller()
            self._number = number
        self._looked_s = now_s
