import stat
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.core.errors import SettingInvalid
from gemstead.evidence.pseudonyms import MAX_REMEMBERED, KeyedHash, Pseudonyms, kept_key

NOVEMBER = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC).timestamp()


def test_a_person_has_one_pseudonym_a_month_and_another_the_next(tmp_path: Path) -> None:
    people = Pseudonyms(tmp_path)
    first = people.of("ada", NOVEMBER)
    assert first.startswith("p-202611-")
    assert len(first) == len("p-202611-") + 16
    assert people.of("ada", DECEMBER - 1) == first
    later = people.of("ada", DECEMBER)
    assert later.startswith("p-202612-")
    assert later.rpartition("-")[2] != first.rpartition("-")[2]
    assert people.of("ada", NOVEMBER) == first
    assert people.of("bob", NOVEMBER) != first


def test_another_process_gives_the_same_pseudonyms_and_another_installation_does_not(tmp_path: Path) -> None:
    assert Pseudonyms(tmp_path / "a").of("ada", NOVEMBER) == Pseudonyms(tmp_path / "a").of("ada", NOVEMBER)
    assert Pseudonyms(tmp_path / "a").of("ada", NOVEMBER) != Pseudonyms(tmp_path / "b").of("ada", NOVEMBER)


def test_the_year_turns_into_the_next(tmp_path: Path) -> None:
    people = Pseudonyms(tmp_path)
    turn = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
    assert people.of("ada", turn - 1).startswith("p-202612-")
    assert people.of("ada", turn).startswith("p-202701-")


def test_all_pseudonyms_of_a_person_are_found_until_a_month_is_forgotten(tmp_path: Path) -> None:
    people = Pseudonyms(tmp_path)
    given_out = [people.of("ada", NOVEMBER), people.of("ada", DECEMBER)]
    assert people.every("ada") == given_out
    assert people.forget_before(DECEMBER) == ["202611"]
    assert people.every("ada") == given_out[1:]
    assert people.months() == ["202612"]


def test_the_keys_are_private_files_and_a_readable_or_short_one_is_refused(tmp_path: Path) -> None:
    people = Pseudonyms(tmp_path)
    people.of("ada", NOVEMBER)
    path = tmp_path / "202611.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(SettingInvalid):
        Pseudonyms(tmp_path).of("ada", NOVEMBER)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(SettingInvalid):
        Pseudonyms(tmp_path).of("ada", NOVEMBER)


def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    people = Pseudonyms(tmp_path)
    first = people.of("person 0", NOVEMBER)
    for number in range(MAX_REMEMBERED + 10):
        people.of(f"person {number}", NOVEMBER)
    assert len(people._known) == MAX_REMEMBERED
    assert people.of("person 0", NOVEMBER) == first


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_a_text_has_one_hash_however_it_is_cut(text: bytes, cuts: list[int]) -> None:
    hashes = KeyedHash(b"k" * 32)
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    begun = hashes.begin()
    for piece in pieces:
        begun.feed(piece)
    assert begun.shown() == hashes.of([text]) == hashes.of(pieces)
    assert begun.shown().startswith("h-")
    assert begun.shown() != KeyedHash(b"j" * 32).of([text])


def test_a_key_is_made_once(tmp_path: Path) -> None:
    assert kept_key(tmp_path / "x.key") == kept_key(tmp_path / "x.key")
