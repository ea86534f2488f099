"""Policy and limits as an operator uses them: the command line and a running server, each in a process of its own."""

from __future__ import annotations

import json
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
    cli = Cli(tmp_path_factory.mktemp("data"), llama_server)
    cli("models", "import", str(smollm2), "--name", "smollm2:135m", "--how", "link")
    yield cli
    cli("stop", "--all", "--now")


def chat(url: str, key: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    request = urllib.request.Request(f"{url}/chat/completions", json.dumps(ASK).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, dict(response.headers), json.load(response)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, dict(exc.headers), json.load(exc)


def soon(url: str, key: str, wanted: int) -> None:
    deadline = time.monotonic() + 10.0
    while chat(url, key)[0] != wanted:
        assert time.monotonic() < deadline, f"no {wanted} in time"
        time.sleep(0.2)


def test_a_changed_policy_is_in_force_at_once_and_a_broken_one_never(cli: Cli) -> None:
    url = cli.json("up", "--model", "smollm2:135m", "--port", "0")["url"]
    key = cli("keys", "create", "--name", "one", "--group", "staff").stdout.strip()
    soon(url, key, 200)
    file = cli.data / "policy.toml"
    file.write_text('version = 1\n[[rules]]\nid = "others"\neffect = "allow"\ngroups = ["others"]\n')
    soon(url, key, 403)
    assert "no rule allows" in chat(url, key)[2]["error"]["message"]
    file.write_text("version = ")
    time.sleep(1.5)
    assert chat(url, key)[0] == 403
    file.write_text('version = 1\n[[rules]]\nid = "all"\neffect = "allow"\nlimits = { tokens_per_day = 2000 }\n')
    soon(url, key, 200)
    versions = cli.json("policy", "versions")["items"]
    assert len(versions) == 2
    assert cli("policy", "explain", "--key", "one", "--model", "smollm2:135m").stdout.startswith("allowed")


def test_what_was_spent_is_known_to_the_token_after_a_restart(cli: Cli) -> None:
    url = cli.json("up", "--model", "smollm2:135m", "--port", "0")["url"]
    key = cli("keys", "create", "--name", "two", "--quota", "tokens_per_day=500").stdout.strip()
    soon(url, key, 200)
    _status, headers, reply = chat(url, key)
    left = int(headers["x-ratelimit-remaining-tokens"])
    cli("stop", "--all")
    url = cli.json("up", "--model", "smollm2:135m", "--port", "0")["url"]
    _status, headers, reply = chat(url, key)
    assert int(headers["x-ratelimit-remaining-tokens"]) == left - reply["usage"]["total_tokens"]
    for _ in range(40):
        status, headers, reply = chat(url, key)
        if status == 429:
            break
    assert status == 429
    assert reply["error"]["type"] == "rate_limit_error"
    assert int(headers["retry-after"]) > 0
