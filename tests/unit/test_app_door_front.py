"""The exchange under every name of the served model, loaded when it is needed."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from door_fakes import ANSWER, FakeEngine, ask
from fake_engine import small_plan
from gemstead.app.door_front import DoorFront
from gemstead.app.names import ServedNames
from gemstead.app.residency import KeepAlive
from gemstead.catalog.derive import derive_model
from gemstead.catalog.manifests import Preset
from gemstead.catalog.store import Store
from gemstead.core.errors import NameUnknown, PolicyRefused
from gemstead.core.types import ChatRequest, EmbedRequest, Event, Finish, Sampling, Usage, Warning
from gemstead.engines.base import Engine
from gemstead.pipeline.admission import Admission
from gemstead.pipeline.exchange import Exchange
from small_store import add_model

SERVED = "gemma4:e2b-q4_0"


class FakeProcess:
    """A supervised engine that is loaded in no time; `state` and `usage` are what the front looks at."""

    def __init__(self) -> None:
        self.state = "stopped"
        self.num_loads = 0

    def load(self) -> None:
        if self.state != "ready":
            self.state, self.num_loads = "ready", self.num_loads + 1

    async def unload(self) -> None:
        self.state = "stopped"

    def usage(self) -> SimpleNamespace:
        return SimpleNamespace(uptime_s=0.0)


class Door:
    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "models")
        add_model(self.store, SERVED, model="gemma4:e2b", tag="q4_0")
        self.engine, self.process = FakeEngine(), FakeProcess()
        self.keep_alive = KeepAlive(self.process.unload, math.inf)
        admission = Admission(max_running=4, max_waiting=0, wait_limit_s=1.0)
        exchange = Exchange(
            admit=lambda _request: admission.place(), engine_for=self.engine_for, record=lambda _outcome: None
        )
        process: Any = self.process
        self.front = DoorFront(
            plan=small_plan(SERVED, context_length=4096),
            engine=process,
            exchange=exchange,
            names=ServedNames(self.store, self.store.require(SERVED)),
            keep_alive=self.keep_alive,
            load=self.engine_for,
            complete=lambda request: request,
            aside=self.let_in,
        )
        self.let_in_models: list[str] = []
        self.is_closed = False

    @asynccontextmanager
    async def let_in(self, request: ChatRequest) -> AsyncIterator[None]:
        if self.is_closed:
            raise PolicyRefused("no rule allows it")
        self.let_in_models.append(request.model)
        yield

    async def engine_for(self, model: str) -> Engine:
        if model != SERVED:
            raise NameUnknown("model", model, [SERVED])
        self.process.load()
        return self.engine

    async def chat(self, request: ChatRequest) -> list[Event]:
        return [event async for event in self.front.chat(request)]


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


async def test_the_engine_sees_its_own_name_whatever_the_caller_wrote(door: Door) -> None:
    events = await door.chat(ask(model="gemma4:e2b:latest"))
    assert [event for event in events if not isinstance(event, Usage)] == [
        event for event in ANSWER if not isinstance(event, Usage)
    ]
    assert door.engine.requests[0].model == SERVED


async def test_a_name_of_another_model_is_refused_by_the_exchange(door: Door) -> None:
    with pytest.raises(NameUnknown):
        await door.chat(ask(model="other"))
    with pytest.raises(NameUnknown):
        await door.chat(ChatRequest("other", (), keep_alive_s=0))
    with pytest.raises(NameUnknown):
        await door.front.count_tokens(ask(model="other"))


async def test_a_family_name_and_a_context_that_is_not_served_are_warned_about(door: Door) -> None:
    events = await door.chat(ask(model="gemma4", wanted_context=8192))
    assert [event.code for event in events if isinstance(event, Warning)] == ["model_resolved", "context_smaller"]
    assert not any(isinstance(event, Warning) for event in await door.chat(ask(model=SERVED, wanted_context=4096)))


async def test_a_created_model_answers_with_its_own_words(door: Door) -> None:
    derive_model(door.store, SERVED, "parrot", Preset("You are a parrot.", Sampling(top_k=5)))
    await door.chat(ask(model="parrot"))
    (request,) = door.engine.requests
    assert [message.role for message in request.messages] == ["system", "user"]
    assert request.sampling.top_k == 5


async def test_the_wait_for_the_model_is_told_once_and_only_by_who_waited(door: Door) -> None:
    first, second = [await door.chat(ask(model=SERVED)) for _ in range(2)]
    usages = [event for events in (first, second) for event in events if isinstance(event, Usage)]
    assert usages[0].timings is not None
    assert usages[0].timings.load_s is not None
    assert usages[1].timings is None
    assert door.process.num_loads == 1


async def test_a_request_without_a_question_loads_or_unloads_and_asks_the_engine_nothing(door: Door) -> None:
    assert await door.chat(ChatRequest("gemma4:e2b", ())) == [Finish("stop")]
    assert door.process.state == "ready"
    assert await door.chat(ChatRequest("gemma4:e2b", (), keep_alive_s=0)) == [Finish("stop")]
    assert door.process.state == "stopped"
    assert await door.chat(ChatRequest("gemma4:e2b", (), keep_alive_s=0)) == [Finish("stop")]
    assert door.process.num_loads == 1
    assert door.engine.requests == []
    assert door.let_in_models == [SERVED] * 3


async def test_loading_and_counting_are_for_whom_the_policy_lets_in(door: Door) -> None:
    await door.front.count_tokens(ask(model="gemma4:e2b"))
    assert door.let_in_models == [SERVED]
    door.is_closed = True
    for request in (ChatRequest("gemma4:e2b", ()), ChatRequest("gemma4:e2b", (), keep_alive_s=0)):
        with pytest.raises(PolicyRefused):
            await door.chat(request)
    with pytest.raises(PolicyRefused):
        await door.front.count_tokens(ask(model="gemma4:e2b"))
    assert door.process.num_loads == 1


async def test_the_model_goes_after_an_answer_or_vectors_that_ask_for_it_and_comes_back_on_demand(door: Door) -> None:
    await door.chat(ask(model=SERVED, keep_alive_s=0))
    await door.keep_alive.settled()
    assert door.process.state == "stopped"
    assert (await door.front.tokenize("gemma4:e2b", "two words")) == (0, 1)
    assert door.process.state == "ready"
    await door.front.embed(EmbedRequest("gemma4:e2b", ("text",), keep_alive_s=0))
    await door.keep_alive.settled()
    assert door.process.num_loads == 2
    assert door.process.state == "stopped"


async def test_an_answer_that_is_left_early_frees_the_model_too(door: Door) -> None:
    events = door.front.chat(ask(model=SERVED, keep_alive_s=0))
    await anext(events)
    assert door.process.state == "ready"
    await events.aclose()
    await door.keep_alive.settled()
    assert door.engine.is_closed.is_set()
    assert door.process.state == "stopped"
