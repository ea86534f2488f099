"""The admin API over a real socket and a real data folder: who gets in, what is asked and changed."""

from __future__ import annotations

import asyncio
import io
import json
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import jsonschema_rs
import pytest

from gemstead.access.fair_queue import FairQueue
from gemstead.access.key_ring import KeyRing
from gemstead.access.key_store import KeyStore
from gemstead.access.limit_store import PolicyVersions, SqliteLimits
from gemstead.access.limit_values import NO_LIMITS
from gemstead.access.limits import LimitKeeper
from gemstead.access.lock import Lock
from gemstead.access.pepper import read_pepper
from gemstead.access.policy_watch import PolicyWatch
from gemstead.access.records import KeyFields, Scope
from gemstead.api.admin.listen import admin_listener, host_of_listen
from gemstead.api.admin.openapi import document
from gemstead.api.admin.routes import ROOT, ROUTES
from gemstead.api.desk import StoredModel
from gemstead.api.readiness import EngineStatus
from gemstead.app.admin import check_admin, opened_admin
from gemstead.app.door_lock import pepper_path
from gemstead.app.governance import Governance
from gemstead.app.keys import key_store
from gemstead.core.errors import AlreadyRunning, PolicyRefused, SettingInvalid
from gemstead.pipeline.govern import Governed, KeyTerms
from gemstead.settings.load import Loaded, load_settings
from gemstead.store.database import open_database
from policy_makers import caller, query

POLICY = 'version = 1\n[[rules]]\nid = "all"\neffect = "allow"\nlimits = { tokens_per_day = 1000 }\n'


class FakeGateway:
    """What the desk asks of a gateway: no engine, and one model."""

    desk: Any

    def __init__(self) -> None:
        async def list_models() -> tuple[StoredModel, ...]:
            return (StoredModel("fake", "0" * 64, 10, "2026-11-24T00:00:00Z", "gguf"),)

        self.desk = SimpleNamespace(list_models=list_models)

    def statuses(self) -> tuple[EngineStatus, ...]:
        return (EngineStatus("fake", "fake engine", "ready"),)


class Place:
    """A data folder with keys, and what a server would have opened of it."""

    def __init__(self, folder: Path, **admin: str) -> None:
        self.folder = folder
        (folder / "policy.toml").write_text(POLICY)
        environ = {"GEMSTEAD_DATA_DIR": str(folder), "GEMSTEAD_EVIDENCE_IS_ON": "off"}
        environ |= {f"GEMSTEAD_{name.upper()}": value for name, value in admin.items()}
        self.loaded: Loaded = load_settings(environ=environ)

    def make_key(self, *scopes: Scope) -> str:
        with key_store(self.loaded) as store:
            made, _record = store.create(KeyFields(name="-".join(scopes), scopes=scopes), now_s=1.0, created_by="test")
        return made.text

    @contextmanager
    def governance(self) -> Iterator[tuple[Governance, Lock]]:
        database = open_database(self.loaded.paths.database)
        connections = [database.raw(), database.raw()]
        store = SqliteLimits(database)
        ring = KeyRing(KeyStore(connections[0], lambda: b""), lambda: read_pepper(pepper_path(self.loaded.paths), None))
        versions = PolicyVersions(connections[1])
        watch = PolicyWatch(self.folder / "policy.toml", keep=lambda text: versions.note(text, "f", 1.0))
        watch.start()
        keeper = LimitKeeper(store)

        async def count(_request: Any) -> int:
            return 5

        governed = Governed(
            watch.current,
            keeper,
            FairQueue(4, 4, 1.0),
            count_tokens=count,
            context_length=4096,
            terms=KeyTerms(ring.quota, ring.labels),
        )
        try:
            yield Governance(governed, watch, keeper), Lock(ring, is_forced=False, local_token="local_t")
        finally:
            store.close()
            for connection in connections:
                connection.close()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[tuple[str, Governance]]:
        gateway: Any = FakeGateway()
        with self.governance() as (governance, lock):
            async with opened_admin(self.loaded, gateway, governance, lock, "http://127.0.0.1:1") as where:
                yield where, governance


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, admin_listen="127.0.0.1:0")


@asynccontextmanager
async def client(where: str, key: str | None) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    connector = aiohttp.UnixConnector(where.removeprefix("unix:")) if where.startswith("unix:") else None
    base = "http://localhost" if connector else where
    async with aiohttp.ClientSession(base, headers=headers, connector=connector) as session:
        yield session


