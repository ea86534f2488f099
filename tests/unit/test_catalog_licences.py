from pathlib import Path

import pytest

from gemstead.catalog.entries import Licence
from gemstead.catalog.licences import accept_licence, acceptance_of, require_acceptance
from gemstead.core.errors import FileDamaged, PolicyRefused

TERMS = Licence(id="gemma-terms", title="Gemma Terms of Use", url="https://example.org/terms", must_accept=True)
FREE = Licence(id="Apache-2.0", title="Apache", url="https://example.org/apache")


def test_a_licence_that_asks_for_nothing_stands_in_nobodys_way(tmp_path: Path) -> None:
    require_acceptance(tmp_path, FREE, "gemma4:e2b")


def test_agreement_is_asked_for_with_the_text_and_the_command(tmp_path: Path) -> None:
    with pytest.raises(PolicyRefused, match="Gemma Terms of Use") as caught:
        require_acceptance(tmp_path, TERMS, "gemma3:270m")
    assert TERMS.url in (caught.value.why or "")
    assert caught.value.hint == "gemstead models pull gemma3:270m --accept-licence"


def test_agreement_is_recorded_once_with_its_time(tmp_path: Path) -> None:
    first = accept_licence(tmp_path, TERMS)
    assert accept_licence(tmp_path, TERMS) == first
    assert first.accepted_at.endswith("+00:00")
    require_acceptance(tmp_path, TERMS, "gemma3:270m")


def test_a_damaged_record_is_not_taken_for_agreement(tmp_path: Path) -> None:
    accept_licence(tmp_path, TERMS)
    (tmp_path / "gemma-terms.json").write_bytes(b"{}")
    with pytest.raises(FileDamaged):
        acceptance_of(tmp_path, TERMS)
