"""The door in front of the fake upstream, as one process of one worker. `--without STAGE` takes a stage out.

A stage taken out is replaced by nothing, so that the difference is its price; such a door is for this benchmark only.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from benchmarks.overhead.governing import Governing, governing
from gemstead.api.asgi import build_api
from gemstead.api.dialect import ModelCard
from gemstead.api.metrics import DoorMetrics
from gemstead.api.readiness import EngineStatus
from gemstead.api.server import listen, run_server
from gemstead.api.services import Services
from gemstead.core.facts import ModelFacts
from gemstead.core.types import ChatRequest, Event
from gemstead.engines.base import Endpoint, Engine
from gemstead.engines.client import EngineClient
from gemstead.engines.kinds.llama_cpp import ENGINE
from gemstead.evidence.identity import ensure_identity
from gemstead.evidence.ledger import LedgerOptions, opened_ledger
from gemstead.evidence.pseudonyms import KeyedHash, Pseudonyms, kept_key
from gemstead.gemma import tokens
from gemstead.pipeline.admission import Admission
from gemstead.pipeline.answer import Answer
from gemstead.pipeline.exchange import Exchange
from gemstead.pipeline.outcome import Outcome
from gemstead.pipeline.prepare import Prepared, prepare
from gemstead.pipeline.recording import Names, Recorder, Served

STAGES = ("admit", "prepare", "verify", "record")
MODEL = "fake"
MARKERS = {value for name, value in vars(tokens).items() if name.isupper() and isinstance(value, str)}
RESERVED = {f"<unused{number}>" for number in range(6242)}
"""As many as a Gemma 4 vocabulary has: looking for them is part of the price."""
FACTS = ModelFacts(control_tokens=frozenset(MARKERS | RESERVED), template="gemma4-small")


class PartialExchange(msgspec.Struct, frozen=True):
    """The exchange with stages left out, for their price."""

    whole: Exchange
    without: frozenset[str]

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Event]:
        engine = await self.whole.engine_for(request.model)
        async with self.whole.admit(request):
            prepared = Prepared(request)
            if "prepare" not in self.without:
                prepared = await prepare(engine, FACTS, self.whole.rules, request)
            reply = engine.chat(prepared.request)
            if "verify" not in self.without:
                reply = Answer(engine, FACTS, prepared, lambda _event: None).events()
            async with aclosing(reply) as events:
                async for event in events:
                    yield event


@asynccontextmanager
async def no_admission(_request: ChatRequest) -> AsyncIterator[None]:
    yield


def ignore(_outcome: Outcome) -> None:
    return None


async def serve(asked: argparse.Namespace) -> None:
    if asked.govern is None:
        await serve_with(asked, None)
        return
    async with governing(asked.govern, asked.data) as rules, recording(asked.govern, asked.data) as recorder:
        keeping = asyncio.create_task(keep_tidy(rules))
        try:
            await serve_with(asked, rules, **recorder)
        finally:
            keeping.cancel()


@asynccontextmanager
async def recording(level: str, data: Path) -> AsyncIterator[dict[str, Any]]:
    """Fields of the exchange that keep evidence, on the level that has it."""
    if level != "evidence":
        yield {}
        return
    names = Names(Pseudonyms(data / "pseudonyms"), KeyedHash(kept_key(data / "hash.key")))
    with opened_ledger(data / "evidence.db", ensure_identity(data / "evidence.key"), LedgerOptions()) as ledger:
        recorder = Recorder(ledger, names, Served("r-1-1", "llama_cpp-b1", "ab" * 32), DoorMetrics().evidence)
        yield {"recorder": lambda: recorder}
        await recorder.settle()


async def keep_tidy(rules: Governing) -> None:
    """As the server does it, and in the same process."""
    while rules.keeper is not None:
        await asyncio.sleep(1.0)
        await rules.keeper.tidy()


async def serve_with(asked: argparse.Namespace, rules: Governing | None, **recorder: Any) -> None:
    without = frozenset(asked.without)
    kind = msgspec.structs.replace(ENGINE, keeps_connections=not asked.new_connections)
    engine = EngineClient(kind, Endpoint("", socket_path=asked.upstream), MODEL, 8192)
    admission = Admission(max_running=256, max_waiting=256, wait_limit_s=60.0)
    metrics = DoorMetrics()

    async def engine_for(_model: str) -> Engine:
        return engine

    admit = no_admission if "admit" in without else lambda _request: admission.place()
    if rules is not None and rules.admit is not None:
        admit = rules.admit
    exchange = Exchange(
        admit=admit,
        engine_for=engine_for,
        record=ignore if "record" in without else metrics.count_outcome,
        facts_of=lambda _model: FACTS,
        **recorder,
    )
    services = Services(
        chat=PartialExchange(exchange, without).chat if without else exchange.chat,
        count_tokens=exchange.count_tokens,
        tokenize=exchange.tokenize,
        embed=exchange.embed,
        models=lambda: (ModelCard(MODEL, 0, "benchmark", 8192),),
        engines=lambda: (EngineStatus(MODEL, "fake upstream", "ready"),),
        metrics=metrics,
        sign_in=None if rules is None else rules.sign_in,
        quota=None if rules is None or rules.governed is None else rules.quota,
    )
    listener = listen("127.0.0.1", asked.port)
    await run_server(build_api(services), listener, stop=asyncio.Event(), on_started=lambda _port: None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", type=Path, required=True)
    parser.add_argument("--without", action="append", choices=STAGES, default=[])
    parser.add_argument("--new-connections", action="store_true", help="one for each answer, as to llama-server")
    parser.add_argument("--govern", choices=("keys", "limits", "evidence"), help="what stands before the exchange")
    parser.add_argument("--data", type=Path, help="the data folder of --govern")
    uvloop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
