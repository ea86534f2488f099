"""The door over real loopback sockets, before a fake engine in the test's own process."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from door_fakes import FakeEngine, fake_services, serving
from gemstead.api.asgi import build_api
from gemstead.api.readiness import EngineStatus
from gemstead.api.server import listen, run_server
from gemstead.api.services import Services
from gemstead.core.errors import AlreadyRunning, EngineBusy, EngineTimeout, SettingInvalid
from gemstead.core.types import Finish, TextDelta

CHAT = "/v1/chat/completions"
ASKED = {"model": "fake", "messages": [{"role": "user", "content": "hi"}]}


def client(url: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=10)


async def ask(services: Services, method: str, path: str, **options: Any) -> httpx2.Response:
    async with serving(services) as url, client(url) as http:
        return await http.request(method, path, **options)


async def lines(response: httpx2.Response) -> AsyncIterator[str]:
    async for line in response.aiter_lines():
        if line:
            yield line


async def test_one_connection_carries_a_whole_and_a_streamed_answer() -> None:
    async with serving(fake_services(FakeEngine())) as url, client(url) as http:
        whole = await http.post(CHAT, json=ASKED)
        assert whole.json()["choices"][0]["message"]["content"] == "Hello there"
        assert whole.json()["usage"]["prompt_tokens_details"] == {"cached_tokens": 1}
        async with http.stream("POST", CHAT, json=ASKED | {"stream": True}) as streamed:
            assert streamed.headers["content-type"] == "text/event-stream"
            seen = [line async for line in lines(streamed)]
    deltas = [json.loads(line.removeprefix("data: "))["choices"][0]["delta"] for line in seen[:-1]]
    assert "".join(delta.get("content", "") for delta in deltas) == "Hello there"
    assert seen[-1] == "data: [DONE]"


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("GET", "/nothing", {}, 404, "path_unknown"),
        ("GET", "/docs", {}, 404, "path_unknown"),
        ("GET", "/v1/models/", {}, 404, "model_not_found"),
        ("GET", "/v1/models/other", {}, 404, "model_not_found"),
        ("GET", CHAT, {}, 405, "method_refused"),
        ("OPTIONS", CHAT, {"headers": {"origin": "https://example.com"}}, 405, "method_refused"),
        ("POST", "/v1/models", {"json": {}}, 405, "method_refused"),
        ("POST", CHAT, {"data": {"a": "b"}}, 415, "content_type_refused"),
        ("POST", CHAT, {"content": b"{}"}, 415, "content_type_refused"),
        ("POST", CHAT, {"json": ASKED | {"n": 2}}, 400, "request_invalid"),
        ("POST", CHAT, {"json": ASKED | {"model": "other"}}, 404, "model_not_found"),
        ("GET", "/healthz", {"headers": {"host": "evil.example"}}, 403, "host_refused"),
    ],
)
async def test_a_refusal_has_its_status_and_the_dialects_shape(
    method: str, path: str, options: dict[str, Any], status: int, code: str
) -> None:
    response = await ask(fake_services(FakeEngine()), method, path, **options)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("is_stream", [True, False])
async def test_an_error_before_the_first_event_is_a_status(is_stream: bool) -> None:
    services = fake_services(FakeEngine(EngineBusy("no slot", retry_after_s=1.2)))
    response = await ask(services, "POST", CHAT, json=ASKED | {"stream": is_stream})
    assert response.status_code == 503
    assert response.headers["retry-after"] == "2"


@pytest.mark.parametrize("is_stream", [True, False])
async def test_an_empty_reply_is_never_a_success(is_stream: bool) -> None:
    services = fake_services(FakeEngine(TextDelta(""), Finish("stop")))
    response = await ask(services, "POST", CHAT, json=ASKED | {"stream": is_stream})
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "reply_broken"
    metrics = services.metrics.render().decode()
    for action in ("retried", "refused"):
        count = f'gemstead_verify_catches_total{{action="{action}",engine="fake",kind="empty_reply",model="fake"}} 1.0'
        assert count in metrics


async def test_an_error_in_mid_stream_is_an_event_and_the_end() -> None:
    services = fake_services(FakeEngine(TextDelta("a"), EngineTimeout("it fell silent")))
    response = await ask(services, "POST", CHAT, json=ASKED | {"stream": True})
    last = response.text.strip().split("\n\n")[-1]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "engine_timeout"


async def test_a_sane_request_id_is_kept_and_any_other_replaced() -> None:
    async with serving(fake_services(FakeEngine())) as url, client(url) as http:
        kept = await http.get("/healthz", headers={"x-request-id": "trace-1.a_B"})
        long = await http.get("/healthz", headers={"x-request-id": "x" * 129})
        odd = await http.get("/nothing", headers={"x-request-id": "a b"})
    assert kept.headers["x-request-id"] == "trace-1.a_B"
    assert long.headers["x-request-id"].startswith("req_")
    assert odd.headers["x-request-id"].startswith("req_")


async def test_models_are_listed_and_shown_whatever_is_in_their_names() -> None:
    async with serving(fake_services(FakeEngine())) as url, client(url) as http:
        listed = (await http.get("/v1/models")).json()
        shown = (await http.get("/v1/models/org/fake:e2b@tiny")).json()
    assert listed["object"] == "list"
    assert shown == listed["data"][1]
    assert listed["data"][0]["context_length"] == 4096


async def test_it_is_alive_while_the_engine_loads_and_says_how_far_it_is() -> None:
    status = EngineStatus("fake", "e", "starting", progress=0.25, reason="loading weights")
    async with serving(fake_services(FakeEngine(), engines=lambda: (status,))) as url, client(url) as http:
        alive, ready = await http.get("/healthz"), await http.get("/readyz")
    assert alive.json() == {"status": "alive"}
    assert ready.status_code == 503
    assert ready.json()["reason"] == "loading weights"
    assert ready.json()["engines"][0]["progress"] == 0.25


async def test_requests_are_counted_by_route_never_by_path() -> None:
    async with serving(fake_services(FakeEngine())) as url, client(url) as http:
        await http.get("/made/up/path")
        await http.get("/v1/models/made-up")
        await http.post(CHAT, json=ASKED)
        text = (await http.get("/metrics")).text
    assert f'gemstead_requests_total{{finish_reason="stop",route="{CHAT}",status="200"}} 1.0' in text
    assert 'route="/v1/models/{name:path}",status="404"' in text
    assert "made" not in text


@pytest.mark.parametrize("is_stream", [True, False])
async def test_a_client_that_hangs_up_frees_the_engine_at_once(is_stream: bool) -> None:
    engine = FakeEngine(TextDelta("a"), asyncio.Event())
    async with serving(fake_services(engine)) as url:
        async with client(url) as http:
            call = asyncio.create_task(http.post(CHAT, json=ASKED | {"stream": is_stream}))
            await engine.has_given.wait()
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        async with asyncio.timeout(10):
            await engine.is_closed.wait()


async def test_a_client_that_does_not_read_stalls_the_engine_and_nobody_else() -> None:
    # Text without a short period: one that repeats itself would be cut as a loop.
    text = "".join(f"{number} " for number in range(1000))[:4096].ljust(4096, ".")
    engine = FakeEngine(TextDelta(text), is_endless=True)
    async with serving(fake_services(engine)) as url:
        host, port = url.removeprefix("http://").split(":")
        body = json.dumps(ASKED | {"stream": True}).encode()
        with socket.create_connection((host, int(port))) as deaf:
            head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            deaf.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            given = await settled(engine)
            # What the kernel holds for the socket on both sides, and 64 KiB of the server's own.
            assert 0 < given * 4096 < 16 * 1024 * 1024
            async with client(url) as http:
                assert (await http.get("/healthz")).status_code == 200
            assert engine.num_given == given
        async with asyncio.timeout(10):
            await engine.is_closed.wait()


async def settled(engine: FakeEngine) -> int:
    """How much was pulled when nothing more is."""
    async with asyncio.timeout(20):
        given = -1
        while given != engine.num_given:
            given = engine.num_given
            await asyncio.sleep(0.3)
    return given


async def test_a_server_told_to_stop_finishes_its_answers_and_takes_no_new_ones() -> None:
    gate = asyncio.Event()
    engine = FakeEngine(TextDelta("a"), gate, TextDelta("b"), Finish("stop"))
    stop = asyncio.Event()
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    app = build_api(fake_services(engine))
    server = asyncio.create_task(run_server(app, listener, stop=stop, on_started=lambda _port: None))
    async with client(f"http://127.0.0.1:{port}") as http:
        answer = asyncio.create_task(http.post(CHAT, json=ASKED))
        await engine.has_given.wait()
        stop.set()
        await refused(port)
        gate.set()
        assert (await answer).json()["choices"][0]["message"]["content"] == "ab"
    async with asyncio.timeout(15):
        await server


async def refused(port: int) -> None:
    """Returns when nobody listens any more."""
    async with asyncio.timeout(15):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.02)


async def test_a_server_cancelled_cuts_its_answers_and_frees_the_port() -> None:
    engine = FakeEngine(TextDelta("a"), asyncio.Event())
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    app = build_api(fake_services(engine))
    server = asyncio.create_task(run_server(app, listener, stop=asyncio.Event(), on_started=lambda _port: None))
    async with client(f"http://127.0.0.1:{port}") as http:
        answer = asyncio.create_task(http.post(CHAT, json=ASKED))
        await engine.has_given.wait()
        server.cancel()
        with pytest.raises(asyncio.CancelledError):
            await server
        assert (await answer).json()["error"]["code"] == "interrupted"
    assert engine.is_closed.is_set()
    listen("127.0.0.1", port).close()


async def test_a_port_in_use_is_said_to_be() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AlreadyRunning, match=f"port {port}") as caught:
            listen("127.0.0.1", port)
    assert "gemstead ps" in (caught.value.hint or "")


def test_an_address_of_another_machine_is_a_bad_setting() -> None:
    with pytest.raises(SettingInvalid, match=r"192\.0\.2\.1"):
        listen("192.0.2.1", 0)


async def test_closing_the_stream_early_is_a_cancelled_request_in_the_metrics() -> None:
    services = fake_services(engine := FakeEngine(TextDelta("a"), asyncio.Event()))
    async with serving(services) as url:
        async with client(url) as http, http.stream("POST", CHAT, json=ASKED | {"stream": True}) as response:
            await anext(lines(response))
        async with asyncio.timeout(10):
            await engine.is_closed.wait()
    assert 'finish_reason="cancelled"' in services.metrics.render().decode()
