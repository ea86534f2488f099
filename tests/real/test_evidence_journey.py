"""Evidence as an operator gets it: a server with keys and a real engine, a client that leaves, a kill -9, a restart."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from cli_runner import Cli
from fake_ledger import chain_of

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("journey")]

MODEL = "smollm2:135m"
QUESTION = "What colour is the zebra-striped umbrella of Xanthippe?"
UNENDING: dict[str, Any] = {"max_tokens": 4000, "stream": True, "logit_bias": {"0": -100, "2": -100}}
"""An answer that is still running whenever it is cut: both tokens with which SmolLM2 ends are ruled out."""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory, llama_server: Path, smollm2: Path) -> Iterator[Cli]:
    cli = Cli(tmp_path_factory.mktemp("data"), llama_server)
    cli("models", "import", str(smollm2), "--name", MODEL, "--how", "link")
    yield cli
    cli("stop", "--all", "--now")


def up(cli: Cli) -> dict[str, Any]:
    return cli.json("up", "--model", MODEL, "--port", "0")


def post(url: str, key: str, request_id: str, **fields: Any) -> tuple[http.client.HTTPConnection, Any]:
    connection = http.client.HTTPConnection(str(urlsplit(url).hostname), urlsplit(url).port, timeout=60)
    body = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}], **fields}
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}", "x-request-id": request_id}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    return connection, connection.getresponse()


def of(cli: Cli, kind: str, exchange: str | None = None) -> list[dict[str, Any]]:
    found: list[Any] = [record for record in chain_of(cli.data) if record["kind"] == kind]
    return [record for record in found if exchange is None or record["exchange"] == exchange]


def soon(cli: Cli, kind: str, exchange: str) -> dict[str, Any]:
    deadline_s = time.monotonic() + 10
    while not (found := of(cli, kind, exchange)):
        assert time.monotonic() < deadline_s, f"no {kind} of {exchange}"
        time.sleep(0.05)
    return found[0]


def wait_gone(pid: int) -> None:
    try:
        psutil.Process(pid).wait(10)
    except psutil.NoSuchProcess:
        return


def test_what_a_server_with_keys_does_is_in_the_chain_and_a_kill_shows_as_a_cut(cli: Cli) -> None:
    server = up(cli)
    assert not (cli.data / "evidence.db").exists()
    key = cli("keys", "create", "--name", "laptop", "--owner", "Xanthippe").stdout.strip()

    connection, answer = post(server["url"], key, "whole", max_tokens=8, stream=False)
    reply = json.loads(answer.read())
    connection.close()
    assert answer.status == 200
    opened, closed = of(cli, "exchange.opened", "whole")[0], of(cli, "exchange.closed", "whole")[0]
    assert (opened["key"], opened["policy"], opened["dialect"]) == (key.split("_")[1], "built-in", "openai")
    assert len(opened["model_digest"]) == 64
    assert len(opened["template"]) == 64
    assert opened["engine"] == "llama_cpp"
    assert closed["tokens"]["completion"] == reply["usage"]["completion_tokens"]
    assert closed["ms"]["total"] >= closed["ms"]["ttft"] > 0

    connection, answer = post(server["url"], key, "left", **UNENDING)
    assert answer.read(10)
    connection.close()
    assert soon(cli, "exchange.closed", "left")["status"] == "cancelled"

    connection, answer = post(server["url"], key, "killed", **UNENDING)
    assert answer.read(10)
    os.kill(server["record"]["pid"], signal.SIGKILL)
    wait_gone(server["record"]["pid"])
    connection.close()
    assert len(of(cli, "exchange.opened", "killed")) == 1
    assert of(cli, "exchange.closed", "killed") == []

    up(cli)
    cli("stop", "--all")
    (first, second) = of(cli, "server.started")
    assert (first["cut"], [one["exchange"] for one in second["cut"]]) == ([], ["killed"])
    assert chain_of(cli.data)[second["cut"][0]["opened"]]["exchange"] == "killed"
    assert [record["kind"] for record in chain_of(cli.data)][-2:] == ["engine.stopped", "server.stopped"]


def test_a_server_that_is_stopped_at_once_loses_no_end_and_the_chain_verifies(cli: Cli) -> None:
    server = up(cli)
    key = cli("keys", "create", "--name", "streams").stdout.strip()
    connection, answer = post(server["url"], key, "stopped", **UNENDING)
    assert answer.read(10)
    refused, denied = post(server["url"], "gk_" + "0" * 8, "stranger")
    assert (denied.status, bool(denied.read())) == (401, True)
    cli("stop", "--all", "--now")
    connection.close()
    refused.close()
    assert [record["status"] for record in of(cli, "exchange.closed", "stopped")] in (["cancelled"], ["error"])
    (failed,) = of(cli, "sign_in.failed")
    assert (failed["network"], failed["reason"], failed["num"]) == ("127.0.0.1", "malformed", 1)
    verified = cli.json("evidence", "verify")
    killed = next(position for position, record in enumerate(chain_of(cli.data)) if record.get("exchange") == "killed")
    assert (verified["findings"], verified["cuts"]) == ([], [killed])


def test_neither_the_question_nor_the_person_is_in_the_evidence(cli: Cli) -> None:
    for path in cli.data.glob("evidence.db*"):
        for text in (b"zebra", b"Xanthippe", b"laptop"):
            assert text not in path.read_bytes(), path


def test_an_answer_of_an_engine_that_a_command_starts_for_itself_is_recorded_too(cli: Cli) -> None:
    cli("run", "--model", MODEL, "--max-tokens", "4", QUESTION)
    opened = of(cli, "exchange.opened")[-1]
    assert (opened["dialect"], opened["key"]) == ("cli", "local")
    assert of(cli, "server.started")[-1]["purpose"] == "command"


def test_what_cannot_be_recorded_is_not_answered(cli: Cli) -> None:
    server = up(cli)
    key = cli("keys", "create", "--name", "other").stdout.strip()
    # Another process that holds the write lock for longer than anybody waits.
    holder = sqlite3.connect(cli.data / "evidence.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        connection, answer = post(server["url"], key, "unrecorded", max_tokens=4, stream=False)
        assert (answer.status, json.loads(answer.read())["error"]["code"]) == (503, "evidence_unavailable")
        connection.close()
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    connection, answer = post(server["url"], key, "recorded", max_tokens=4, stream=False)
    assert (answer.status, bool(answer.read())) == (200, True)
    connection.close()
    cli("stop", "--all", "--now")
