"""Policy and limits of a running server: opened with it, looked after while it runs, written at its end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from gemstead.access.fair_queue import FairQueue
from gemstead.access.key_ring import KeyRing
from gemstead.access.limit_store import PolicyVersions, SqliteLimits
from gemstead.access.limits import LimitKeeper
from gemstead.access.policy_file import PolicyText
from gemstead.access.policy_watch import PolicyWatch
from gemstead.app.gateway import Gateway
from gemstead.core.errors import LimitsUnavailable, SettingInvalid
from gemstead.pipeline.govern import Governed, KeyTerms
from gemstead.settings.load import Loaded
from gemstead.store.database import open_database

logger = logging.getLogger(__name__)

TIDY_EVERY_S = 1.0
POLICY_FILE = "policy.toml"


def policy_path(loaded: Loaded) -> Path:
    given = loaded.settings.policy.file
    return loaded.paths.config / POLICY_FILE if given is None else Path(given).expanduser()


class Governance(msgspec.Struct, frozen=True):
    """What decides who gets in, while the server runs."""

    governed: Governed
    watch: PolicyWatch
    keeper: LimitKeeper


@asynccontextmanager
async def opened_governance(
    loaded: Loaded, gateway: Gateway, ring: KeyRing, on_policy: Callable[[PolicyText], None] = lambda _text: None
) -> AsyncIterator[Governance]:
    """Lets nobody into `gateway` but by policy and limits. `on_policy` is told of each version before it is in force.

    Raises: SettingInvalid for a broken policy file, or one that is named and not there.
    """
    database = open_database(loaded.paths.database)
    store, versions_connection = SqliteLimits(database), database.raw()
    try:
        watch = _watch(loaded, gateway, PolicyVersions(versions_connection), on_policy)
        keeper = LimitKeeper(store)
        governed = Governed(
            watch.current,
            keeper,
            FairQueue(*gateway.line),
            count_tokens=gateway.count_exactly,
            context_length=gateway.plan.context_length,
            terms=KeyTerms(ring.quota, ring.labels),
        )
        gateway.govern(governed)
        tasks = [asyncio.create_task(watch.keep_watching()), asyncio.create_task(_keep_tidy(keeper))]
        try:
            yield Governance(governed, watch, keeper)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await keeper.close()
    finally:
        store.close()
        versions_connection.close()


def _watch(
    loaded: Loaded, gateway: Gateway, versions: PolicyVersions, on_policy: Callable[[PolicyText], None]
) -> PolicyWatch:
    path = policy_path(loaded)
    if loaded.settings.policy.file is not None and not path.exists():
        raise SettingInvalid(
            f"the policy file {path} is not there", param="policy.file", hint="gemstead policy init writes one"
        )

    def keep(text: PolicyText) -> None:
        versions.note(text, str(path), time.time())
        on_policy(text)

    watch = PolicyWatch(path, keep=keep, on_reload=gateway.metrics.count_policy_reload)
    watch.start()
    gateway.metrics.show_policy(watch.policy.sha256)
    return watch


async def _keep_tidy(keeper: LimitKeeper) -> None:
    while True:
        await asyncio.sleep(TIDY_EVERY_S)
        try:
            await keeper.tidy()
        except LimitsUnavailable as exc:
            logger.warning("%s", exc.what)