async def call(where: str, key: str | None, method: str, path: str, **fields: Any) -> tuple[int, Any]:
    async with client(where, key) as session, session.request(method, ROOT + path, **fields) as response:
        return response.status, await response.json()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_no_route_answers_without_a_key_or_with_one_for_models(place: Place, route: Any) -> None:
    use, metrics = place.make_key("use"), place.make_key("metrics")
    path = route.path.replace("{key_id}", use.split("_")[1]).replace("{position}", "0")
    async with place.serving() as (where, _):
        assert (await call(where, None, route.method, path))[0] == 401
        assert (await call(where, "gk_wrong", route.method, path))[0] == 401
        for key in (use, metrics):
            status, body = await call(where, key, route.method, path)
            assert (status, body["error"]["code"]) == (403, "scope_missing")


async def test_before_there_is_any_key_nobody_gets_in_but_this_users_own_command_line(place: Place) -> None:
    async with place.serving() as (where, _):
        assert (await call(where, None, "GET", "/keys"))[0] == 401
        assert (await call(where, "local_t", "GET", "/keys")) == (200, {"keys": []})


async def test_a_key_is_made_shown_rotated_and_revoked(place: Place) -> None:
    admin = place.make_key("admin")
    async with place.serving() as (where, _):
        asked = {"name": "app", "groups": ["staff"], "quota": {"tokens_per_day": 5}, "expires": "1d"}
        status, made = await call(where, admin, "POST", "/keys", json=asked)
        assert status == 200
        key_id = made["record"]["id"]
        assert made["key"].startswith(f"gk_{key_id}_")
        assert made["record"]["created_by"] == admin.split("_")[1]
        _, shown = await call(where, admin, "GET", f"/keys/{key_id}")
        assert (shown["quota"], shown["scopes"], shown["state"]) == ({"tokens_per_day": 5}, ["use"], "active")
        assert made["key"] not in json.dumps(shown)
        _, rotated = await call(where, admin, "POST", f"/keys/{key_id}/rotate", json={"overlap": "1h"})
        assert rotated["record"]["rotated_from"] == key_id
        _, revoked = await call(where, admin, "POST", f"/keys/{key_id}/revoke")
        assert revoked["state"] == "revoked"
        _, active = await call(where, admin, "GET", "/keys")
        _, every = await call(where, admin, "GET", "/keys?all=true")
        assert len(every["keys"]) == len(active["keys"]) + 1
        with key_store(place.loaded) as store:
            assert store.find(key_id).revoked_at_s is not None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/keys", {"name": "a", "scope": ["use"]}),
        ("/keys", {"name": "a", "quota": {"tokens_per_year": 5}}),
        ("/keys", {"name": "a", "expires": "soon"}),
        ("/keys", {"name": "a\nb"}),
        ("/keys", {"name": "a", "scopes": ["root"]}),
        ("/keys", {}),
        ("/policy/explain", {"model": "m" * 300}),
    ],
)
async def test_what_is_malformed_is_refused_and_nothing_is_made(place: Place, path: str, body: Any) -> None:
    admin = place.make_key("admin")
    async with place.serving() as (where, _):
        status, answer = await call(where, admin, "POST", path, json=body)
        assert status in (400, 404)
        assert answer["error"]["message"]
        assert len((await call(where, admin, "GET", "/keys?all=true"))[1]["keys"]) == 1


async def test_a_mistyped_filter_and_an_unknown_key_path_and_method_are_told(place: Place) -> None:
    admin = place.make_key("admin")
    async with place.serving() as (where, _):
        assert (await call(where, admin, "GET", "/keys?every=true"))[0] == 400
        assert (await call(where, admin, "GET", "/sign-in-failures?since=x"))[0] == 400
        assert (await call(where, admin, "GET", "/keys/nobody"))[0] == 404
        assert (await call(where, admin, "GET", "/nothing"))[0] == 404
        assert (await call(where, admin, "DELETE", "/keys"))[0] == 405
        assert (await call(where, admin, "POST", "/keys", data=b"name=a"))[0] == 415


