"""The precedence that pip documents, on files made here."""

import os
import sys
from pathlib import Path

import pytest

from gemstead.catalog.pip_config import DEFAULT_INDEX_URL, PackageIndex, config_files, pip_index
from gemstead.core.errors import SettingInvalid


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A user without a home folder of his own on a machine without configuration."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    for folder in ("home", "xdg", "venv"):
        (tmp_path / folder).mkdir()
    return {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path / "xdg")}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def user_file(environ: dict[str, str]) -> Path:
    return Path(environ["HOME"]) / ".config/pip/pip.conf"


@pytest.fixture(autouse=True)
def no_machine_wide_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """/etc/pip.conf belongs to the machine the tests run on."""
    real = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: str(path) != "/etc/pip.conf" and real(path))


def test_without_configuration_the_public_index_is_used(environ: dict[str, str]) -> None:
    assert pip_index(environ) == PackageIndex(index_urls=(DEFAULT_INDEX_URL,))


def test_later_places_win_over_earlier_ones(environ: dict[str, str], tmp_path: Path) -> None:
    def chosen() -> str:
        return pip_index(environ).index_urls[0]

    write(tmp_path / "xdg/pip/pip.conf", "[global]\nindex-url = https://global/simple\n")
    assert chosen() == "https://global/simple"
    write(Path(environ["HOME"]) / ".pip/pip.conf", "[global]\nindex_url = https://legacy/simple\n")
    assert chosen() == "https://legacy/simple"
    write(user_file(environ), "[global]\nindex-url = https://user/simple\n")
    assert chosen() == "https://user/simple"
    write(tmp_path / "venv/pip.conf", "[global]\nindex-url = https://site/simple\n")
    assert chosen() == "https://site/simple"
    write(tmp_path / "named.conf", "[global]\nindex-url = https://named/simple\n")
    environ["PIP_CONFIG_FILE"] = str(tmp_path / "named.conf")
    assert chosen() == "https://named/simple"
    environ["PIP_INDEX_URL"] = "https://variable/simple"
    assert chosen() == "https://variable/simple"


def test_the_section_of_install_wins_and_lists_may_span_lines(environ: dict[str, str]) -> None:
    write(
        user_file(environ),
        "[install]\nindex-url = https://install/simple\n"
        "[global]\nindex-url = https://global/simple\nextra-index-url =\n    https://a/simple\n    https://b/simple\n"
        "find-links = /wheels https://c/links\ncert = /ca.pem\ntrusted-host = d\ntimeout = 7\nproxy = http://p:1\n",
    )
    index = pip_index(environ)
    assert index.index_urls == ("https://install/simple", "https://a/simple", "https://b/simple")
    assert index.find_links == ("/wheels", "https://c/links")
    transport = index.transport
    assert (transport.ca_file, transport.trusted_hosts, transport.timeout_s) == ("/ca.pem", ("d",), 7.0)
    assert transport.proxy == "http://p:1"


def test_no_index_leaves_the_find_links(environ: dict[str, str]) -> None:
    environ |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
    assert pip_index(environ) == PackageIndex(index_urls=(), find_links=("/wheels",))


def test_the_null_device_switches_files_off(environ: dict[str, str]) -> None:
    write(user_file(environ), "[global]\nindex-url = https://user/simple\n")
    environ["PIP_CONFIG_FILE"] = os.devnull
    assert config_files(environ) == []
    assert pip_index(environ).index_urls == (DEFAULT_INDEX_URL,)


def test_credentials_are_not_shown(environ: dict[str, str]) -> None:
    environ["PIP_INDEX_URL"] = "https://user:secret@index/simple"
    assert "secret" not in repr(pip_index(environ))


def test_a_netrc_file_is_found_at_home_or_where_it_is_named(environ: dict[str, str], tmp_path: Path) -> None:
    write(Path(environ["HOME"]) / ".netrc", "")
    assert pip_index(environ).netrc_path == Path(environ["HOME"]) / ".netrc"
    environ["NETRC"] = str(tmp_path / "other")
    assert pip_index(environ).netrc_path == tmp_path / "other"


@pytest.mark.parametrize("text", ["no section\n", "[global]\ntimeout = soon\n", "[global]\n\ufeff\x00[["])
def test_a_bad_file_is_named(environ: dict[str, str], text: str) -> None:
    write(user_file(environ), text)
    with pytest.raises(SettingInvalid, match="pip"):
        pip_index(environ)
