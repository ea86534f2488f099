"""Ports, servers, exposure, network and permissions, on real sockets, folders and modes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from doctor_parts import installation, look, server, subject, worst
from gemstead.app.servers import running_servers, stale_folders


def test_a_free_port_is_fine_and_a_taken_one_names_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        examined = subject(tmp_path, environ={"GEMSTEAD_SERVER_PORT": port})
        (finding,) = look("ports", examined)
        assert (finding.severity, finding.fix) == ("warning", "gemstead up --port 0")
        assert str(os.getpid()) in str(finding.why)
    assert look("ports", examined)[0].severity == "ok"


def test_our_own_server_on_the_port_is_fine(tmp_path: Path) -> None:
    examined = subject(tmp_path, environ={"GEMSTEAD_SERVER_PORT": "9000"}, servers=lambda: (server(),))
    assert look("ports", examined)[0].what == "port 9000 is served by us: gemma4:e2b-q4_0"


def test_any_free_port_needs_no_look(tmp_path: Path) -> None:
    assert look("ports", subject(tmp_path, environ={"GEMSTEAD_SERVER_PORT": "0"}))[0].severity == "ok"


@pytest.mark.parametrize(
    ("state", "severity"), [("ready", "ok"), ("starting", "ok"), ("failed", "error"), (None, "error")]
)
def test_a_server_is_judged_by_what_it_answers(tmp_path: Path, state: str | None, severity: str) -> None:
    examined = subject(tmp_path, servers=lambda: (server(state=state),))
    assert worst(look("servers", examined)).severity == severity


def test_a_server_with_the_engine_of_before_is_noted(tmp_path: Path) -> None:
    examined = subject(tmp_path, servers=lambda: (server(engine="llama_cpp b9600"),), find_engine=installation)
    found = worst(look("servers", examined))
    assert (found.severity, "b9600" in found.what) == ("note", True)


def test_records_of_dead_servers_are_listed_and_removed_by_ps_alone(tmp_path: Path) -> None:
    dead = tmp_path / "999999999"
    dead.mkdir()
    (dead / "engine.sock").touch()
    living = tmp_path / f"{os.getpid()}.abc"
    living.mkdir()
    assert stale_folders(tmp_path) == (dead,)
    found = worst(look("servers", subject(tmp_path, stale_folders=lambda: stale_folders(tmp_path))))
    assert (found.severity, found.fix) == ("note", "gemstead ps")
    assert dead.exists()
    assert running_servers(tmp_path) == []
    assert not dead.exists()
    assert living.exists()


def test_no_server_and_no_record_is_fine(tmp_path: Path) -> None:
    assert look("servers", subject(tmp_path))[0].severity == "ok"


def test_loopback_is_no_exposure(tmp_path: Path) -> None:
    (finding,) = look("exposure", subject(tmp_path, servers=lambda: (server(),)))
    assert finding.severity == "ok"


def test_a_host_that_others_reach_is_an_error_that_says_who_set_it(tmp_path: Path) -> None:
    (finding,) = look("exposure", subject(tmp_path, environ={"GEMSTEAD_SERVER_HOST": "0.0.0.0"}))
    assert finding.severity == "error"
    assert finding.evidence["set_by"] == "environment GEMSTEAD_SERVER_HOST"


@pytest.mark.parametrize("address", ["0.0.0.0:9000", "[::]:9000", ":::9000", "192.168.1.5:9000"])
def test_a_server_that_really_listens_for_others_is_an_error(tmp_path: Path, address: str) -> None:
    examined = subject(tmp_path, servers=lambda: (server(listens_at=("127.0.0.1:1", address)),))
    (finding,) = look("exposure", examined)
    assert (finding.severity, finding.evidence["address"]) == ("error", address)


def test_a_proxy_that_would_see_local_requests_is_a_warning_without_its_password(tmp_path: Path) -> None:
    environ = {"http_proxy": "http://me:secret@proxy.example:3128", "NO_PROXY": ".example"}
    found = worst(look("network", subject(tmp_path, environ=environ)))
    assert found.severity == "warning"
    assert found.fix == "export NO_PROXY=.example,localhost,127.0.0.1"
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HTTP_PROXY": "http://proxy.example", "no_proxy": "localhost, 127.0.0.1"},
        {"HTTP_PROXY": "http://proxy.example", "NO_PROXY": "*"},
        {"HTTPS_PROXY": "http://proxy.example"},
    ],
)
def test_no_proxy_or_one_that_spares_this_machine_is_fine(tmp_path: Path, environ: dict[str, str]) -> None:
    assert worst(look("network", subject(tmp_path, environ=environ))).severity == "ok"


def test_a_hub_without_tls_is_a_warning_unless_nothing_is_fetched(tmp_path: Path) -> None:
    plain = {"HF_ENDPOINT": "http://mirror.example"}
    assert worst(look("network", subject(tmp_path, environ=plain))).severity == "warning"
    offline = subject(tmp_path, environ=plain | {"HF_HUB_OFFLINE": "1"})
    assert worst(look("network", offline)).severity == "note"


def test_private_folders_are_fine(tmp_path: Path) -> None:
    examined = subject(tmp_path)
    for folder in (examined.store.root, examined.loaded.paths.servers / "1", examined.loaded.paths.logs):
        folder.mkdir(parents=True, mode=0o700)
    assert [finding.severity for finding in look("permissions", examined)] == ["ok"]


def test_a_models_folder_that_others_can_write_is_an_error(tmp_path: Path) -> None:
    examined = subject(tmp_path)
    examined.store.root.mkdir()
    examined.store.root.chmod(0o777)
    found = worst(look("permissions", examined))
    assert (found.severity, found.fix) == ("error", f"chmod go-w {examined.store.root}")


def test_a_socket_folder_that_others_can_enter_is_a_warning(tmp_path: Path) -> None:
    examined = subject(tmp_path)
    folder = examined.loaded.paths.servers / "123"
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    found = worst(look("permissions", examined))
    assert (found.severity, found.fix) == ("warning", f"chmod 700 {folder}")


def test_a_folder_of_somebody_else_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = os.getuid()
    monkeypatch.setattr("os.getuid", lambda: uid + 1)
    assert worst(look("permissions", subject(tmp_path))).severity == "error"


def test_a_token_in_a_readable_file_is_an_error_and_in_a_private_one_fine(tmp_path: Path) -> None:
    settings = tmp_path / "gemstead.toml"
    settings.write_text('[sources]\nhf_token = "hf_abc"\n')
    settings.chmod(0o644)
    found = worst(look("permissions", subject(tmp_path)))
    assert (found.severity, found.fix) == ("error", f"chmod 600 {settings}")
    assert "hf_abc" not in str(found)
    settings.chmod(0o600)
    assert worst(look("permissions", subject(tmp_path))).severity == "ok"


OPEN = {"GEMSTEAD_SERVER_HOST": "0.0.0.0"}
TLS = {"GEMSTEAD_SERVER_TLS_CERT": "/c.pem", "GEMSTEAD_SERVER_TLS_KEY": "/k.pem"}


@pytest.mark.parametrize(
    ("environ", "is_locked", "severity"),
    [
        (OPEN, False, "error"),
        (OPEN | TLS, False, "error"),
        (OPEN, True, "error"),
        (OPEN | {"GEMSTEAD_SERVER_ALLOWS_PLAIN_HTTP": "1"}, True, "warning"),
        (OPEN | TLS, True, "ok"),
    ],
)
def test_an_open_address_needs_keys_and_tls(
    tmp_path: Path, environ: dict[str, str], is_locked: bool, severity: str
) -> None:
    (finding,) = look("exposure", subject(tmp_path, environ=environ, is_locked=lambda: is_locked))
    assert finding.severity == severity


def test_a_door_with_keys_and_tls_may_listen_for_others_and_its_engine_may_not(tmp_path: Path) -> None:
    door = server(listens_at=("0.0.0.0:8484", "0.0.0.0:9000"), port=8484, has_tls=True)
    examined = subject(tmp_path, environ=OPEN | TLS, is_locked=lambda: True, servers=lambda: (door,))
    assert [(one.severity, one.evidence.get("address")) for one in look("exposure", examined)] == [
        ("ok", None),
        ("error", "0.0.0.0:9000"),
    ]
