"""Slow, silent and greedy clients on a real socket; TLS; pages of other sites."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from certificates import make_certificate
from door_fakes import FakeEngine, fake_exchange, fake_services
from gemstead.api.asgi import build_api
from gemstead.api.connections import ConnectionLimits
from gemstead.api.server import listen, run_server
from gemstead.api.services import Services
from gemstead.api.tls import load_tls
from gemstead.core.errors import SettingInvalid
from gemstead.core.types import Finish, TextDelta
from gemstead.pipeline.admission import Admission
from gemstead.settings.model import Settings

QUICK = ConnectionLimits(max_connections=4, max_head_bytes=2048, head_s=0.3, body_s=0.3, stall_s=0.5, linger_s=0.3)
"""Limits that a test can wait for."""


@asynccontextmanager
async def door(
    services: Services | None = None, limits: ConnectionLimits = QUICK, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    stop = asyncio.Event()
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    app = build_api(services or fake_services(FakeEngine()))
    serving = asyncio.create_task(
        run_server(
            app,
            listen("127.0.0.1", 0),
            stop=stop,
            on_started=started.set_result,
            drain_limit_s=1,
            tls=tls,
            limits=limits,
        )
    )
    try:
        yield await started
    finally:
        stop.set()
        await serving


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server closes; a connection that stays open fails the test."""
    async with asyncio.timeout(10):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


HEALTH = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"


async def test_a_head_that_trickles_is_ended_and_others_are_served_meanwhile() -> None:
    async with door() as port, connection(port) as (reader, writer), connection(port) as (other, to_other):
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n")

        async def trickle() -> None:
            while not writer.is_closing():
                writer.write(b"x-a: b\r\n")
                await asyncio.sleep(0.05)

        trickling = asyncio.create_task(trickle())
        to_other.write(HEALTH)
        assert b"200 OK" in await other.readline()
        assert b"408" in await all_of(reader)
        trickling.cancel()


async def test_a_connection_that_says_nothing_is_closed_without_a_word() -> None:
    async with door() as port, connection(port) as (reader, _writer):
        assert await all_of(reader) == b""


async def test_empty_lines_do_not_keep_a_used_connection() -> None:
    async with door() as port, connection(port) as (reader, writer):
        writer.write(HEALTH)
        assert b"200 OK" in await reader.readline()
        writer.write(b"\r\n")
        assert b"alive" in await all_of(reader)


