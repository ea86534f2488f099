"""The admin API beside the door: one server process, two ports, and the command line on the same data."""

from __future__ import annotations

import json
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_runner import Cli

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("journey")]

ASK = {"model": "smollm2:135m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory, llama_server: Path, smollm2: Path) -> Iterator[Cli]:
    cli = Cli(tmp_path_factory.mktemp("data"), llama_server, GEMSTEAD_ADMIN_LISTEN="127.0.0.1:0")
    cli.environ["GEMSTEAD_ADMIN_LISTEN"] = "127.0.0.1:0"
    cli("models", "import", str(smollm2), "--name", "smollm2:135m", "--how", "link")
    yield cli
    cli("stop", "--all", "--now")


def call(url: str, key: str | None, body: Any = None) -> tuple[int, Any]:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return int(response.status), json.load(response)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, json.load(exc)


def soon(url: str, key: str, body: Any, wanted: int) -> None:
    deadline = time.monotonic() + 20.0
    while call(url, key, body)[0] != wanted:
        assert time.monotonic() < deadline, f"no {wanted} in time"
        time.sleep(0.05)


def test_a_key_made_over_the_admin_port_opens_the_door_and_a_revoked_one_does_not(cli: Cli) -> None:
    ops = cli("keys", "create", "--name", "ops", "--scopes", "admin").stdout.strip()
    started = cli.json("up", "--model", "smollm2:135m", "--port", "0")
    door, admin = started["url"], started["record"]["admin"] + "/admin/v1"
    assert call(f"{admin}/keys", None)[0] == 401
    status, made = call(f"{admin}/keys", ops, {"name": "app", "quota": {"tokens_per_day": 5000}})
    assert status == 200
    chat = f"{door}/chat/completions"
    soon(chat, made["key"], ASK, 200)
    assert call(f"{admin}/keys", made["key"])[0] == 403
    assert call(chat, ops, ASK)[0] == 403
    key_id = made["record"]["id"]
    _, usage = call(f"{admin}/limits?key={key_id}", ops)
    assert [one["name"] for one in usage["usage"]] == ["tokens_per_day"]
    assert 0 < usage["usage"][0]["spent"] < 200
    assert {key["name"] for key in cli.json("keys", "list")["items"]} >= {"ops", "app"}
    call(f"{admin}/keys/{key_id}/revoke", ops, {})
    soon(chat, made["key"], ASK, 401)
    root = door.removesuffix("/v1")
    assert call(f"{root}/admin/v1/keys", ops)[0] == 404
    assert call(f"{root}/admin/v1/keys", None)[0] == 401
    assert call(f"{started['record']['admin']}/v1/models", ops)[0] == 404
    cli("stop", "--all")


def test_a_socket_serves_its_user_and_is_gone_with_the_server(cli: Cli, tmp_path: Path) -> None:
    import http.client
    import socket

    path = tmp_path / "admin.sock"
    cli.environ["GEMSTEAD_ADMIN_LISTEN"] = f"unix:{path}"
    ops = cli("keys", "create", "--name", "ops2", "--scopes", "admin").stdout.strip()
    cli("up", "--model", "smollm2:135m", "--port", "0")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    class Connection(http.client.HTTPConnection):
        def connect(self) -> None:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(str(path))

    connection = Connection("localhost")
    connection.request("GET", "/admin/v1/server", headers={"authorization": f"Bearer {ops}"})
    response = connection.getresponse()
    assert (response.status, json.load(response)["engines"][0]["state"]) == (200, "ready")
    connection.close()
    cli("stop", "--all")
    assert not path.exists()


def test_beyond_loopback_it_needs_tls(cli: Cli) -> None:
    refused = cli("serve", "--model", "smollm2:135m", "--port", "0", status=5, GEMSTEAD_ADMIN_LISTEN="0.0.0.0:0")
    assert "plain text" in refused.stderr
