"""The published sizes of Gemma 4's pictures and sounds.

Source: image_processing_gemma4.py of transformers 5.23: the largest area of each budget, and how sides are rounded.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.gemma.media_tokens import IMAGE_BUDGETS, audio_tokens, image_size, image_tokens

LARGEST_AREA_PX = {70: 161_280, 140: 322_560, 280: 645_120, 560: 1_290_240, 1120: 2_580_480}

SIDES = st.integers(1, 20_000)


def test_the_budgets_are_the_published_ones() -> None:
    assert set(IMAGE_BUDGETS) == set(LARGEST_AREA_PX)


@pytest.mark.parametrize(
    ("size", "budget", "scaled"),
    [
        ((1000, 1000), 70, (384, 384)),
        ((1000, 1000), 280, (768, 768)),
        ((1000, 1000), 1120, (1584, 1584)),
        ((1920, 1080), 280, (1056, 576)),
        ((1080, 1920), 280, (576, 1056)),
        ((48, 48), 280, (768, 768)),
        ((1000, 1), 70, (3360, 48)),
        ((1, 20), 70, (48, 1776)),
    ],
)
def test_a_picture_is_scaled_to_whole_tokens_within_its_budget(
    size: tuple[int, int], budget: int, scaled: tuple[int, int]
) -> None:
    assert image_size(*size, budget) == scaled


@given(SIDES, SIDES, st.sampled_from(IMAGE_BUDGETS))
def test_no_picture_takes_more_than_its_budget_or_less_than_one_token(width: int, height: int, budget: int) -> None:
    scaled_width, scaled_height = image_size(width, height, budget)
    assert scaled_width % 48 == scaled_height % 48 == 0
    assert 48 * 48 <= scaled_width * scaled_height <= LARGEST_AREA_PX[budget]
    assert 3 <= image_tokens(width, height, budget) <= budget + 2


@pytest.mark.parametrize(("duration_s", "tokens"), [(30.0, 752), (1.0, 27), (0.01, 3), (0.0, 2)])
def test_a_sound_takes_a_token_every_40_ms_and_two_markers(duration_s: float, tokens: int) -> None:
    assert audio_tokens(duration_s) == tokens
