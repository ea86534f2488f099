"""Keys as an operator uses them: the command line and a running server, each in a process of its own."""

from __future__ import annotations

import json
import ssl
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from certificates import make_certificate
from cli_runner import Cli

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("journey")]

ASK = {"model": "smollm2:135m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory, llama_server: Path, smollm2: Path) -> Iterator[Cli]:
    cli = Cli(tmp_path_factory.mktemp("data"), llama_server)
    cli("models", "import", str(smollm2), "--name", "smollm2:135m", "--how", "link")
    yield cli
    cli("stop", "--all", "--now")


@pytest.fixture(scope="module")
def server(cli: Cli) -> dict[str, Any]:
    """Started before there is any key."""
    return cli.json("up", "--model", "smollm2:135m", "--port", "0")


def status(url: str, key: str | None = None, tls: ssl.SSLContext | None = None, path: str = "chat/completions") -> int:
    body = json.dumps(ASK).encode() if path == "chat/completions" else None
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(f"{url}/{path}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60, context=tls) as response:
            return int(response.status)
    except urllib.error.HTTPError as exc:
        exc.close()
        return exc.code


def soon(url: str, key: str | None, wanted: int) -> None:
    """The server answers that within a second."""
    deadline = time.monotonic() + 1.0
    while status(url, key, path="models") != wanted:
        assert time.monotonic() < deadline, f"no {wanted} within a second"


def test_from_the_first_key_on_a_running_server_asks_for_one_and_a_revoked_one_is_out_within_a_second(
    cli: Cli, server: dict[str, Any]
) -> None:
    url = server["url"]
    assert status(url) == 200
    key = cli("keys", "create", "--name", "laptop").stdout.strip()
    soon(url, None, 401)
    assert status(url, key) == 200
    new = cli("keys", "rotate", "laptop", "--overlap", "1h").stdout.strip()
    soon(url, new, 200)
    assert status(url, key) == 200
    cli("keys", "revoke", key.split("_")[1])
    soon(url, key, 401)
    assert status(url, new) == 200
    (listed,) = cli.json("keys", "list")["items"]
    assert listed["id"] == new.split("_")[1]


def test_the_command_line_of_the_same_user_needs_no_key(cli: Cli, server: dict[str, Any]) -> None:
    cli("keys", "create", "--name", "another", "--to", str(cli.data / "another.key"))
    soon(server["url"], None, 401)
    done = cli("run", "--model", "smollm2:135m", "--max-tokens", "4", "Hello")
    assert done.stdout.strip()
    assert cli.json("ps")["items"][0]["state"] == "ready"
    assert not cli.json("up", "--model", "smollm2:135m", "--port", str(server["record"]["port"]))["is_new"]
    load = cli.json("bench", "load", "--model", "smollm2:135m", "--duration", "1", "--answer-tokens", "4")
    assert (load["levels"][0]["failures"], load["levels"][0]["num_completed"] > 0) == ({}, True)
    (token,) = (cli.data / "state" / "servers").glob("*/token")
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_failed_sign_ins_can_be_looked_up_and_no_secret_is_on_disk(cli: Cli, server: dict[str, Any]) -> None:
    key = cli("keys", "create", "--name", "third").stdout.strip()
    soon(server["url"], key, 200)
    stranger = f"gk_{'0' * 8}_{'a' * 43}_{'b' * 6}"
    assert status(server["url"], stranger) == 401
    cli("stop", "--all")
    reasons = {row["reason"]: row["number"] for row in cli.json("keys", "failures")["items"]}
    assert reasons["malformed"] >= 1
    assert reasons["missing"] >= 1
    used = {row["name"]: row["last_used_at"] for row in cli.json("keys", "list")["items"]}
    assert used["third"] is not None
    for path in cli.data.rglob("*"):
        if (
            path.is_file()
            and path.suffix != ".gguf"
            and path.stat().st_size < 50_000_000
            and path.name != "another.key"
        ):
            content = path.read_bytes()
            assert key.split("_")[2].encode() not in content, path
            assert b"a" * 43 not in content, path


def test_beyond_loopback_a_server_needs_keys_and_then_tls(cli: Cli, tmp_path: Path) -> None:
    cli("keys", "create", "--name", "any")
    serve = ("serve", "--model", "smollm2:135m", "--port", "0", "--host")
    assert "plain text" in cli(*serve, "0.0.0.0", status=5).stderr
    off = cli(*serve, "0.0.0.0", status=5, GEMSTEAD_ACCESS_REQUIRES_KEY="false", GEMSTEAD_SERVER_ALLOWS_PLAIN_HTTP="1")
    assert "switched off" in off.stderr


def test_a_server_with_a_certificate_answers_its_own_command_line(cli: Cli, tmp_path: Path) -> None:
    cert, key_file = make_certificate(tmp_path)
    key = cli("keys", "create", "--name", "tls").stdout.strip()
    cli.environ |= {
        "GEMSTEAD_SERVER_TLS_CERT": str(cert),
        "GEMSTEAD_SERVER_TLS_KEY": str(key_file),
        "GEMSTEAD_SERVER_HOST_NAMES": "models.example.org",
    }
    started = cli.json("up", "--model", "smollm2:135m", "--host", "0.0.0.0", "--port", "0")
    assert started["url"].startswith("https://127.0.0.1:")
    assert cli("run", "--model", "smollm2:135m", "--max-tokens", "4", "Hello").stdout.strip()
    trusting = ssl.create_default_context(cafile=str(cert))
    trusting.check_hostname = False
    assert status(started["url"], key, trusting) == 200
    assert status(started["url"], None, trusting) == 401
    exposure = [one for one in cli.json("doctor", status=None)["findings"] if one["check"] == "exposure"]
    assert [one["severity"] for one in exposure] == ["ok"]
    cli("stop", "--all", "--now")
