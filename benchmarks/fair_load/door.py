"""The door with keys, policy, limits and the fair queue, in front of the fake upstream, as one process."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

import uvloop

from benchmarks.overhead.door import FACTS, MODEL
from gemstead.access.fair_queue import FairQueue
from gemstead.access.key_ring import KeyRing
from gemstead.access.key_store import KeyStore
from gemstead.access.limit_store import PolicyVersions, SqliteLimits
from gemstead.access.limits import LimitKeeper
from gemstead.access.lock import Lock
from gemstead.access.pepper import read_pepper
from gemstead.access.policy_watch import PolicyWatch
from gemstead.api.asgi import build_api
from gemstead.api.dialect import ModelCard
from gemstead.api.metrics import DoorMetrics
from gemstead.api.readiness import EngineStatus
from gemstead.api.server import listen, run_server
from gemstead.api.services import Services
from gemstead.core.quota import QuotaState
from gemstead.core.types import ChatRequest, EmbedRequest
from gemstead.engines.base import Endpoint, Engine
from gemstead.engines.client import EngineClient
from gemstead.engines.kinds.llama_cpp import ENGINE
from gemstead.pipeline.exchange import Exchange
from gemstead.pipeline.govern import Governed, KeyTerms
from gemstead.store.database import open_database

CONTEXT_LENGTH = 8192


async def serve(asked: argparse.Namespace) -> None:
    engine = EngineClient(ENGINE, Endpoint("", socket_path=asked.upstream), MODEL, CONTEXT_LENGTH)
    database = open_database(asked.data / "gemstead.db")
    ring = KeyRing(KeyStore(database.raw(), lambda: b""), lambda: read_pepper(asked.data / "pepper", None))
    versions = PolicyVersions(database.raw())
    watch = PolicyWatch(asked.data / "policy.toml", keep=lambda text: versions.note(text, "benchmark", 0.0))
    watch.start()
    keeper = LimitKeeper(SqliteLimits(database))
    metrics = DoorMetrics()

    async def engine_for(_model: str) -> Engine:
        return engine

    async def count(request: ChatRequest | EmbedRequest) -> int:
        assert isinstance(request, ChatRequest)
        return await exchange.count_tokens(request)

    governed = Governed(
        watch.current,
        keeper,
        FairQueue(asked.slots, 128, 60.0),
        count_tokens=count,
        context_length=CONTEXT_LENGTH,
        terms=KeyTerms(ring.quota, ring.labels),
    )
    exchange = Exchange(
        admit=governed.admit, engine_for=engine_for, record=metrics.count_outcome, facts_of=lambda _model: FACTS
    )

    async def quota(request: ChatRequest | EmbedRequest) -> QuotaState | None:
        return governed.state(request)

    services = Services(
        chat=exchange.chat,
        count_tokens=exchange.count_tokens,
        tokenize=exchange.tokenize,
        embed=exchange.embed,
        models=lambda: (ModelCard(MODEL, 0, "benchmark", CONTEXT_LENGTH),),
        engines=lambda: (EngineStatus(MODEL, "fake upstream", "ready"),),
        metrics=metrics,
        quota=quota,
        sign_in=Lock(ring),
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    tidying = asyncio.create_task(keep_tidy(keeper))
    await run_server(build_api(services), listen("127.0.0.1", asked.port), stop=stop, on_started=lambda _port: None)
    tidying.cancel()
    await keeper.close()


async def keep_tidy(keeper: LimitKeeper) -> None:
    while True:
        await asyncio.sleep(1.0)
        await keeper.tidy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--slots", type=int, default=8)
    uvloop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
