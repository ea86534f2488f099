"""The text of a key, the pepper, the limit on failures, and what is kept of an address."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.access.address import failing_address, network_of
from gemstead.access.failures import MAX_ADDRESSES, FailureLimit
from gemstead.access.keys import KEY_PATTERN, MAX_KEY_CHARS, hash_key, is_same_hash, key_id_of, new_key
from gemstead.access.pepper import ensure_pepper, read_pepper
from gemstead.core.errors import Missing, SettingInvalid

PEPPER = b"p" * 32


def test_a_new_key_has_its_id_in_front_and_is_never_the_same() -> None:
    keys = [new_key() for _ in range(100)]
    assert len({key.text for key in keys}) == len({key.id for key in keys}) == 100
    for key in keys:
        assert KEY_PATTERN.fullmatch(key.text)
        assert len(key.text) == MAX_KEY_CHARS
        assert key_id_of(key.text) == key.id


def test_the_secret_is_not_in_what_is_printed_of_a_key() -> None:
    key = new_key()
    assert key.text not in repr(key)
    assert key.id in repr(key)


@given(place=st.integers(0, MAX_KEY_CHARS - 1), other=st.characters(max_codepoint=127))
def test_one_mistyped_character_is_noticed_before_any_look_up(place: int, other: str) -> None:
    text = new_key().text
    mistyped = text[:place] + other + text[place + 1 :]
    assert (key_id_of(mistyped) is None) == (mistyped != text)


@given(st.text(max_size=200))
def test_what_is_no_key_has_no_id(text: str) -> None:
    assert key_id_of(text) is None


@pytest.mark.parametrize("change", ["", " ", "\n", "x"])
def test_a_key_with_something_around_it_is_no_key(change: str) -> None:
    text = new_key().text
    assert (key_id_of(text + change) is not None) == (change == "")


def test_only_the_same_key_under_the_same_pepper_has_the_same_hash() -> None:
    text, other = new_key().text, new_key().text
    assert is_same_hash(hash_key(PEPPER, text), hash_key(PEPPER, text))
    assert not is_same_hash(hash_key(PEPPER, text), hash_key(PEPPER, other))
    assert not is_same_hash(hash_key(PEPPER, text), hash_key(b"q" * 32, text))


def test_the_stand_in_for_an_unknown_id_matches_nothing_not_even_itself() -> None:
    assert not is_same_hash(bytes(32), None)
    assert not is_same_hash(hash_key(PEPPER, "x"), None)


def test_the_pepper_is_made_once_for_its_user_only(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "pepper"
    pepper = ensure_pepper(path)
    assert ensure_pepper(path) == read_pepper(path) == pepper
    assert len(pepper) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_pepper_that_is_gone_is_not_made_anew_by_who_only_reads(tmp_path: Path) -> None:
    with pytest.raises(Missing):
        read_pepper(tmp_path / "pepper")


def test_a_pepper_that_others_can_read_is_refused(tmp_path: Path) -> None:
    ensure_pepper(tmp_path / "pepper")
    (tmp_path / "pepper").chmod(0o644)
    with pytest.raises(SettingInvalid) as caught:
        read_pepper(tmp_path / "pepper")
    assert "chmod 600" in (caught.value.hint or "")


def test_a_damaged_pepper_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pepper").write_bytes(b"short")
    (tmp_path / "pepper").chmod(0o600)
    with pytest.raises(SettingInvalid):
        read_pepper(tmp_path / "pepper")


def test_a_pepper_from_the_environment_leaves_no_file_and_must_be_long(tmp_path: Path) -> None:
    assert ensure_pepper(tmp_path / "pepper", "x" * 32) == b"x" * 32
    assert not (tmp_path / "pepper").exists()
    with pytest.raises(SettingInvalid) as caught:
        ensure_pepper(tmp_path / "pepper", "secret-but-short")
    assert "secret-but-short" not in caught.value.what


def test_after_a_burst_of_failures_an_address_has_to_wait_and_others_do_not() -> None:
    limit = FailureLimit(burst=3, interval_s=10.0)
    for _ in range(3):
        assert limit.wait_s("a", 0.0) == 0.0
        limit.note("a", 0.0)
    assert limit.wait_s("a", 0.0) == 10.0
    assert limit.wait_s("b", 0.0) == 0.0
    assert limit.wait_s("a", 10.0) == 0.0


def test_who_keeps_trying_waits_no_longer_than_who_does_not() -> None:
    limit = FailureLimit(burst=1, interval_s=10.0)
    for now in range(5):
        limit.note("a", float(now))
    assert limit.wait_s("a", 5.0) == 5.0


def test_a_flood_of_addresses_takes_bounded_memory() -> None:
    limit = FailureLimit(burst=1)
    for number in range(MAX_ADDRESSES + 10):
        limit.note(str(number), 0.0)
    assert limit.wait_s("0", 0.0) == 0.0
    assert limit.wait_s(str(MAX_ADDRESSES + 9), 0.0) > 0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("", ""),
        ("somebody", ""),
    ],
)
def test_an_address_is_cut_to_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_failures_of_one_ipv6_client_count_together() -> None:
    assert failing_address("2001:db8:1:2::3") == failing_address("2001:db8:1:2:ffff::1")
    assert failing_address("2001:db8:1:2::3") != failing_address("2001:db8:1:3::3")
    assert failing_address("::ffff:192.0.2.7") == failing_address("192.0.2.7") == "192.0.2.7"
