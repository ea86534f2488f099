"""Garbage is noticed, and what only looks like it is left alone."""

import base64
import random
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gemstead.gemma.garbage import LOOP_CHARS, MAX_PERIOD_CHARS, STEP_CHARS, GarbageKind, GarbageWatch

PROSE = (
    "The fjord lay still under the first snow, and nobody in the village spoke of the boats that had not come home. "
)


def watch(chunks: Iterable[str]) -> GarbageKind | None:
    garbage = GarbageWatch()
    kind = None
    for chunk in chunks:
        kind = garbage.feed(chunk)
    return kind


def in_tokens(text: str) -> list[str]:
    """As an engine streams it: a few characters at a time."""
    return [text[start : start + 4] for start in range(0, len(text), 4)]


def sentences(count: int, seed: int) -> str:
    rnd = random.Random(seed)
    words = PROSE.rstrip(". ").split()
    return " ".join(" ".join(rnd.choices(words, k=9)) + "." for _ in range(count))


def markdown_table() -> str:
    rnd = random.Random(1)
    header = "| City   | Day | Degrees |\n|--------|-----|---------|\n"
    return header + "".join(f"| Oslo   | {day:3} | {rnd.uniform(-9, 9):7.1f} |\n" for day in range(1500))


def nested_code() -> str:
    opening = "".join(f"{'    ' * depth}if (a[{depth}]) {{\n" for depth in range(40))
    return opening + "".join(f"{'    ' * depth}}}\n" for depth in reversed(range(40))) + "}\n" * 300


def csv() -> str:
    rnd = random.Random(2)
    return "".join(f"{row},0,0,0,{rnd.randrange(100)},0\n" for row in range(3000))


def poem() -> str:
    return "\n\n".join(
        f"{sentences(4, verse)}\nRow, row, row your boat,\ngently down the stream." for verse in range(40)
    )


INNOCENT = {
    "prose": sentences(400, 3),
    "a markdown table": markdown_table(),
    "code that closes many brackets": nested_code(),
    "CSV with equal columns": csv(),
    "base64": base64.b64encode(random.Random(4).randbytes(20_000)).decode(),
    "a poem with a refrain": poem(),
    "laughter": PROSE * 2 + "ha ha ha " * 50,
    "a drawn-out word": PROSE * 3 + "n" + "o" * 150 + "!",
    "rules between paragraphs": f"\n{'-' * 600}\n{'=' * 600}\n".join(sentences(2, seed) for seed in range(30)),
    "leader dots of a table of contents": "".join(f"{name} {'.' * 300} {name}\n" for name in range(100)),
    "a matrix of zeros and ones": "".join(f"{bits:064b}\n" for bits in range(200)),
    "spaces that indent": "\n".join(" " * (column * 7 % 900) + "x" for column in range(60)),
    "a paragraph three times": sentences(12, 5) * 3,
}


@pytest.mark.parametrize("text", INNOCENT.values(), ids=INNOCENT.keys())
def test_ordinary_text_raises_no_alarm(text: str) -> None:
    garbage = GarbageWatch()
    assert {garbage.feed(chunk) for chunk in in_tokens(text)} == {None}


@pytest.mark.parametrize(
    "passage",
    [
        *("no ", "no", "a", "日", "日本", "ab\n", "Haha"),
        *("\n", " ", "-", "0", "0, ", "🙂"),
        *("I am sorry, but ", PROSE, "x" * (MAX_PERIOD_CHARS - 1) + "y", "a" * 200 + "b" * 199),
    ],
)
def test_a_passage_over_and_over_is_a_loop(passage: str) -> None:
    assert watch(in_tokens(PROSE + passage * (2 * LOOP_CHARS // len(passage) + 2))) == "repetition_loop"


def test_a_short_passage_of_letters_is_a_loop_soon() -> None:
    assert watch(in_tokens(PROSE + "no " * 300)) == "repetition_loop"
    assert watch(in_tokens(PROSE + "no " * 150)) is None


def test_dashes_are_a_loop_only_when_no_line_is_that_long() -> None:
    assert watch(in_tokens("-" * (LOOP_CHARS - STEP_CHARS))) is None
    assert watch(in_tokens("-" * (LOOP_CHARS + STEP_CHARS))) == "repetition_loop"


def test_a_loop_is_noticed_within_a_step_of_the_bound() -> None:
    garbage = GarbageWatch()
    given_out = ""
    while garbage.feed(PROSE[:7]) is None:
        given_out += PROSE[:7]
    assert LOOP_CHARS - STEP_CHARS < len(given_out) < LOOP_CHARS + 2 * STEP_CHARS


def test_a_passage_longer_than_the_longest_period_is_missed() -> None:
    assert watch([sentences(9, 6) * 40]) is None


def test_a_passage_with_a_counter_is_missed() -> None:
    assert watch(f"{number}. {PROSE}" for number in range(200)) is None


@pytest.mark.parametrize(
    "text",
    [
        "<unused24>",
        "\n<unused49> and more",
        "Well <unused24><unused24><unused24>",
        "Well <unused24> <unused25>\n<unused6241>",
        "<unused24" + ">" * 2,
    ],
)
def test_unused_tokens_are_garbage(text: str) -> None:
    assert watch([text]) == "unused_run"
    assert watch(text) == "unused_run"


@pytest.mark.parametrize(
    "text",
    [
        "The tokens <unused0> and <unused1> have no use, nor has <unused2>.",
        "`<unused24>` is a token that has no use.",
        "<unused>",
        "<unusedx>",
        "<un",
        "a <unused24><unused25> b <unused26>",
        "a <unused24><unused25><unused",
    ],
)
def test_an_answer_that_names_unused_tokens_is_none(text: str) -> None:
    assert watch([text]) is None
    assert watch(text) is None


def test_once_garbage_it_stays_so() -> None:
    garbage = GarbageWatch()
    assert garbage.feed("<unused24>") == "unused_run"
    assert garbage.feed("Oslo.") == "unused_run"


pieces = st.sampled_from(
    ["<unused24>", "<unused", "7>", "<", " ", "no ", "x" * 300, PROSE * 40, "no " * 400, "-" * 5000]
)
texts = st.lists(pieces | st.text(max_size=5), max_size=8).map("".join)


@settings(max_examples=100, deadline=None)
@example(text="no " * 400 + "<unused24>" * 3, size=50)
@given(text=texts, size=st.integers(1, 700))
def test_the_cut_between_the_chunks_does_not_matter(text: str, size: int) -> None:
    chunks = [text[start : start + size] for start in range(0, len(text), size)]
    assert watch(chunks) == watch([text])
