"""Orders for the model desk through the door: which method, what comes back, and how work is told and broken off."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from door_fakes import FakeEngine, fake_services
from gemstead.api.asgi import build_api
from gemstead.api.desk import CreateModel, LoadedModel, ModelDetails, StoredModel, WorkProgress
from gemstead.core.caller import Caller
from gemstead.core.errors import NameUnknown, SourceUnreachable
from unit.test_api_calls import FakeClient

MODEL = StoredModel("fake", "ab" * 32, 100, "2026-11-24T00:00:00+00:00", "gguf")


class FakeDesk:
    """Gives `steps` for every work, raising those that are exceptions and waiting at those that are Events."""

    def __init__(self, *steps: Any) -> None:
        self.steps = steps
        self.orders: list[tuple[str, ...]] = []
        self.is_closed = asyncio.Event()

    async def list_models(self) -> tuple[StoredModel, ...]:
        return (MODEL,)

    async def list_loaded(self) -> tuple[LoadedModel, ...]:
        return (LoadedModel(MODEL, 4096, 100),)

    async def show(self, name: str) -> ModelDetails:
        if name != "fake":
            raise NameUnknown("model", name, ["fake"])
        return ModelDetails(MODEL)

    async def copy(self, source: str, name: str) -> None:
        self.orders.append(("copy", source, name))

    async def remove(self, name: str) -> None:
        self.orders.append(("remove", name))

    def pull(self, name: str) -> AsyncGenerator[WorkProgress]:
        self.orders.append(("pull", name))
        return self._work()

    def create(self, order: CreateModel) -> AsyncGenerator[WorkProgress]:
        self.orders.append(("create", order.name, order.source))
        return self._work()

    async def _work(self) -> AsyncGenerator[WorkProgress]:
        try:
            for step in self.steps:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, Exception):
                    raise step
                else:
                    yield step
        finally:
            self.is_closed.set()


def client_of(desk: FakeDesk | None) -> FakeClient:
    return FakeClient(build_api(fake_services(FakeEngine(), desk=desk)))


async def ask(desk: FakeDesk | None, method: str, path: str, **fields: Any) -> FakeClient:
    client = client_of(desk)
    await client.call(method, path, json.dumps(fields).encode() if fields else b"")
    return client


@pytest.mark.parametrize("path", ["/api/tags", "/api/ps"])
async def test_lists_are_asked_for_with_get(path: str) -> None:
    client = await ask(FakeDesk(), "GET", path)
    assert (client.status, json.loads(client.body)["models"][0]["name"]) == (200, "fake")
    assert (await ask(FakeDesk(), "POST", path, model="x")).status == 405


async def test_an_unknown_model_is_an_error_in_the_dialects_shape() -> None:
    client = await ask(FakeDesk(), "POST", "/api/show", model="other")
    assert client.status == 404
    assert json.loads(client.body)["code"] == "name_unknown"


async def test_copy_and_delete_carry_out_what_was_asked() -> None:
    desk = FakeDesk()
    assert (await ask(desk, "POST", "/api/copy", source="fake", destination="mine")).status == 200
    assert (await ask(desk, "DELETE", "/api/delete", model="mine:latest")).status == 200
    assert (await ask(desk, "POST", "/api/delete", model="mine")).status == 405
    assert desk.orders == [("copy", "fake", "mine"), ("remove", "mine")]


async def test_work_is_told_line_by_line_or_at_its_end() -> None:
    desk = FakeDesk(WorkProgress("half", 5, 10), WorkProgress("all", 10, 10))
    streamed = await ask(desk, "POST", "/api/pull", model="m")
    assert [json.loads(line)["status"] for line in streamed.body.splitlines()] == ["half", "all", "success"]
    assert streamed.header("content-type") == "application/x-ndjson"
    whole = await ask(desk, "POST", "/api/pull", model="m", stream=False, odd=1)
    assert json.loads(whole.body)["status"] == "success"
    assert "odd" in str(whole.header("x-gemstead-warning"))


async def test_work_that_fails_before_its_first_step_is_a_status_and_later_a_line() -> None:
    early = await ask(FakeDesk(SourceUnreachable("no network")), "POST", "/api/pull", model="m")
    assert early.status == 503
    late = await ask(FakeDesk(WorkProgress("half"), SourceUnreachable("no network")), "POST", "/api/pull", model="m")
    assert late.status == 200
    lines = [json.loads(line) for line in late.body.splitlines()]
    assert [line.get("error") for line in lines] == [None, "no network"]
    whole = await ask(
        FakeDesk(WorkProgress("half"), SourceUnreachable("no network")), "POST", "/api/pull", model="m", stream=False
    )
    assert whole.status == 503


async def test_a_bug_in_the_work_tells_nothing_but_the_requests_id(caplog: pytest.LogCaptureFixture) -> None:
    client = await ask(FakeDesk(WorkProgress("half"), ZeroDivisionError("secret")), "POST", "/api/pull", model="m")
    assert json.loads(client.body.splitlines()[-1])["code"] == "internal"
    assert b"secret" not in client.body
    assert "secret" in caplog.text


@pytest.mark.parametrize("is_stream", [True, False])
async def test_a_client_that_leaves_ends_the_work(is_stream: bool) -> None:
    desk = FakeDesk(WorkProgress("half"), asyncio.Event())
    client = client_of(desk)
    body = json.dumps({"model": "m", "stream": is_stream}).encode()
    call = asyncio.create_task(client.call("POST", "/api/pull", body))
    await asyncio.sleep(0)
    client.has_left.set()
    await call
    assert desk.is_closed.is_set()


async def test_a_door_without_a_store_says_so() -> None:
    client = await ask(None, "GET", "/api/tags")
    assert client.status == 503
    assert "no model store" in json.loads(client.body)["error"]


@pytest.mark.parametrize("path", ["/api/push", "/api/blobs/sha256:ab"])
@pytest.mark.parametrize("method", ["POST", "HEAD"])
async def test_what_is_not_offered_is_refused_and_says_why(path: str, method: str) -> None:
    assert (await ask(FakeDesk(), method, path, model="m")).status == 400


async def test_the_root_and_the_version_answer_whoever_looks() -> None:
    assert (await ask(None, "GET", "/")).body == b"gemstead is running"
    assert (await ask(None, "HEAD", "/")).status == 200
    version = json.loads((await ask(None, "GET", "/api/version")).body)["version"]
    assert version.partition("+")[2].startswith("gemstead.")


class NoAdmin:
    """A lock whose callers may use models and nothing else."""

    def is_required(self) -> bool:
        return True

    async def identify(self, _credential: str | None, _address: str) -> Caller:
        return Caller(key_id="k", scopes=frozenset({"use"}))


async def test_only_models_that_the_caller_may_use_are_listed_and_shown() -> None:
    asked: list[tuple[str, str]] = []

    def may_see(_caller: Caller, model: str, dialect: str) -> bool:
        asked.append((model, dialect))
        return False

    services = fake_services(FakeEngine(), desk=FakeDesk(), may_see=may_see, sign_in=NoAdmin())
    for method, path, body in (("GET", "/api/tags", b""), ("GET", "/api/ps", b""), ("GET", "/v1/models", b"")):
        client = FakeClient(build_api(services))
        await client.call(method, path, body)
        answer = json.loads(client.body)
        assert (client.status, answer.get("models", answer.get("data"))) == (200, [])
    for method, path, body in (("POST", "/api/show", b'{"model":"fake"}'), ("GET", "/v1/models/fake", b"")):
        client = FakeClient(build_api(services))
        await client.call(method, path, body)
        assert client.status in (403, 404)
    assert {dialect for _, dialect in asked} == {"ollama", "openai"}
