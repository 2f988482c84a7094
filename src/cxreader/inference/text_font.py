"""The letters of what is written on pictures."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@cache
def font(size: int) -> Font:
    """DejaVu Sans as matplotlib brings it, which has most alphabets; Pillow's own where it is not found. `size` in pixels."""
    found = importlib.util.find_spec("matplotlib")
    folder = Path(found.origin).parent if found is not None and found.origin else Path()
    path = folder / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(path, size) if path.is_file() else ImageFont.load_default(size)


def cut(text: str, width: float, letters: Font) -> str:
    """The text, or as much of it as `width` pixels hold."""
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."
