"""Pictures and sound inside a request: base64 only. A gateway that fetches URLs reads files and networks for others."""

from __future__ import annotations

import binascii

from gemstead.core.errors import RequestInvalid
from gemstead.core.types import AudioPart, ImagePart
from gemstead.core.units import MIB, format_bytes
from gemstead.gemma.media_tokens import IMAGE_BUDGETS

MAX_IMAGE_BYTES = 20 * MIB
MAX_AUDIO_BYTES = 25 * MIB

DETAIL_TOKENS = {"low": IMAGE_BUDGETS[0], "high": IMAGE_BUDGETS[-1], "original": IMAGE_BUDGETS[-1]}
"""The most tokens of each `detail`; auto is as the operator has set it."""

IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}


def decode_image(url: str, path: str, detail: str | None = None) -> ImagePart:
    """The picture in a `data:` URL. Whether it is one is checked where it is opened.

    Raises: RequestInvalid if it is any other URL, not base64, of a type that is not taken, or too large.
    """
    scheme, _, rest = url.partition(":")
    if scheme.lower() != "data":
        shown = scheme.lower() if rest and len(scheme) <= 10 else "relative"
        raise RequestInvalid(
            f"image URLs of scheme {shown!r} are refused",
            param=path,
            why="fetching them would let a caller read files and networks that only this machine reaches",
            hint="send the picture itself: data:image/png;base64,...",
        )
    head, _, encoded = rest.partition(",")
    media_type, *settings = head.lower().split(";")
    if "base64" not in settings:
        raise RequestInvalid("the data URL is not base64", param=path, hint="data:image/png;base64,...")
    if media_type not in IMAGE_TYPES:
        raise RequestInvalid(
            f"images of type {media_type[:40]!r} are not taken", param=path, hint=f"use one of {', '.join(IMAGE_TYPES)}"
        )
    content = _decode_base64(encoded, MAX_IMAGE_BYTES, path)
    return ImagePart(content, media_type, token_budget=DETAIL_TOKENS.get(detail or "auto"))


def decode_audio(encoded: str, audio_format: str, path: str) -> AudioPart:
    """Raises: RequestInvalid if it is not base64, of a format that is not taken, or too large."""
    media_type = AUDIO_TYPES.get(audio_format)
    if media_type is None:
        raise RequestInvalid(
            f"audio of format {audio_format[:40]!r} is not taken",
            param=f"{path}.format",
            hint=f"use one of {', '.join(AUDIO_TYPES)}",
        )
    return AudioPart(content=_decode_base64(encoded, MAX_AUDIO_BYTES, f"{path}.data"), media_type=media_type)


def _decode_base64(encoded: str, max_bytes: int, path: str) -> bytes:
    if len(encoded) * 3 // 4 > max_bytes + 2:
        raise RequestInvalid(f"more than {format_bytes(max_bytes)}", param=path)
    try:
        content = binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError as exc:
        raise RequestInvalid("not valid base64", param=path, why=str(exc)) from exc
    if not content:
        raise RequestInvalid("no bytes in it", param=path)
    return content
