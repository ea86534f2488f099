"""A picture, opened: what it really is, whether it is whole, and made ready for an engine.

Decoding takes long enough to stall every other answer: call `ready_image` in a thread.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING

import msgspec

from gemstead.core.errors import RequestInvalid
from gemstead.core.types import ImagePart
from gemstead.core.units import format_bytes
from gemstead.gemma.media_tokens import TOKEN_SIDE_PX, image_size

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")

KEPT_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "MPO": "image/jpeg"}
"""What every engine opens. A JPEG with more pictures behind the first, as many phones write, is read as the first."""

MAX_ASPECT = 100
"""How many times a picture may be longer than wide. Engines give a side of few pixels a whole token and scale the other
up with it: a line of 100,000 pixels became 10,000 tokens."""

_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error)
"""What the decoders raise at damaged bytes."""


class ReadyImage(msgspec.Struct, frozen=True):
    part: ImagePart
    width_px: int
    height_px: int


def ready_image(part: ImagePart, max_bytes: int, max_pixels: int, budget_tokens: int | None, path: str) -> ReadyImage:
    """The picture as an engine gets it: upright, PNG or JPEG, scaled down to its budget of Gemma 4 tokens if any.

    Its type is read from its bytes, its size from its header before a pixel is decoded.

    Raises: RequestInvalid naming `path` for what is no picture, too large, out of all proportion, animated or damaged.
    """
    from PIL import Image

    if len(part.content) > max_bytes:
        raise RequestInvalid(
            f"the picture has {format_bytes(len(part.content))}, at most {format_bytes(max_bytes)} are taken",
            param=path,
        )
    try:
        image = Image.open(BytesIO(part.content), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise _too_many_pixels(max_pixels, path) from exc
    except _UNREADABLE as exc:
        raise RequestInvalid("not a PNG, JPEG, WebP or GIF picture", param=path, hint="send it as PNG") from exc
    with image:
        _check_size(image.size, max_pixels, path)
        try:
            return _ready(part, image, budget_tokens, path)
        except _UNREADABLE as exc:
            raise RequestInvalid("the picture is damaged or cut short", param=path, why=str(exc)[:200]) from exc


def _ready(part: ImagePart, image: Image, budget_tokens: int | None, path: str) -> ReadyImage:
    from PIL import ImageOps
    from PIL.Image import Resampling

    if image.format in ("PNG", "GIF", "WEBP") and getattr(image, "is_animated", False):
        raise RequestInvalid("animated pictures are not taken", param=path, hint="send the frames as pictures")
    image.load()
    upright = ImageOps.exif_transpose(image)
    is_turned = image.getexif().get(0x0112, 1) != 1
    size = _target(upright.size, budget_tokens)
    media_type = KEPT_TYPES.get(image.format or "")
    if media_type is not None and not is_turned and size == image.size:
        content = part.content
    else:
        media_type, content = "image/png", _png(upright.convert("RGB").resize(size, Resampling.BICUBIC))
    return ReadyImage(msgspec.structs.replace(part, content=content, media_type=media_type), *size)


def _target(size: tuple[int, int], budget_tokens: int | None) -> tuple[int, int]:
    """Never larger than the picture is: scaling up adds tokens, not detail."""
    if budget_tokens is None:
        return size
    # As llama.cpp takes a picture that is within its limits: each side to the nearest whole token.
    columns, rows = (max(1, round(side / TOKEN_SIDE_PX)) for side in size)
    return size if columns * rows <= budget_tokens else image_size(*size, budget_tokens)


def _png(image: Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _check_size(size: tuple[int, int], max_pixels: int, path: str) -> None:
    width_px, height_px = size
    if width_px * height_px > max_pixels:
        raise _too_many_pixels(max_pixels, path, f" ({width_px} x {height_px})")
    if max(size) > MAX_ASPECT * min(size):
        raise RequestInvalid(
            f"a picture of {width_px} x {height_px} pixels is out of all proportion",
            param=path,
            hint=f"cut it: one side may be at most {MAX_ASPECT} times the other",
        )


def _too_many_pixels(max_pixels: int, path: str, size: str = "") -> RequestInvalid:
    what = f"the picture has too many pixels{size}: at most {max_pixels:,} are taken"
    return RequestInvalid(what, param=path, hint="scale it down")
