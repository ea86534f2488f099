"""The evidence of a running server: opened with it, or with the first key; looked after, and closed at its end."""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Literal, TypeAlias

import psutil

from gemstead import __version__
from gemstead.access.lock import FailedAttempt
from gemstead.access.policy_file import PolicyText
from gemstead.api.metrics import DoorMetrics
from gemstead.app.content import content_keeper
from gemstead.app.evidence import TEXT_KEY, is_recording, opened_ledger_of, pseudonyms
from gemstead.app.servers import own_identity
from gemstead.app.setup import Setup
from gemstead.core.errors import EvidenceUnavailable, GemsteadError
from gemstead.core.plan import Plan
from gemstead.engines.base import Installation
from gemstead.engines.process import EngineChange
from gemstead.evidence import records
from gemstead.evidence.cuts import OpenExchange, num_records, open_exchanges, settled_before
from gemstead.evidence.expiry import expire
from gemstead.evidence.ledger import Ledger
from gemstead.evidence.pseudonyms import KeyedHash, kept_key
from gemstead.evidence.records import Record
from gemstead.evidence.tallies import EVERY_S, Tallies
from gemstead.pipeline.recording import Names, Recorder, Served
from gemstead.store.database import open_database

logger = logging.getLogger(__name__)

Purpose: TypeAlias = Literal["server", "command"]

LOOK_EVERY_S = 1.0
DAY_S = 86_400.0
SAME_START_S = 2.0
"""The system counts a process's start from its own, which moves when the clock is set."""

_RUN = re.compile(r"r-(\d{1,9})-(\d{1,15})")


class ServerEvidence:
    """What a server records. Where no evidence is kept it notes only what stands: the engine, the policy.

    Used on one event loop, but for `note_policy`.
    """

    def __init__(
        self, setup: Setup, plan: Plan, installation: Installation, metrics: DoorMetrics, purpose: Purpose
    ) -> None:
        self.metrics = metrics
        self._purpose = purpose
        self._loaded = setup.loaded
        self._plan = plan
        self._installation = installation
        self._served = Served(own_run(), engine_build_of(installation), model_digest_of(setup, plan))
        self._has_keys: Callable[[], bool] | None = None
        self._held = ExitStack()
        self._ledger: Ledger | None = None
        self._recorder: Recorder | None = None
        self._standing: dict[str, Record] = {}
        """By subject, the last record of what is still so: a chain that is begun later begins with them."""
        self._failures: Tallies[tuple[str, str, str | None]] = Tallies(_sign_in_failure, ("", "other", None))

    def recorder(self) -> Recorder | None:
        """For `Exchange.recorder`: None where no evidence is kept. The first key that is made opens the ledger, here if
        nobody was faster. Raises: EvidenceUnavailable.
        """
        if self._recorder is None:
            try:
                if self._has_keys is not None and self._has_keys():
                    self.open()
            except EvidenceUnavailable:
                raise
            except (GemsteadError, OSError, sqlite3.Error) as exc:
                raise EvidenceUnavailable(
                    "nothing can be recorded, so nothing is answered", why=str(exc), hint="gemstead evidence verify"
                ) from exc
        return self._recorder

    @asynccontextmanager
    async def watching(self, has_keys: Callable[[], bool]) -> AsyncIterator[None]:
        """While the block runs, `has_keys` tells whether keys were made."""
        self._has_keys = has_keys if self._loaded.settings.evidence.is_on == "auto" else None
        try:
            yield
        finally:
            self._has_keys = None

    def open(self) -> None:
        """Blocks for some milliseconds; longer if it has much to catch up with.

        Raises: EvidenceUnavailable, SettingInvalid, FileDamaged.
        """
        with ExitStack() as held:
            ledger = held.enter_context(opened_ledger_of(self._loaded))
            content = content_keeper(self._loaded)
            held.callback(content.close)
            secrets = self._loaded.paths.secrets
            names = Names(pseudonyms(self._loaded.paths), KeyedHash(kept_key(secrets / TEXT_KEY)))
            for record in (self._started(), *self._standing.values()):
                ledger.write_now(record)
            self._held = held.pop_all()
        self._ledger = ledger
        self._recorder = Recorder(ledger, names, self._served, self.metrics.evidence, content=content)

    def note_engine(self, change: EngineChange, purpose: str = "chat") -> None:
        record = records.event(
            f"engine.{change.kind}",
            time.time(),
            run=self._served.run,
            engine=self._installation.kind,
            engine_build=self._served.engine_build,
            program_digest=self._installation.digest,
            model=self._plan.model,
            model_digest=self._served.model_digest,
            purpose=purpose,
            pid=change.pid,
            why=None if change.why is None else change.why[:300],
        )
        self._note(f"engine {purpose}", record)

    def note_policy(self, text: PolicyText) -> None:
        """Before it is in force, from any thread but never from two at once. Raises: EvidenceUnavailable."""
        record = records.event(
            "policy.applied", time.time(), run=self._served.run, policy=text.sha256, rules=len(text.file.rules)
        )
        self._standing["policy"] = record
        if self._ledger is not None:
            self._ledger.write_now(record)

    def note_sign_in_failure(self, attempt: FailedAttempt) -> None:
        self._failures.add((attempt.network, attempt.reason, attempt.key_id), attempt.at_s)

    def note_refusal(self, key_id: str | None, code: str) -> None:
        """Of a call that did not come as far as the exchange."""
        if self._recorder is not None:
            self._recorder.count_refusal(key_id, code)

    async def keep(self) -> None:
        """Writes what is only counted, opens what is wanted by now, lets go what is old; until cancelled."""
        flushed_s, expired_s, said = time.monotonic(), float("-inf"), ""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                self.recorder()
                if self._ledger is not None:
                    self.metrics.evidence.show_ledger(self._ledger.health())
                if time.monotonic() - flushed_s >= EVERY_S:
                    flushed_s = time.monotonic()
                    self._flush()
                if self._ledger is not None and time.monotonic() - expired_s >= DAY_S:
                    expired_s = time.monotonic()
                    await asyncio.to_thread(self.let_go)
                said = ""
            except (GemsteadError, OSError, sqlite3.Error) as exc:
                if str(exc) != said:
                    logger.error("the evidence: %s", exc)
                said = str(exc)

    def let_go(self) -> None:
        """Blanks what is older than records are kept, and forgets the pseudonyms of that time. Blocks while it works.

        Raises: EvidenceUnavailable, SettingInvalid, FileDamaged.
        """
        if self._ledger is None:
            return
        paths, now_s = self._loaded.paths, time.time()
        before_s = now_s - self._loaded.settings.evidence.keep_days * DAY_S
        expire(paths.evidence, self._ledger, before_ms=records.to_ms(before_s), now_ms=records.to_ms(now_s))
        pseudonyms(paths).forget_before(before_s)

    async def close(self) -> None:
        """Everything is written that was noted; nothing can be any more."""
        try:
            if self._recorder is not None:
                self._flush()
                self._recorder.note(records.event("server.stopped", time.time(), run=self._served.run))
                await self._recorder.settle()
        finally:
            self._recorder = self._ledger = None
            await asyncio.to_thread(self._held.close)

    def _flush(self) -> None:
        """Hands over what was only counted so far; where none is kept, it is forgotten."""
        failures = self._failures.take(time.time())
        if self._recorder is None:
            return
        for record in failures:
            self._recorder.note(record)
        self._recorder.flush()

    def _note(self, subject: str, record: Record) -> None:
        self._standing[subject] = record
        if self._recorder is not None:
            self._recorder.note(record)

    def _started(self) -> Record:
        cut, settled = self._find_cut()
        return records.server_started(
            time.time(),
            run=self._served.run,
            cut=[(found.position, found.exchange) for found in cut],
            settled=settled,
            purpose=self._purpose,
            version=__version__,
            model=self._plan.model,
        )

    def _find_cut(self) -> tuple[list[OpenExchange], int]:
        """What runs that are no more left open, and the position before which there is nothing else to look for."""
        connection = open_database(self._loaded.paths.evidence, "evidence").raw()
        try:
            end = num_records(connection)
            found = open_exchanges(connection, settled_before(connection))
        finally:
            connection.close()
        going_on = [one for one in found if one.run != self._served.run and is_alive(one.run)]
        cut = [one for one in found if one not in going_on]
        return cut, going_on[0].position if going_on else end


