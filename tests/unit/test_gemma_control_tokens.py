"""Which texts of a vocabulary are control tokens."""

import pytest

from gemstead.gemma.control_tokens import CONTROL, NORMAL, UNKNOWN, USER_DEFINED, control_tokens_of

BYTE = 6


def control_tokens(*entries: tuple[str, int]) -> set[str]:
    return set(control_tokens_of([text.encode() for text, _ in entries], [kind for _, kind in entries]))


def test_control_and_unknown_tokens_count_whatever_they_look_like() -> None:
    assert control_tokens(
        ("<s>", CONTROL), ("</s>", CONTROL), ("<unk>", UNKNOWN), ("hi", NORMAL), ("<0x0A>", BYTE)
    ) == {
        "<s>",
        "</s>",
        "<unk>",
    }


@pytest.mark.parametrize("marker", ['<|"|>', "<|channel>", "<tool_call>", "[INST]", "\u2581<MASK>", "<｜User｜>"])  # noqa: RUF001
def test_markers_that_the_vocabulary_calls_user_defined_count(marker: str) -> None:
    assert control_tokens((marker, USER_DEFINED)) == {marker}


@pytest.mark.parametrize(
    "text", ["  ", "\n\n", "\u2581\u2581", "<b>", "</table>", "<h1>", "def", "ing", "<<", "[]", "|"]
)
def test_white_space_words_and_html_tags_are_ordinary_text(text: str) -> None:
    assert control_tokens((text, USER_DEFINED), (text + "x", NORMAL)) == set()


def test_gemmas_spare_tokens_count_though_the_file_calls_them_normal() -> None:
    assert control_tokens(("<unused0>", NORMAL), ("<unused6226>", NORMAL), ("unused", NORMAL)) == {
        "<unused0>",
        "<unused6226>",
    }


def test_what_the_engine_reads_as_control_in_any_vocabulary_counts() -> None:
    assert control_tokens(("<|im_end|>", NORMAL), ("<end_of_turn>", NORMAL), ("<end>", NORMAL)) == {
        "<|im_end|>",
        "<end_of_turn>",
    }


def test_the_tag_that_ends_struck_text_is_ordinary_beside_gemma_4s_own_tokens() -> None:
    assert control_tokens(("</s>", NORMAL)) == {"</s>"}
    assert control_tokens(("</s>", NORMAL), ("<|tool_response>", USER_DEFINED)) == {"<|tool_response>"}
    assert "</s>" in control_tokens(("</s>", CONTROL), ("<|tool_response>", USER_DEFINED))


def test_single_characters_and_broken_texts_are_left_out() -> None:
    assert control_tokens_of([b"<", b"\xff\xfe", b"<ok>"], [CONTROL, CONTROL, CONTROL]) == {"<ok>"}


def test_a_list_of_types_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        control_tokens_of([b"a", b"b"], [NORMAL])
