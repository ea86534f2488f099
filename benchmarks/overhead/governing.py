"""What the benchmark's door puts before its exchange for each level of `benchmarks.overhead.governed`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from gemstead.access.fair_queue import FairQueue
from gemstead.access.key_ring import KeyRing
from gemstead.access.key_store import KeyStore
from gemstead.access.limit_store import PolicyVersions, SqliteLimits
from gemstead.access.limits import LimitKeeper
from gemstead.access.lock import Lock
from gemstead.access.pepper import read_pepper
from gemstead.access.policy_watch import PolicyWatch
from gemstead.api.sign_in import SignIn
from gemstead.core.quota import QuotaState
from gemstead.core.types import ChatRequest, EmbedRequest
from gemstead.pipeline.govern import Governed, KeyTerms
from gemstead.store.database import open_database

Asked = ChatRequest | EmbedRequest

CONTEXT_LENGTH = 8192


class Governing(msgspec.Struct, frozen=True):
    """`admit` None: as the bare door does it."""

    sign_in: SignIn
    governed: Governed | None = None
    keeper: LimitKeeper | None = None

    @property
    def admit(self) -> Callable[[Any], AbstractAsyncContextManager[Any]] | None:
        return None if self.governed is None else self.governed.admit

    async def quota(self, request: Asked) -> QuotaState | None:
        return None if self.governed is None else self.governed.state(request)


@asynccontextmanager
async def governing(level: str, data: Path) -> AsyncIterator[Governing]:
    """`keys` asks whose key it is, and no more; the others have policy and limits, too."""
    database = open_database(data / "gemstead.db")
    ring = KeyRing(KeyStore(database.raw(), lambda: b""), lambda: read_pepper(data / "pepper", None))
    lock = Lock(ring)
    if level == "keys":
        yield Governing(lock)
        return
    versions = PolicyVersions(database.raw())
    watch = PolicyWatch(data / "policy.toml", keep=lambda text: versions.note(text, "benchmark", 0.0))
    watch.start()
    keeper = LimitKeeper(SqliteLimits(database))

    async def count(_request: Asked) -> int:
        return 200

    governed = Governed(
        watch.current,
        keeper,
        FairQueue(256, 256, 60.0),
        count_tokens=count,
        context_length=CONTEXT_LENGTH,
        terms=KeyTerms(ring.quota, ring.labels),
    )
    yield Governing(lock, governed, keeper)