async def test_the_policy_is_shown_checked_explained_and_reloaded_and_a_broken_one_refused(place: Place) -> None:
    admin = place.make_key("admin")
    async with place.serving() as (where, _):
        _, before = await call(where, admin, "GET", "/policy")
        assert before["rules"][0]["id"] == "all"
        _, bad = await call(where, admin, "POST", "/policy/check", json={"text": "version = "})
        _, good = await call(where, admin, "POST", "/policy/check", json={"text": POLICY})
        assert bad["problem"]
        assert (good["problem"], good["sha256"]) == (None, before["sha256"])
        _, answer = await call(where, admin, "POST", "/policy/explain", json={"model": "m", "groups": ["x"]})
        assert (answer["is_allowed"], answer["rule_ids"]) == (True, ["all"])
        assert answer["limits"] == [{"name": "tokens_per_day", "value": 1000, "per": "key", "rule_id": "all"}]
        assert (await call(where, admin, "POST", "/policy/reload"))[1]["result"] == "unchanged"
        (place.folder / "policy.toml").write_text("version = ")
        _, refused = await call(where, admin, "POST", "/policy/reload")
        assert (refused["result"], refused["sha256"]) == ("refused", before["sha256"])
        assert refused["why"]
        (place.folder / "policy.toml").write_text(POLICY + "# changed\n")
        _, applied = await call(where, admin, "POST", "/policy/reload")
        assert applied["result"] == "applied"
        _, versions = await call(where, admin, "GET", "/policy/versions")
        assert [one["sha256"] for one in versions["versions"]] == [before["sha256"], applied["sha256"]]


async def test_what_is_spent_is_shown_by_key_with_what_is_left(place: Place) -> None:
    admin = place.make_key("admin")
    async with place.serving() as (where, governance):
        decision = governance.watch.current().decide(query())
        claim = governance.keeper.claim(decision, NO_LIMITS, caller("k1"), "fake")
        governance.keeper.settle(await governance.keeper.reserve(claim, 400), 100)
        _, usage = await call(where, admin, "GET", "/limits?key=k1")
        (one,) = usage["usage"]
        assert (one["rule_id"], one["subject"], one["name"]) == ("all", "key/k1", "tokens_per_day")
        assert (one["spent"], one["limit"], one["remaining"]) == (100, 1000, 900)
        assert (await call(where, admin, "GET", "/limits?key=other"))[1] == {"usage": []}


async def test_the_server_the_models_and_failed_sign_ins_are_shown(place: Place) -> None:
    admin = place.make_key("admin")
    async with place.serving() as (where, governance):
        _, server = await call(where, admin, "GET", "/server")
        assert server["engines"][0]["state"] == "ready"
        assert server["num_active_keys"] == 1
        assert server["policy_sha256"] == governance.watch.current().sha256
        assert (await call(where, admin, "GET", "/models"))[1]["models"][0]["name"] == "fake"
        assert (await call(where, admin, "GET", "/sign-in-failures"))[1] == {"failures": []}


async def test_another_host_and_pages_of_other_sites_are_refused_before_the_key_is_looked_at(place: Place) -> None:
    admin = place.make_key("admin")
    async with place.serving() as (where, _):
        for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
            status, body = await call(where, admin, "GET", "/keys", headers=headers)
            assert (status, body["error"]["code"]) == (403, "host_refused")


async def test_a_large_body_is_refused(place: Place) -> None:
    admin = place.make_key("admin")
    large: Any = {"data": io.BytesIO(b"x" * 3_000_000), "headers": {"content-type": "application/json"}}
    async with place.serving() as (where, _):
        status, _body = await call(where, admin, "POST", "/policy/check", **large)
        assert status == 413


async def test_a_socket_is_for_its_user_alone_and_gone_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    place = Place(tmp_path, admin_listen=f"unix:{path}")
    admin, use = place.make_key("admin"), place.make_key("use")
    async with place.serving() as (where, _):
        assert where == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (await call(where, admin, "GET", "/server"))[0] == 200
        assert (await call(where, use, "GET", "/server"))[0] == 403
        assert (await call(where, None, "GET", "/server"))[0] == 401
        with pytest.raises(AlreadyRunning), admin_listener(where):
            pass
    assert not path.exists()


