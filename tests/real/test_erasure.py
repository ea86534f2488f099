"""Erasing a person, as an operator does: what was said is nowhere on disk afterwards, and the evidence still holds."""

from __future__ import annotations

import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cli_runner import Cli
from vaults import forms_of, places_of

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("journey")]

PLANTED = 'Zürich canary "7f3a9-quokka-0451"'
PLANTED_FOR_BOB = "walrus-8821 stays"
POLICY = """\
version = 1
[[rules]]
id = "all"
effect = "allow"

[[rules]]
id = "kept"
effect = "allow"
labels = ["internal", "confidential"]
keeps_content = true
retention_days = 7
"""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory, llama_server: Path, smollm2: Path) -> Iterator[Cli]:
    cli = Cli(tmp_path_factory.mktemp("data"), llama_server, GEMSTEAD_SERVER_DRAIN_S="2", GEMSTEAD_LOG_LEVEL="debug")
    cli("models", "import", str(smollm2), "--name", "smollm2:135m", "--how", "link")
    (cli.data / "policy.toml").write_text(POLICY)
    yield cli
    cli("stop", "--all", "--now")


@pytest.fixture(scope="module")
def keys(cli: Cli) -> dict[str, str]:
    return {
        name: cli("keys", "create", "--name", f"{name}-key", "--owner", name).stdout.strip()
        for name in ("alice", "bob")
    }


@pytest.fixture(scope="module")
def url(cli: Cli, keys: dict[str, str]) -> str:
    return str(cli.json("up", "--model", "smollm2:135m", "--port", "0")["url"])


def post(url: str, key: str, path: str, body: dict[str, Any], label: str = "internal") -> bytes:
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}", "x-gemstead-label": label}
    request = urllib.request.Request(f"{url}/{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=120) as response:
        return bytes(response.read())


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "smollm2:135m", "messages": [{"role": "user", "content": text}], "max_tokens": 8, **fields}


def test_what_a_person_said_is_kept_handed_out_and_after_the_erasure_nowhere(
    cli: Cli, url: str, keys: dict[str, str], tmp_path: Path
) -> None:
    ask = f"Say this again: {PLANTED}"
    post(url, keys["alice"], "chat/completions", chat(ask))
    post(url, keys["alice"], "chat/completions", chat(ask, stream=True, user="carol"))
    kept = {"model": "smollm2:135m", "input": ask, "max_output_tokens": 8}
    first = json.loads(post(url, keys["alice"], "responses", kept))
    post(url, keys["bob"], "chat/completions", chat(PLANTED_FOR_BOB))
    post(url, keys["bob"], "chat/completions", chat(PLANTED_FOR_BOB), label="public")

    listed = {f"{one['owner']}/{one['user']}": one for one in cli.json("subject", "list")["items"]}
    assert {name: one["num_texts"] for name, one in listed.items()} == {
        "alice/None": 2,
        "alice/carol": 1,
        "bob/None": 1,
    }
    export = tmp_path / "export.json"
    cli("subject", "export", "alice", "--to", str(export))
    exported = json.loads(export.read_text())
    assert exported["contents"][0]["text"]["request"]["messages"][0]["content"][0]["text"] == ask
    assert {key["fields"]["name"] for key in exported["keys"]} == {"alice-key"}
    closed = {one["content"] for one in exported["records"] if one["kind"] == "exchange.closed"}
    assert closed == {one["sha256"] for one in exported["contents"]}
    assert export.stat().st_mode & 0o777 == 0o600

    passphrase, content_keys = tmp_path / "passphrase", tmp_path / "content.keys"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    sealed = ("--passphrase-file", str(passphrase))
    cli("backup", "create", str(cli.data / "before.age"), "--content-keys", str(content_keys), *sealed)
    with closing(sqlite3.connect(f"file:{cli.data / 'content.db'}?mode=ro", uri=True)) as connection:
        secrets = dict(connection.execute("SELECT id, wrapped_key FROM subjects"))
        alice, carol = listed["alice/None"]["id"], listed["alice/carol"]["id"]
        texts = [row[0] for row in connection.execute("SELECT ciphertext FROM contents WHERE subject = ?", (alice,))]
    assert len(texts) == 2
    needles = forms_of(PLANTED) | {"key": secrets[alice], "key of carol": secrets[carol]}
    needles |= {f"ciphertext {number}": text[:48] for number, text in enumerate(texts)}

    would = cli.json("subject", "erase", "alice", "--below", "--dry-run")
    assert (would["num_texts"], would["num_subjects"]) == (3, 2)
    assert json.loads(post(url, keys["alice"], "responses", kept | {"previous_response_id": first["id"]}))["id"]
    done = cli.json("subject", "erase", "alice", "--below", "--yes")
    assert (done["num_texts"], done["num_subjects"], done["is_complete"]) == (4, 2, True)
    assert [one["has_forgotten"] for one in done["servers"]] == [True]

    # While the server still runs, and after it has ended.
    assert places_of(needles, cli.data) == []
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(url, keys["alice"], "responses", kept | {"previous_response_id": first["id"]})
    caught.value.close()
    assert caught.value.code == 404
    assert [one["owner"] for one in cli.json("subject", "list")["items"]] == ["bob"]
    cli("subject", "show", "carol", status=2)
    post(url, keys["bob"], "chat/completions", chat("the model is loaded anew"))
    cli("stop", "--all")
    assert places_of(needles, cli.data) == []
    assert cli("evidence", "verify").returncode == 0
    kinds = [one["record"]["kind"] for one in cli.json("evidence", "list", "--kind", "content.erased")["items"]]
    assert kinds == ["content.erased"]

    # The backup of before holds her texts; its key file does not hold her key any more.
    elsewhere = Cli(tmp_path / "elsewhere", Path(cli.environ["GEMSTEAD_ENGINE_PROGRAM"]))
    restored = elsewhere.json("restore", str(cli.data / "before.age"), "--content-keys", str(content_keys), *sealed)
    assert (restored["has_content"], restored["num_lost"]) == (True, 2)
    assert [one["owner"] for one in elsewhere.json("subject", "list")["items"]] == ["bob"]
    assert places_of(needles, elsewhere.data) == []
    assert elsewhere("evidence", "verify").returncode == 0


