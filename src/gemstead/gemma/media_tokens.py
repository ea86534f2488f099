"""How many tokens Gemma 4 spends on a picture and on a sound.

A picture is scaled to about its budget of soft tokens, its proportions kept: each soft token is 48 by 48 pixels
(patches of 16 pixels, pooled 3 by 3), and both sides are rounded down to whole tokens. Sound takes one token every
40 ms.

Source: image_processing_gemma4.py and processing_gemma4.py of transformers 5.23 (read 2026-11).
"""

from __future__ import annotations

import math

IMAGE_BUDGETS = (70, 140, 280, 560, 1120)
"""Soft tokens a picture may be given; the model was trained with these five."""

DEFAULT_IMAGE_BUDGET = 280

TOKEN_SIDE_PX = 48

MARKER_TOKENS = 2
"""One token opens a picture or a sound, one closes it."""

AUDIO_TOKENS_PER_S = 25


def image_size(width_px: int, height_px: int, budget_tokens: int) -> tuple[int, int]:
    """Width and height in pixels the picture is scaled to: multiples of 48 whose tokens stay within the budget.

    A side too thin for one token gets one, and the other then at most the whole budget.
    """
    scale = math.sqrt(budget_tokens * TOKEN_SIDE_PX**2 / (width_px * height_px))
    columns = math.floor(width_px * scale / TOKEN_SIDE_PX)
    rows = math.floor(height_px * scale / TOKEN_SIDE_PX)
    if rows == 0:
        columns, rows = min(width_px // height_px, budget_tokens), 1
    elif columns == 0:
        columns, rows = 1, min(height_px // width_px, budget_tokens)
    return columns * TOKEN_SIDE_PX, rows * TOKEN_SIDE_PX


def image_tokens(width_px: int, height_px: int, budget_tokens: int) -> int:
    """Tokens of the prompt for a picture of this size, its two markers included."""
    width_px, height_px = image_size(width_px, height_px, budget_tokens)
    return width_px * height_px // TOKEN_SIDE_PX**2 + MARKER_TOKENS


def audio_tokens(duration_s: float) -> int:
    """Tokens of the prompt for a sound of this length, its two markers included."""
    return math.ceil(duration_s * AUDIO_TOKENS_PER_S) + MARKER_TOKENS
