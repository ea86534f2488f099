import pytest

from gemstead.api.bind import check_bind
from gemstead.api.errors import HostRefused
from gemstead.api.hosts import check_host, host_of
from gemstead.core.errors import PolicyRefused


@pytest.mark.parametrize(
    "header",
    ["localhost", "localhost:8080", "LOCALHOST", "localhost.", "127.0.0.1:1", "127.9.9.9", "[::1]", "[::1]:80"],
)
def test_loopback_names_and_addresses_are_let_in(header: str) -> None:
    check_host(header, frozenset())


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        ":80",
        "example.com",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "127.0.0.1@example.com",
        "localhost:80@example.com",
        "[::1",
        "[::1]x",
        "[]",
        "::1",
        "0.0.0.0",
        "192.168.1.5:8080",
        "2130706433",
        "0x7f.1",
        "locálhost",
        "x" * 10_000,
    ],
)
def test_any_other_host_is_refused_with_the_way_in(header: str | None) -> None:
    with pytest.raises(HostRefused) as caught:
        check_host(header, frozenset())
    assert len(caught.value.what) < 200
    assert "localhost" in (caught.value.hint or "")


def test_a_configured_name_is_let_in_whatever_its_case_or_port() -> None:
    names = frozenset({"models.lan"})
    check_host("Models.lan:8443", names)
    with pytest.raises(HostRefused):
        check_host("other.lan", names)


def test_the_host_is_read_without_its_port() -> None:
    assert host_of("[FE80::1]:80") == "fe80::1"
    assert host_of("a:b") is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
def test_listening_on_loopback_needs_no_keys(host: str) -> None:
    check_bind(host, has_keys=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "example.com", "::ffff:192.168.1.5"])
def test_listening_anywhere_else_is_refused_until_keys_exist(host: str) -> None:
    with pytest.raises(PolicyRefused) as caught:
        check_bind(host, has_keys=False)
    assert "keys" in (caught.value.why or "")
    assert caught.value.hint
    check_bind(host, has_keys=True)
