import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image

from gemstead.core.errors import RequestInvalid
from gemstead.core.types import ImagePart
from gemstead.pipeline.images import ReadyImage, ready_image
from media_samples import picture


def ready(content: bytes, *, declared: str = "image/png", budget: int | None = None, **limits: int) -> ReadyImage:
    most = {"max_bytes": 5_000_000, "max_pixels": 1_000_000} | limits
    return ready_image(ImagePart(content, declared), most["max_bytes"], most["max_pixels"], budget, "messages[0]")


def opened(image: ReadyImage) -> Image.Image:
    return Image.open(BytesIO(image.part.content))


@pytest.mark.parametrize(("format_", "media_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg")])
def test_what_engines_open_stays_as_it_is_and_is_called_by_its_true_type(format_: str, media_type: str) -> None:
    content = picture(format_)
    image = ready(content, declared="image/gif")
    assert (image.part.content, image.part.media_type) == (content, media_type)
    assert (image.width_px, image.height_px) == (96, 48)


@pytest.mark.parametrize("format_", ["WEBP", "GIF"])
def test_what_not_every_engine_opens_becomes_png(format_: str) -> None:
    image = ready(picture(format_))
    assert image.part.media_type == "image/png"
    assert (opened(image).format, opened(image).size) == ("PNG", (96, 48))


def test_a_jpeg_with_more_pictures_behind_it_is_the_first() -> None:
    buffer = BytesIO()
    first = Image.effect_noise((96, 48), 60).convert("RGB")
    first.save(buffer, "MPO", save_all=True, append_images=[first])
    assert ready(buffer.getvalue()).part.media_type == "image/jpeg"


def test_a_picture_on_its_side_is_put_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = ready(picture("JPEG", exif=exif))
    assert (image.width_px, image.height_px) == (48, 96)
    assert opened(image).size == (48, 96)


def test_a_picture_larger_than_its_budget_is_scaled_down_to_it() -> None:
    image = ready(picture(size=(1000, 900)), budget=70)
    assert opened(image).size == (image.width_px, image.height_px)
    assert image.width_px * image.height_px <= 70 * 48 * 48


def test_a_picture_within_its_budget_is_not_scaled_up() -> None:
    content = picture(size=(100, 90))
    assert ready(content, budget=1120).part.content == content


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_every_kind_of_colour_can_be_scaled(mode: str) -> None:
    assert opened(ready(picture(size=(1000, 900), mode=mode), budget=70)).mode == "RGB"


def bomb(width_px: int, height_px: int) -> bytes:
    """A PNG whose header promises so many pixels, in a few bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(1001, 1000), (10_000, 10_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(RequestInvalid, match="too many pixels"):
        ready(bomb(*size))


def test_a_picture_out_of_all_proportion_is_refused() -> None:
    with pytest.raises(RequestInvalid, match="out of all proportion"):
        ready(bomb(9000, 80))


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(RequestInvalid, match="at most 1000 B"):
        ready(picture(), max_bytes=1000)


@pytest.mark.parametrize("format_", ["PNG", "GIF", "WEBP"])
def test_an_animated_picture_is_refused(format_: str) -> None:
    buffer = BytesIO()
    frames = [Image.effect_noise((60, 40), 60 + number).convert("RGB") for number in range(2)]
    frames[0].save(buffer, format_, save_all=True, append_images=frames[1:])
    with pytest.raises(RequestInvalid, match="animated"):
        ready(buffer.getvalue())


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"%PDF-1.7", b"<svg></svg>", picture("BMP"), picture("TIFF")])
def test_what_is_no_picture_of_the_four_types_is_refused(content: bytes) -> None:
    with pytest.raises(RequestInvalid, match=r"not a PNG|damaged") as caught:
        ready(content)
    assert caught.value.param == "messages[0]"


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_cut_short_anywhere_is_refused_and_breaks_nothing(format_: str) -> None:
    whole = picture(format_)
    for length in range(0, len(whole) - 64, max(1, len(whole) // 60)):
        with pytest.raises(RequestInvalid):
            ready(whole[:length])


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_damaged_picture_is_refused_or_read_and_breaks_nothing(format_: str) -> None:
    whole = picture(format_)
    outcomes = set()
    for place in range(0, min(len(whole), 700), 3):
        damaged = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        try:
            ready(damaged)
        except RequestInvalid as error:
            outcomes.add(error.what.partition(" (")[0])
    assert "the picture is damaged or cut short" in outcomes or "not a PNG, JPEG, WebP or GIF picture" in outcomes
