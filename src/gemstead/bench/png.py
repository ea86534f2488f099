"""Charts as PNG, drawn by resvg: the same picture on every machine, without a browser.

The font is the one that Pillow carries (Aileron, CC0; basic Latin): a server may have no fonts at all, and then resvg
leaves the words out without a word. Letters it lacks come from the fonts of the machine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

_ZOOM = 2
"""Twice the pixels of the page: sharp on paper and on fine screens."""


def png_of(picture: str) -> bytes:
    """A picture of `core.svg` in the tones of paper."""
    from PIL import ImageFont
    from resvg_py import svg_to_bytes

    font = ImageFont.load_default(12)
    assert isinstance(font, ImageFont.FreeTypeFont)
    family, _ = font.getname()
    # resvg reads fonts from files only.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "font.ttf"
        file.write_bytes(font.font_bytes)
        return svg_to_bytes(
            svg_string=picture, zoom=_ZOOM, font_files=[str(file)], font_family=family, sans_serif_family=family
        )