def test_content_whose_time_has_come_goes_and_the_evidence_says_so(cli: Cli) -> None:
    assert cli.json("subject", "expire")["num"] == 0
    would = cli.json("subject", "expire", "--older-than", "0", "--label", "internal", "--dry-run")
    assert would["labels"] == {"internal": 2}
    assert cli.json("subject", "expire", "--older-than", "0", "--label", "internal", "--yes")["num"] == 2
    assert cli.json("subject", "list")["items"] == []
    (record,) = cli.json("evidence", "list", "--kind", "content.expired")["items"]
    assert record["record"]["labels"] == {"internal": 2}


def test_what_a_rule_says_is_kept_and_cannot_be_is_not_answered(cli: Cli, keys: dict[str, str]) -> None:
    damaged = cli.data / "content.db"
    good = damaged.read_bytes()
    for beside in ("content.db-wal", "content.db-shm"):
        (cli.data / beside).unlink(missing_ok=True)
    damaged.write_bytes(b"no database" * 1000)
    try:
        url = cli.json("up", "--model", "smollm2:135m", "--port", "0")["url"]
        with pytest.raises(urllib.error.HTTPError) as caught:
            post(url, keys["bob"], "chat/completions", chat("hi"))
        with caught.value as answer:
            assert answer.code == 503
            assert json.load(answer)["error"]["code"] == "content_unavailable"
        post(url, keys["bob"], "chat/completions", chat("hi"), label="public")
    finally:
        cli("stop", "--all", "--now")
        damaged.write_bytes(good)


def test_a_restore_refuses_while_a_server_of_the_folder_runs(cli: Cli, tmp_path: Path) -> None:
    cli.json("up", "--model", "smollm2:135m", "--port", "0")
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    refused = cli("restore", str(cli.data / "before.age"), "--passphrase-file", str(passphrase), status=4)
    assert "stop --all" in refused.stderr
    cli("stop", "--all", "--now")
    check = ("backup", "check", str(cli.data / "before.age"), "--passphrase-file", str(passphrase))
    assert cli.json(*check)["files"]
    passphrase.write_text("correct horse battery stable\n")
    assert "does not open" in cli(*check, status=3).stderr