def test_what_a_killed_server_left_is_taken_away_and_what_is_no_socket_is_not(tmp_path: Path) -> None:
    import socket

    left = tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(left))
    with admin_listener(f"unix:{left}") as listener:
        assert listener.getsockname() == str(left)
    other = tmp_path / "file"
    other.write_text("precious")
    for where in (f"unix:{other}", f"unix:{tmp_path}/{'x' * 200}", "nowhere"):
        with pytest.raises(SettingInvalid), admin_listener(where):
            pass
    assert other.read_text() == "precious"


def test_where_it_may_listen(tmp_path: Path) -> None:
    assert host_of_listen("[::1]:8485") == "::1"
    assert host_of_listen("unix:/run/x") is None
    check_admin(Place(tmp_path, admin_listen="unix:/run/x").loaded)
    check_admin(Place(tmp_path).loaded)
    with pytest.raises(PolicyRefused, match="refused"):
        check_admin(Place(tmp_path, admin_listen="0.0.0.0:8485").loaded)
    with pytest.raises(SettingInvalid):
        Place(tmp_path, admin_listen="8485")


async def test_off_is_off(tmp_path: Path) -> None:
    async with Place(tmp_path).serving() as (where, _):
        assert where == ""


async def test_the_document_is_served_to_admins_and_says_every_route(place: Place) -> None:
    admin = place.make_key("admin")
    async with (
        place.serving() as (where, _),
        client(where, admin) as session,
        session.get("/openapi.json") as response,
    ):
        served = await response.json()
    assert served == json.loads(json.dumps(document()))
    assert {(path, method.upper()) for path, methods in served["paths"].items() for method in methods} == {
        (ROOT + route.path, route.method) for route in ROUTES
    }
    for name, schema in served["components"]["schemas"].items():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        assert schema.get("title") or schema.get("enum"), name


async def test_two_changes_at_once_are_both_made(place: Place) -> None:
    admin = place.make_key("admin")
    async with place.serving() as (where, _):
        made = await asyncio.gather(
            *[call(where, admin, "POST", "/keys", json={"name": f"k{number}"}) for number in range(8)]
        )
        assert [status for status, _ in made] == [200] * 8
        assert len({body["record"]["id"] for _, body in made}) == 8


async def test_evidence_is_read_in_order_and_sealed_on_demand_and_who_asked_for_what_is_in_it(tmp_path: Path) -> None:
    place = Place(tmp_path, admin_listen="127.0.0.1:0", evidence_is_on="on")
    admin = place.make_key("admin")
    async with place.serving() as (where, _):
        _, made = await call(where, admin, "POST", "/keys", json={"name": "app"})
        key_id = made["record"]["id"]
        await call(where, admin, "POST", f"/keys/{key_id}/revoke")
        _, listed = await call(where, admin, "GET", "/evidence/records")
        kinds = [one["record"]["kind"] for one in listed["records"]]
        assert kinds[:2] == ["evidence.begun", "key.created"]
        assert kinds[-2:] == ["key.revoked", "admin.key_revoked"]
        last = listed["records"][-1]
        assert (last["record"]["by"], last["record"]["key"]) == (admin.split("_")[1], key_id)
        assert (await call(where, admin, "GET", f"/evidence/records/{last['position']}"))[1] == last
        _, rest = await call(where, admin, "GET", f"/evidence/records?after={last['position'] - 1}&limit=5")
        assert rest["records"] == [last]
        _, revoked = await call(where, admin, "GET", "/evidence/records?kind=key.revoked")
        assert [one["record"]["kind"] for one in revoked["records"]] == ["key.revoked"]
        status, sealed = await call(where, admin, "POST", "/evidence/checkpoint")
        assert status == 200
        _, state = await call(where, admin, "GET", "/evidence")
        assert (state["is_on"], state["checkpoint"]["note"]) == (True, sealed["note"])
        assert (await call(where, admin, "GET", "/evidence/records/999999"))[0] == 404
        assert (await call(where, admin, "GET", "/evidence/records?after=x"))[0] == 400


async def test_where_no_evidence_is_kept_none_is_made_by_asking(place: Place) -> None:
    admin = place.make_key("admin")
    async with place.serving() as (where, _):
        _, state = await call(where, admin, "GET", "/evidence")
        assert (state["num_records"], state["checkpoint"]) == (0, None)
        assert (await call(where, admin, "GET", "/evidence/records"))[1] == {"records": []}
        assert (await call(where, admin, "POST", "/evidence/checkpoint"))[0] == 503
        assert not place.loaded.paths.evidence.exists()