async def test_a_head_without_end_is_refused_by_its_size() -> None:
    async with door() as port, connection(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n" + b"x-a: " + b"a" * 3000)
        assert b"431" in await all_of(reader)


async def test_a_large_body_behind_a_head_is_no_large_head() -> None:
    async with door() as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        body = {"model": "fake", "messages": [{"role": "user", "content": "x" * 100_000}]}
        for _ in range(3):
            async with session.post("/v1/chat/completions", json=body) as response:
                assert response.status == 200


async def test_a_refused_upload_still_hears_why() -> None:
    services = fake_services(FakeEngine(), max_body_bytes=1024)
    async with door(services) as port, connection(port) as (reader, writer):
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        writer.write(head + b"content-length: 1000000\r\n\r\n")
        writer.write(b"x" * 100_000)
        answer = await all_of(reader)
        assert b"413" in answer.splitlines()[0]
        assert b"431" not in answer


async def test_a_body_that_trickles_is_ended() -> None:
    services = fake_services(FakeEngine(), body_limit_s=0.3)
    async with door(services) as port, connection(port) as (reader, writer):
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n")
        writer.write(b"content-length: 100\r\n\r\n{")
        assert b"408" in (await reader.readline())
        await all_of(reader)


async def test_a_client_that_does_not_read_frees_its_engine_and_its_connection() -> None:
    engine = FakeEngine(TextDelta("x" * 4000), is_endless=True)
    services = fake_services(engine, stall_limit_s=0.3)
    async with door(services) as port, connection(port) as (_reader, writer):
        body = b'{"model":"fake","stream":true,"messages":[{"role":"user","content":"hi"}]}'
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        writer.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(10):
            await engine.is_closed.wait()
        await until_free(port)


async def until_free(port: int) -> None:
    """All four connections of the door can be had again."""
    async with asyncio.timeout(10):
        while True:
            try:
                async with connection(port) as a, connection(port) as b, connection(port) as c, connection(port) as d:
                    for _reader, writer in (a, b, c, d):
                        writer.write(HEALTH)
                    if all([b"200" in await reader.readline() for reader, _ in (a, b, c, d)]):
                        return
            except ConnectionError:
                pass
            await asyncio.sleep(0.05)


async def test_connections_beyond_the_limit_are_refused_and_freed_ones_are_not() -> None:
    limits = ConnectionLimits(max_connections=2)
    async with door(limits=limits) as port, connection(port), connection(port) as (reader, writer):
        writer.write(HEALTH)
        await reader.readline()
        async with connection(port) as (refused, _):
            assert b"503" in await all_of(refused)
        writer.close()
        async with asyncio.timeout(10):
            while True:
                async with connection(port) as (third, to_third):
                    to_third.write(HEALTH)
                    if b"200" in await third.readline():
                        return


def test_one_address_gets_half_of_the_connections_and_this_machine_all() -> None:
    limits = ConnectionLimits(max_connections=100)
    assert limits.max_per_address("192.0.2.1") == 50
    assert limits.max_per_address("127.0.0.1") == 100


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


async def test_with_a_certificate_the_door_speaks_tls_and_nothing_else(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    trusting = ssl.create_default_context(cafile=str(cert))
    trusting.check_hostname = False
    tls = load_tls(str(cert), str(key))
    async with (
        door(tls=tls) as port,
        aiohttp.ClientSession() as session,
        session.get(f"https://127.0.0.1:{port}/healthz", ssl=trusting) as response,
    ):
        assert response.status == 200
        assert "max-age" in response.headers["strict-transport-security"]
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"http://127.0.0.1:{port}/healthz")


async def test_a_handshake_that_never_ends_is_ended(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gemstead.api.server.HANDSHAKE_LIMIT_S", 0.3)
    cert, key = certificate
    async with door(tls=load_tls(str(cert), str(key))) as port, connection(port) as (reader, _writer):
        assert await all_of(reader) == b""


async def test_old_tls_is_not_spoken(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with door(tls=load_tls(str(cert), str(key))) as port:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=old)
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.2"
        writer.close()
    context = load_tls(str(cert), str(key))
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_certificate_alone_another_key_a_passphrase_and_an_open_key_are_refused(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    cert, key = certificate
    assert load_tls(None, None) is None
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    _, other_key = make_certificate(tmp_path / "a")
    locked_cert, locked_key = make_certificate(tmp_path / "b", b"passphrase")
    open_key = tmp_path / "open.pem"
    open_key.write_bytes(key.read_bytes())
    open_key.chmod(0o644)
    for pair in (
        (str(cert), None),
        (None, str(key)),
        (str(cert), str(other_key)),
        (str(locked_cert), str(locked_key)),
        (str(cert), str(open_key)),
        (str(tmp_path / "none.pem"), str(key)),
    ):
        with pytest.raises(SettingInvalid):
            load_tls(*pair)


PAGE = "https://chat.example.org"


async def test_a_page_of_a_named_origin_may_call_and_read_and_another_may_not() -> None:
    services = fake_services(FakeEngine(), origins=frozenset({PAGE}))
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    async with door(services) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        async with session.options("/v1/chat/completions", headers={"origin": PAGE, **asks}) as response:
            assert response.status == 200
            assert response.headers["access-control-allow-origin"] == PAGE
            assert response.headers["access-control-allow-headers"] == asks["access-control-request-headers"]
        async with session.get("/v1/models", headers={"origin": PAGE}) as response:
            assert response.headers["access-control-allow-origin"] == PAGE
            assert response.headers["vary"] == "origin"
        async with session.options("/v1/models", headers={"origin": "https://evil.example", **asks}) as response:
            assert response.status == 405
            assert "access-control-allow-origin" not in response.headers


async def test_every_answer_tells_browsers_to_do_nothing_with_it() -> None:
    async with door() as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        for path in ("/healthz", "/nothing", "/v1/models"):
            async with session.get(path) as response:
                assert response.headers["x-content-type-options"] == "nosniff"
                assert "default-src 'none'" in response.headers["content-security-policy"]
                assert response.headers["x-frame-options"] == "DENY"
                assert response.headers["cache-control"] == "no-store"


CHAT_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


async def test_fifty_megabytes_are_refused_with_the_settings_as_they_come_declared_or_in_chunks() -> None:
    services = fake_services(FakeEngine(), max_body_bytes=Settings().server.max_body_bytes)
    piece = b"x" * 1_000_000
    async with door(services, ConnectionLimits()) as port:
        async with connection(port) as (reader, writer):
            writer.write(CHAT_HEAD + b"content-length: 50000000\r\n\r\n")
            assert b" 413 " in await reader.readline()  # before anything of the body came
        async with connection(port) as (reader, writer):
            writer.write(CHAT_HEAD + b"transfer-encoding: chunked\r\n\r\n")
            answering = asyncio.create_task(reader.readline())
            for _ in range(50):
                if answering.done():
                    break
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
            async with asyncio.timeout(10):
                assert b" 413 " in await answering


@pytest.mark.parametrize("is_stream", [True, False])
async def test_who_hangs_up_frees_the_one_slot_for_the_next(is_stream: bool) -> None:
    engine = FakeEngine(TextDelta("x"), asyncio.Event())
    admission = Admission(max_running=1, max_waiting=0, wait_limit_s=1.0)
    exchange = fake_exchange(engine, admit=lambda _request: admission.place())
    body = json.dumps({"model": "fake", "stream": is_stream, "messages": [{"role": "user", "content": "hi"}]}).encode()
    request = CHAT_HEAD + b"content-length: %d\r\n\r\n" % len(body) + body
    async with door(fake_services(engine, chat=exchange.chat), ConnectionLimits()) as port:
        async with connection(port) as (_reader, writer):
            writer.write(request)
            async with asyncio.timeout(10):
                await engine.has_given.wait()
            async with connection(port) as (refused, to_refused):
                to_refused.write(request)
                assert b" 503 " in await refused.readline()
        async with asyncio.timeout(10):
            await engine.is_closed.wait()
        engine.events = (TextDelta("y"), Finish("stop"))
        async with connection(port) as (reader, writer):
            writer.write(request)
            assert b" 200 " in await reader.readline()
