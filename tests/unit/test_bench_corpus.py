from __future__ import annotations

from pathlib import Path

import pytest

from gemstead.bench.corpus import file_corpus, own_corpus
from gemstead.core.errors import RequestInvalid


def test_prompts_have_the_length_asked_for() -> None:
    assert len(own_corpus().prompt(500, seed=1).split()) == 500


def test_no_two_prompts_share_their_beginning() -> None:
    heads = {" ".join(own_corpus().prompt(50, seed).split()[:2]) for seed in range(200)}
    assert len(heads) == 200


def test_the_same_seed_gives_the_same_prompt() -> None:
    assert own_corpus().prompt(80, 3) == own_corpus().prompt(80, 3)


def test_a_file_of_ones_own_is_used(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("alpha beta gamma\n\n")
    assert "alpha beta gamma" in file_corpus(file).prompt(40, 1)


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe\x00", b"a" * (16 * 1024 * 1024 + 1)])
def test_a_file_that_holds_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(content)
    with pytest.raises(RequestInvalid):
        file_corpus(file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestInvalid):
        file_corpus(tmp_path / "none")
