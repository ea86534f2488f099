"""Pictures inside a request: bare base64, of a type that its first bytes tell."""

from __future__ import annotations

import binascii

from gemstead.core.errors import RequestInvalid
from gemstead.core.types import ImagePart
from gemstead.core.units import MIB, format_bytes

MAX_IMAGE_BYTES = 20 * MIB

_STARTS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}


def decode_image(encoded: str, path: str) -> ImagePart:
    """Raises: RequestInvalid if it is not base64, of a type that is not taken, or too large."""
    if len(encoded) * 3 // 4 > MAX_IMAGE_BYTES + 2:
        raise RequestInvalid(f"more than {format_bytes(MAX_IMAGE_BYTES)}", param=path)
    try:
        content = binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError as exc:
        raise RequestInvalid(
            "not valid base64", param=path, why=str(exc), hint="send the picture's bytes as base64, no URL"
        ) from exc
    return ImagePart(content=content, media_type=_media_type(content, path))


def _media_type(content: bytes, path: str) -> str:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    for start, media_type in _STARTS.items():
        if content.startswith(start):
            return media_type
    raise RequestInvalid("not a PNG, JPEG, WebP or GIF picture", param=path)
