"""Small pictures and sounds, made as tests need them."""

from __future__ import annotations

import wave
from io import BytesIO
from typing import Any

from PIL import Image


def picture(format_: str = "PNG", size: tuple[int, int] = (96, 48), mode: str = "RGB", **options: Any) -> bytes:
    """Noise, encoded: it compresses badly, so that cutting it cuts pixels."""
    buffer = BytesIO()
    Image.effect_noise(size, 60).convert(mode).save(buffer, format_, **options)
    return buffer.getvalue()


def wav(duration_s: float = 1.0, rate_hz: int = 16_000, channels: int = 1, sample_bytes: int = 2) -> bytes:
    """Silence."""
    buffer = BytesIO()
    with wave.open(buffer, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(sample_bytes)
        writer.setframerate(rate_hz)
        writer.writeframes(bytes(round(duration_s * rate_hz) * channels * sample_bytes))
    return buffer.getvalue()
