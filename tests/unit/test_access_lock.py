"""Who gets in: keys, the local token, failures, and the same words in every dialect."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from door_fakes import FakeEngine, fake_services, serving
from gemstead.access.key_ring import KeyRing
from gemstead.access.key_store import KeyStore
from gemstead.access.keys import new_key
from gemstead.access.lock import LOCAL_USER, MAX_CREDENTIAL_CHARS, FailedAttempt, Lock
from gemstead.access.records import KeyFields
from gemstead.api.sign_in import credential_of
from gemstead.core.caller import Caller
from gemstead.core.errors import KeyInvalid, KeyMissing, TooManyFailures
from gemstead.store.database import open_database

PEPPER = b"p" * 32
ADDRESS = "192.0.2.7"
TOKEN = "local_token"


class Door:
    """A lock over a real database, whose clock a test sets."""

    def __init__(self, folder: Path) -> None:
        self.now_s = 1000.0
        self.attempts: list[FailedAttempt] = []
        database = open_database(folder / "gemstead.db")
        self.connections = [database.raw(), database.raw()]
        self.store = KeyStore(self.connections[0], lambda: PEPPER)
        self.ring = KeyRing(KeyStore(self.connections[1], lambda: b""), lambda: PEPPER, clock=lambda: self.now_s)
        self.lock = self.make_lock()

    def make_lock(self, **fields: Any) -> Lock:
        given = {"local_token": TOKEN, "on_failure": self.attempts.append, "clock": lambda: self.now_s}
        return Lock(self.ring, **(given | fields))  # type: ignore[arg-type]

    def key(self, **fields: Any) -> str:
        self.now_s += 1.0
        return self.store.create(KeyFields(**({"name": "k"} | fields)), now_s=self.now_s, created_by="me")[0].text

    async def refusal(self, credential: str | None, address: str = ADDRESS) -> KeyInvalid | KeyMissing:
        with pytest.raises((KeyInvalid, KeyMissing)) as caught:
            await self.lock.identify(credential, address)
        assert not credential or credential not in f"{caught.value.what} {caught.value.hint}"
        return caught.value


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = Door(tmp_path)
    yield door
    for connection in door.connections:
        connection.close()


def test_a_door_is_open_until_the_first_key_and_then_never_again(door: Door) -> None:
    assert not door.lock.is_required()
    key_id = door.key().split("_")[1]
    assert door.lock.is_required()
    door.store.revoke(key_id, now_s=door.now_s)
    door.now_s += 1.0
    assert door.lock.is_required()


def test_the_operator_may_lock_a_door_without_keys_and_open_one_with(door: Door) -> None:
    assert door.make_lock(is_forced=True).is_required()
    door.key()
    assert not door.make_lock(is_forced=False).is_required()


async def test_a_key_opens_the_door_for_its_owner(door: Door) -> None:
    text = door.key(owner="ada", groups=("staff",))
    caller = await door.lock.identify(text, ADDRESS)
    assert (caller.owner, caller.groups, caller.scopes) == ("ada", ("staff",), {"use"})
    assert door.ring.take_uses() == {caller.key_id: door.now_s}
    assert door.attempts == []


async def test_a_wrong_secret_and_an_unknown_id_are_told_in_the_same_words(door: Door) -> None:
    good = door.key()
    stranger = new_key().text
    body = f"gk_{good.split('_')[1]}_{stranger.split('_')[2]}"
    from gemstead.access.keys import checksum

    wrong, unknown = await door.refusal(f"{body}_{checksum(body)}"), await door.refusal(stranger)
    assert (wrong.what, wrong.hint, wrong.code) == (unknown.what, unknown.hint, unknown.code)
    assert [attempt.reason for attempt in door.attempts] == ["unknown", "unknown"]
    assert [attempt.key_id for attempt in door.attempts] == [None, None]


async def test_an_ended_key_says_so_to_who_holds_it_and_is_recorded_by_its_id(door: Door) -> None:
    text = door.key(expires_at_s=door.now_s + 10.0)
    revoked = door.key()
    door.store.revoke(revoked.split("_")[1], now_s=door.now_s)
    door.now_s += 100.0
    assert "is expired" in (await door.refusal(text)).what
    assert "is revoked" in (await door.refusal(revoked)).what
    assert [attempt.reason for attempt in door.attempts] == ["expired", "revoked"]
    assert [attempt.key_id for attempt in door.attempts] == [text.split("_")[1], revoked.split("_")[1]]


@pytest.mark.parametrize(
    ("credential", "reason"),
    [
        (None, "missing"),
        ("", "malformed"),
        ("sk-something", "malformed"),
        ("gk_short", "malformed"),
        ("gk_\u00e9", "malformed"),
        ("x" * (MAX_CREDENTIAL_CHARS + 1), "malformed"),
        ("eyJhbGciOiJub25lIn0.e30.", "malformed"),
        ("local_tokem", "malformed"),
    ],
)
async def test_what_is_no_key_is_refused_and_counted(door: Door, credential: str | None, reason: str) -> None:
    door.key()
    await door.refusal(credential)
    (attempt,) = door.attempts
    assert (attempt.reason, attempt.network) == (reason, "192.0.2.0/24")


async def test_the_command_line_of_the_same_user_gets_in_by_its_token(door: Door) -> None:
    door.key()
    assert await door.lock.identify(TOKEN, "127.0.0.1") == LOCAL_USER
    door.lock = door.make_lock(local_token=None)
    await door.refusal(TOKEN)


async def test_failures_are_limited_and_a_valid_key_from_the_same_address_still_gets_in(door: Door) -> None:
    good = door.key()
    for _ in range(10):
        await door.refusal(None)
    with pytest.raises(TooManyFailures) as caught:
        await door.lock.identify(new_key().text, ADDRESS)
    assert (caught.value.retry_after_s or 0) > 0
    assert door.attempts[-1].reason == "limited"
    assert (await door.lock.identify(good, ADDRESS)).key_id == good.split("_")[1]
    await door.refusal(None, "192.0.2.8")
    door.now_s += caught.value.retry_after_s or 0
    await door.refusal(None)


class CountedTokens:
    """Knows one token, and counts how often it had to look."""

    num_checks = 0

    def known(self, token: str) -> Caller | None:
        return Caller(key_id="oidc_known") if token == "known" else None

    async def check(self, token: str) -> Caller:  # noqa: ARG002
        self.num_checks += 1
        raise KeyInvalid("the token is not valid", reason="token_signature")


async def test_an_address_that_fails_too_often_makes_nobody_check_signatures(door: Door) -> None:
    tokens = CountedTokens()
    door.lock = door.make_lock(tokens=tokens)
    assert door.lock.is_required()
    for _ in range(10):
        await door.refusal("a.b.c")
    for _ in range(10):
        with pytest.raises(TooManyFailures):
            await door.lock.identify("a.b.c", ADDRESS)
    assert tokens.num_checks == 10
    assert (await door.lock.identify("known", ADDRESS)).key_id == "oidc_known"


@pytest.mark.parametrize(
    ("headers", "credential"),
    [
        ([], None),
        ([(b"authorization", b"Bearer abc")], "abc"),
        ([(b"authorization", b"bearer  abc ")], "abc"),
        ([(b"authorization", b"Basic abc")], None),
        ([(b"authorization", b"Bearer ")], None),
        ([(b"authorization", b"Bearer")], None),
        ([(b"x-api-key", b"abc")], "abc"),
        ([(b"api-key", b"abc")], "abc"),
        ([(b"x-api-key", b""), (b"api-key", b"abc")], "abc"),
        ([(b"x-api-key", b"abc"), (b"authorization", b"Bearer xyz")], "xyz"),
        ([(b"cookie", b"abc")], None),
    ],
)
def test_the_credential_is_read_from_where_each_dialect_puts_it(
    headers: list[tuple[bytes, bytes]], credential: str | None
) -> None:
    assert credential_of(headers) == credential


@asynccontextmanager
async def session(door: Door, engine: FakeEngine | None = None, **fields: Any) -> AsyncIterator[aiohttp.ClientSession]:
    services = fake_services(engine or FakeEngine(), sign_in=door.lock, **fields)
    async with serving(services) as url, aiohttp.ClientSession(url) as client:
        yield client


CHAT = {"model": "fake", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


async def test_without_keys_everything_is_as_it_was(door: Door) -> None:
    async with session(door) as client, client.post("/v1/chat/completions", json=CHAT) as response:
        assert response.status == 200


async def test_with_a_key_made_every_route_but_the_probes_needs_one(door: Door) -> None:
    text = door.key(scopes=("use", "metrics", "admin"))
    async with session(door) as client:
        for path in ("/", "/v1/models", "/metrics", "/openapi.json", "/api/tags", "/api/version", "/nothing"):
            async with client.get(path) as response:
                assert response.status in (401, 429), path
        for path in ("/v1/models", "/metrics", "/openapi.json", "/api/version"):
            async with client.get(path, headers=bearer(text)) as response:
                assert response.status == 200, path
        for path in ("/healthz", "/readyz"):
            async with client.get(path) as response:
                assert response.status == 200, path


async def test_a_probe_without_a_key_learns_whether_and_not_what(door: Door) -> None:
    text = door.key()
    async with session(door) as client:
        async with client.get("/readyz") as response:
            assert await response.json() == {"is_ready": True, "reason": None, "engines": []}
        async with client.get("/readyz", headers=bearer(text)) as response:
            assert (await response.json())["engines"][0]["model"] == "fake"


async def test_a_refusal_is_in_the_words_of_the_dialect_and_says_how_to_sign_in(door: Door) -> None:
    door.key()
    async with session(door) as client:
        async with client.post("/v1/chat/completions", json=CHAT) as response:
            assert response.status == 401
            assert response.headers["www-authenticate"] == 'Bearer realm="gemstead"'
            error = (await response.json())["error"]
            assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
        headers = {"anthropic-version": "2023-06-01", "x-api-key": "sk-ant-nothing"}
        async with client.post("/v1/messages", json=CHAT, headers=headers) as response:
            assert response.status == 401
            assert 'error="invalid_token"' in response.headers["www-authenticate"]
            assert (await response.json())["error"]["type"] == "authentication_error"
        async with client.post("/api/chat", json=CHAT, headers=bearer("nothing")) as response:
            assert response.status == 401
            body = await response.json()
            assert isinstance(body["error"], str)
            assert body["code"] == "key_invalid"


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key"])
async def test_a_key_is_taken_in_every_header(door: Door, header: str) -> None:
    text = door.key()
    value = f"Bearer {text}" if header == "authorization" else text
    async with (
        session(door) as client,
        client.post("/v1/chat/completions", json=CHAT, headers={header: value}) as response,
    ):
        assert response.status == 200


async def test_admin_is_separate_from_use(door: Door) -> None:
    user, admin, watcher = door.key(), door.key(scopes=("admin",)), door.key(scopes=("metrics",))
    posts = (("/v1/chat/completions", CHAT), ("/v1/embeddings", {"model": "fake", "input": "x"}))
    changes = (("/api/pull", {"model": "x"}), ("/api/create", {"model": "x", "from": "y"}))
    async with session(door) as client:
        for path, body in posts:
            for text, status in ((user, 200), (admin, 403), (watcher, 403)):
                async with client.post(path, json=body, headers=bearer(text)) as response:
                    assert response.status == status, (path, status)
        for path, body in (*changes, ("/api/copy", {"source": "x", "destination": "y"})):
            for text, status in ((user, 403), (watcher, 403), (admin, 503)):  # 503: this door has no desk
                async with client.post(path, json=body, headers=bearer(text)) as response:
                    assert response.status == status, (path, status)
        async with client.delete("/api/delete", json={"model": "x"}, headers=bearer(user)) as response:
            assert response.status == 403
        for text, status in ((user, 403), (watcher, 200), (admin, 200)):
            async with client.get("/metrics", headers=bearer(text)) as response:
                assert response.status == status


async def test_the_request_carries_who_asked_and_from_where(door: Door) -> None:
    text, engine = door.key(owner="ada"), FakeEngine()
    body = {**CHAT, "origin": {"caller": {"owner": "eve"}}}
    async with session(door, engine) as client:
        headers = {**bearer(text), "x-request-id": "r-1"}
        async with client.post("/api/chat", json={**CHAT, "stream": False}, headers=headers) as response:
            assert response.status == 200
        async with client.post("/v1/chat/completions", json=body, headers=headers) as response:
            assert response.status in (200, 400)
    origin = engine.requests[0].origin
    assert (origin.caller.owner, origin.caller.key_id) == ("ada", text.split("_")[1])
    assert (origin.request_id, origin.dialect, origin.address) == ("r-1", "ollama", "127.0.0.1")
    assert all(request.origin.caller.owner == "ada" for request in engine.requests)


async def test_a_revoked_key_is_out_at_the_next_look(door: Door) -> None:
    text = door.key()
    async with session(door) as client:
        async with client.get("/v1/models", headers=bearer(text)) as response:
            assert response.status == 200
        door.store.revoke(text.split("_")[1], now_s=door.now_s)
        door.now_s += 1.0
        async with client.get("/v1/models", headers=bearer(text)) as response:
            assert response.status == 401


async def test_kept_responses_are_seen_by_the_key_they_were_made_with_alone(door: Door) -> None:
    from gemstead.api.conversations import Conversations

    mine, other = door.key(), door.key()
    async with session(door, conversations=Conversations(10, 10**6, 60.0)) as client:
        asked = {"model": "fake", "input": "hi"}
        async with client.post("/v1/responses", json=asked, headers=bearer(mine)) as response:
            response_id = (await response.json())["id"]
        for text, status in ((mine, 200), (other, 404)):
            async with client.get(f"/v1/responses/{response_id}", headers=bearer(text)) as response:
                assert response.status == status


async def test_no_key_is_in_the_log(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    text = door.key()
    engine = FakeEngine(ValueError("a bug"))
    async with session(door, engine) as client:
        for key in (text, new_key().text):
            async with client.post("/v1/chat/completions", json=CHAT, headers=bearer(key)) as response:
                assert response.status in (401, 500)
                assert key not in await response.text()
                assert key.split("_")[2] not in caplog.text