@asynccontextmanager
async def opened_evidence(
    setup: Setup, plan: Plan, installation: Installation, purpose: Purpose = "server"
) -> AsyncIterator[ServerEvidence]:
    """The evidence for as long as the server runs; open it before the engines, and close it after them. `purpose`
    "command": an engine that a command started for itself.

    Raises: EvidenceUnavailable, SettingInvalid or FileDamaged if it should be kept and cannot be.
    """
    evidence = ServerEvidence(setup, plan, installation, DoorMetrics(), purpose)
    keeping: asyncio.Task[None] | None = None
    try:
        if is_recording(setup.loaded):
            await asyncio.to_thread(evidence.open)
        keeping = asyncio.create_task(evidence.keep())
        yield evidence
    finally:
        if keeping is not None:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
        await evidence.close()


def own_run() -> str:
    """Names this process among all that ever wrote to the chain of this machine."""
    pid, created_s = own_identity()
    return f"r-{pid}-{round(created_s * 1000)}"


def is_alive(run: str) -> bool:
    """Whether the process of that name still is."""
    found = _RUN.fullmatch(run)
    if found is None:
        return False
    try:
        created_s = psutil.Process(int(found[1])).create_time()
    except psutil.Error:
        return False
    return abs(created_s - int(found[2]) / 1000) < SAME_START_S


def engine_build_of(installation: Installation) -> str:
    return f"{installation.kind}-{installation.version}"


def model_digest_of(setup: Setup, plan: Plan) -> str | None:
    """The SHA-256 of the weights; of a model in parts, of the first."""
    found = next((manifest for manifest in setup.store.list() if manifest.name == plan.model), None)
    files = [] if found is None else found.files_of("model")
    return files[0].sha256 if files else None


def _sign_in_failure(group: tuple[str, str, str | None], num: int, first_s: float, at_s: float) -> Record:
    network, reason, key = group
    return {**records.sign_in_failed(network, reason, num, first_s, at_s), "key": key}
