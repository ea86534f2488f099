"""Real prose of any length, no two prompts alike: prompts that no cache knows and no drafter finds too easy.

The sentences in `corpus.txt` were written for this project. Random tokens would flatter nobody and mislead: speculation
and mixture-of-experts routing depend on what text looks like.
"""

from __future__ import annotations

import random
from functools import cache
from importlib.resources import files
from pathlib import Path

from gemstead.core.errors import RequestInvalid

MAX_FILE_BYTES = 16 * 1024 * 1024
_TASK = "Go on with this text in the same voice."


class Corpus:
    """Sentences to make prompts of. Not empty."""

    def __init__(self, sentences: tuple[str, ...]) -> None:
        self._sentences = sentences

    def prompt(self, num_words: int, seed: int) -> str:
        """About `num_words` words (at least a dozen) that differ from any other seed's from the second word on."""
        rng = random.Random(seed)  # noqa: S311 a choice of sentences, no secret
        words = ["Note", f"{rng.randrange(10**9)}.", *_TASK.split()]
        while len(words) < num_words:
            words += rng.choice(self._sentences).split()
        return " ".join(words[: max(num_words, 12)])


@cache
def own_corpus() -> Corpus:
    """The sentences that come with gemstead."""
    text = files("gemstead.bench").joinpath("corpus.txt").read_text(encoding="utf-8")
    return Corpus(tuple(text.splitlines()))


def file_corpus(path: Path) -> Corpus:
    """The lines of a text file as sentences; empty ones do not count.

    Raises: RequestInvalid if it cannot be read, is no UTF-8, too large or without a word.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        text = content.decode("utf-8")
    except OSError as exc:
        raise RequestInvalid(f"{path} cannot be read: {exc.strerror}", param="prompts") from exc
    except UnicodeDecodeError as exc:
        raise RequestInvalid(f"{path} is not text in UTF-8", param="prompts") from exc
    if len(content) > MAX_FILE_BYTES:
        raise RequestInvalid(f"{path} is larger than {MAX_FILE_BYTES:,} bytes", param="prompts")
    sentences = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not sentences:
        raise RequestInvalid(f"{path} holds no text", param="prompts")
    return Corpus(sentences)
