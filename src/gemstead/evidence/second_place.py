"""Where checkpoints go besides the database: a file on another volume, or an address that takes them by HTTP.

Who can change everything here cannot change what lies there: without it, a chain made anew from the start would pass.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from pathlib import Path

import msgspec

logger = logging.getLogger(__name__)

MAX_WAITING = 1000
"""Notes kept for a place that does not answer; of more, the oldest go: each newer one speaks for them too."""
TIMEOUT_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 300.0


class DeliveryHealth(msgspec.Struct, frozen=True):
    """`failures`: attempts in vain since the start. `last_error` None: the last attempt went well."""

    place: str
    delivered: int
    waiting: int
    failures: int
    last_error: str | None


class SecondPlace:
    """Delivers notes in their order, on a thread of its own. Nobody waits for it."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._deliver = _post if place.startswith(("http://", "https://")) else _append
        self._waiting: deque[str] = deque(maxlen=MAX_WAITING)
        self._changed = threading.Condition()
        self._is_closing = False
        self._delivered = self._failures = 0
        self._last_error: str | None = None
        self._thread = threading.Thread(target=self._run, name="evidence-second-place", daemon=True)
        self._thread.start()

    def put(self, note: str) -> None:
        with self._changed:
            self._waiting.append(note)
            self._changed.notify()

    def health(self) -> DeliveryHealth:
        with self._changed:
            return DeliveryHealth(self._place, self._delivered, len(self._waiting), self._failures, self._last_error)

    def close(self, wait_s: float) -> None:
        """Tries once more what waits, for `wait_s` seconds at most."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(wait_s)
        if left := self.health().waiting:
            logger.warning("%d checkpoints did not reach %s: %s", left, self._place, self._last_error)

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while (note := self._next()) is not None:
            is_last_try = self._is_closing
            error = self._attempt(note)
            self._note(note, error)
            if error is None:
                pause_s = FIRST_PAUSE_S
                continue
            if is_last_try:
                return
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing, pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _next(self) -> str | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            return self._waiting[0] if self._waiting else None

    def _attempt(self, note: str) -> str | None:
        """What went wrong; None: nothing."""
        try:
            self._deliver(self._place, note)
        except (OSError, ValueError) as exc:
            return str(exc) or type(exc).__name__
        return None

    def _note(self, note: str, error: str | None) -> None:
        with self._changed:
            if error is None:
                self._delivered += 1
                # It may have been let go of in the meantime.
                if self._waiting and self._waiting[0] == note:
                    self._waiting.popleft()
            else:
                self._failures += 1
                if self._last_error != error:
                    logger.warning("a checkpoint did not reach %s: %s", self._place, error)
            self._last_error = error


def _append(place: str, note: str) -> None:
    """Notes stand apart by an empty line before each, so that one which was cut off does not spoil the next.

    Raises: OSError.
    """
    with Path(place).expanduser().open("ab") as file:
        file.write(f"\n{note}".encode())
        file.flush()
        os.fsync(file.fileno())


def _post(place: str, note: str) -> None:
    """Raises: OSError."""
    import httpx2

    headers = {"content-type": "text/plain; charset=utf-8"}
    try:
        with (
            httpx2.Client(timeout=TIMEOUT_S, trust_env=False) as client,
            client.stream("POST", place, content=note.encode(), headers=headers) as response,
        ):
            if not response.is_success:
                raise OSError(f"it answered {response.status_code}")
    except (httpx2.TransportError, httpx2.InvalidURL) as exc:
        raise OSError(str(exc) or type(exc).__name__) from exc
