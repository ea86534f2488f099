"""The engine's tokenizer against the cases that llama.cpp's own source brings for Gemma 4."""

from pathlib import Path

import pytest

from gemstead.engines.base import Installation
from gemstead.engines.llama_cpp_references import TOKENIZER_TEXTS, TOKENIZER_TOKENS
from raw_llama_server import raw_llama_server

pytestmark = pytest.mark.real

END_OF_TEXT = "\n__ggml_vocab_test__\n"


def cases(installation: Installation) -> list[tuple[str, list[int]]]:
    home = installation.program.parent.parent
    # Not `read_text`: some of the texts are carriage returns.
    texts = (home / TOKENIZER_TEXTS).read_bytes().decode().split(END_OF_TEXT)
    lines = (home / TOKENIZER_TOKENS).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return [(text, [int(token) for token in line.split()]) for text, line in zip(texts, lines, strict=True)]


def test_every_text_of_the_engines_source_gives_its_tokens(
    installation: Installation, whole_vocabulary_e2b: Path, tmp_path: Path
) -> None:
    expected = cases(installation)
    assert len(expected) == 46
    with raw_llama_server(installation.program, whole_vocabulary_e2b, tmp_path / "log") as server:
        for text, tokens in expected:
            assert server.tokens_of(text, parses_special=False) == tokens, repr(text)
