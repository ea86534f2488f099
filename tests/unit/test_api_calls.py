"""The ASGI application without a socket: what a test of bytes on the wire would not show better."""

import asyncio
import json
from typing import Any

import pytest
from starlette.types import ASGIApp, Message

from door_fakes import FakeEngine, fake_exchange, fake_services
from gemstead.api.asgi import build_api
from gemstead.core.types import TextDelta


class FakeClient:
    """Speaks ASGI: sends one request, then leaves when told; keeps what came back."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.sent: list[Message] = []
        self.has_left = asyncio.Event()
        self.is_deaf = False

    async def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        pieces: int = 1,
        is_body_whole: bool = True,
        headers: dict[str, str] | None = None,
    ) -> None:
        given = {"host": "localhost", "content-type": "application/json"} | (headers or {})
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        }
        size = max(1, -(-len(body) // pieces))
        cuts = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
        messages = [
            {"type": "http.request", "body": cut, "more_body": index < len(cuts) - is_body_whole}
            for index, cut in enumerate(cuts)
        ]

        async def receive() -> Message:
            if messages:
                return messages.pop(0)
            await self.has_left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            self.sent.append(message)
            if self.is_deaf and message["type"] == "http.response.body":
                await self.has_left.wait()

        async with asyncio.timeout(5):
            await self.app(scope, receive, send)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    def header(self, name: str) -> str | None:
        return next((v.decode() for k, v in self.sent[0]["headers"] if k == name.encode()), None)


def chat_body(**fields: Any) -> bytes:
    return json.dumps({"model": "fake", "messages": [{"role": "user", "content": "hi"}]} | fields).encode()


CHAT = "/v1/chat/completions"


async def test_a_body_in_many_pieces_is_one_body() -> None:
    client = FakeClient(build_api(fake_services(FakeEngine())))
    await client.call("POST", CHAT, chat_body(), pieces=7)
    assert client.status == 200
    assert json.loads(client.body)["choices"][0]["message"]["content"] == "Hello there"


@pytest.mark.parametrize("headers", [{}, {"content-length": "101"}])
async def test_a_body_over_the_limit_is_refused_declared_or_not(headers: dict[str, str]) -> None:
    client = FakeClient(build_api(fake_services(FakeEngine(), max_body_bytes=100)))
    await client.call("POST", CHAT, b"x" * 101, pieces=3, headers=headers)
    assert client.status == 413
    assert json.loads(client.body)["error"]["code"] == "body_too_large"


@pytest.mark.parametrize("is_stream", [True, False])
async def test_a_client_that_leaves_ends_the_work_in_the_engine(is_stream: bool) -> None:
    services = fake_services(engine := FakeEngine(TextDelta("a"), asyncio.Event()))
    client = FakeClient(build_api(services))
    call = asyncio.create_task(client.call("POST", CHAT, chat_body(stream=is_stream)))
    await engine.has_given.wait()
    client.has_left.set()
    await call
    assert engine.is_closed.is_set()
    assert len(client.sent) == (2 if is_stream else 0)
    text = services.metrics.render().decode()
    status = "200" if is_stream else "499"
    assert f'finish_reason="cancelled",route="{CHAT}",status="{status}"}} 1.0' in text
    assert "gemstead_requests_in_flight 0.0" in text


async def test_a_client_that_leaves_before_its_body_is_whole_is_not_answered() -> None:
    client = FakeClient(build_api(fake_services(FakeEngine())))
    client.has_left.set()

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        client.sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    await client.app({"type": "http", "method": "POST", "path": CHAT, "headers": headers}, receive, send)
    assert client.sent == []


async def test_a_client_that_reads_no_more_loses_its_engine_slot() -> None:
    services = fake_services(engine := FakeEngine(TextDelta("a"), is_endless=True), stall_limit_s=0.02)
    client = FakeClient(build_api(services))
    client.is_deaf = True
    await client.call("POST", CHAT, chat_body(stream=True))
    assert engine.is_closed.is_set()
    assert 'finish_reason="cancelled"' in services.metrics.render().decode()


async def test_a_body_that_does_not_come_is_not_waited_for_for_ever() -> None:
    client = FakeClient(build_api(fake_services(FakeEngine(), body_limit_s=0.02)))
    await client.call("POST", CHAT, chat_body(), is_body_whole=False)
    assert client.status == 408
    assert json.loads(client.body)["error"]["code"] == "body_too_slow"


async def test_a_call_cut_by_the_stopping_server_is_answered_too() -> None:
    engine = FakeEngine(TextDelta("a"), asyncio.Event())
    client = FakeClient(build_api(fake_services(engine)))
    call = asyncio.create_task(client.call("POST", CHAT, chat_body()))
    await engine.has_given.wait()
    call.cancel()
    await call
    assert engine.is_closed.is_set()
    assert client.status == 503
    assert json.loads(client.body)["error"]["code"] == "interrupted"


async def test_a_bug_is_an_internal_error_that_names_the_request_and_tells_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = FakeClient(build_api(fake_services(FakeEngine(ZeroDivisionError("secret")))))
    await client.call("POST", CHAT, chat_body(), headers={"x-request-id": "abc-1"})
    assert client.status == 500
    assert b"abc-1" in client.body
    assert b"secret" not in client.body
    assert "secret" in caplog.text


async def test_a_bug_in_mid_stream_is_an_error_event(caplog: pytest.LogCaptureFixture) -> None:
    client = FakeClient(build_api(fake_services(FakeEngine(TextDelta("a"), ZeroDivisionError("secret")))))
    await client.call("POST", CHAT, chat_body(stream=True))
    assert client.status == 200
    assert json.loads(client.body.split(b"\n\n")[-2].removeprefix(b"data: "))["error"]["code"] == "internal_error"
    assert b"[DONE]" not in client.body
    assert b"secret" not in client.body
    assert "secret" in caplog.text


async def test_a_warning_quoting_the_caller_cannot_forge_a_header() -> None:
    client = FakeClient(build_api(fake_services(FakeEngine())))
    await client.call("POST", CHAT, chat_body(**{"a\r\nx-evil: 1 é": 1}))
    warning = client.header("x-gemstead-warning")
    assert warning == "field_unknown: a??x-evil: 1 ? is not a field of this API; ignored"


@pytest.mark.parametrize("is_stream", [True, False])
async def test_the_last_bytes_leave_after_the_outcome_is_recorded(is_stream: bool) -> None:
    bodies_at_record: list[bytes] = []
    exchange = fake_exchange(FakeEngine(), lambda _outcome: bodies_at_record.append(client.body))
    client = FakeClient(build_api(fake_services(FakeEngine(), chat=exchange.chat)))
    await client.call("POST", CHAT, chat_body(stream=is_stream))
    (body_at_record,) = bodies_at_record
    assert client.body.startswith(body_at_record)
    assert b"[DONE]" not in body_at_record
    assert client.body.endswith(b"[DONE]\n\n" if is_stream else b"}")
    assert bool(body_at_record) == is_stream
