"""PNG and JPEG bytes become grey float arrays. Pillow decodes; the checks before and after it are ours."""

from __future__ import annotations

import io
import struct
import zlib
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from cxreader.errors import ImageError
from cxreader.imaging.radiograph import MAX_PIXELS, Radiograph

KINDS = {"PNG": PngImageFile, "JPEG": JpegImageFile}
# What Pillow is known to raise on damaged files of these two kinds, besides its own UnidentifiedImageError (an OSError).
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)


def decode(data: bytes, kind: str, label: str) -> Radiograph:
    """The grey picture in `data`, of `kind` PNG or JPEG; `label` names it in messages. Raises ImageError."""
    image = _open(io.BytesIO(data), kind, label)
    try:
        image.load()
        image = ImageOps.exif_transpose(image)
        colour = colourfulness(image)
        pixels, notes = _grey(image)
    except _DAMAGE as error:
        raise _damaged(kind, label, error) from None
    return Radiograph(pixels, source=label, notes=notes, colour=colour)


def header_size(file: BinaryIO, kind: str, label: str) -> tuple[int, int]:
    """Width and height in pixels, as stored (before any EXIF rotation), without decoding. Raises ImageError."""
    width, height = _open(file, kind, label).size
    return width, height


def colourfulness(image: Image.Image) -> float:
    """The mean over pixels of greatest less least channel, in [0, 1], at no more than 64 x 64 of them; 0 for grey."""
    if image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;"):
        return 0.0
    small = image.resize((min(64, image.width), min(64, image.height)), Image.Resampling.NEAREST)
    channels = np.asarray(small.convert("RGBA").convert("RGB"), np.float32)
    return float((channels.max(-1) - channels.min(-1)).mean()) / 255


def _open(file: BinaryIO, kind: str, label: str) -> Image.Image:
    """Only the header is parsed. The decoder's class is called, not Image.open, whose own bomb check only warns."""
    try:
        image = KINDS[kind](file)
    except _DAMAGE as error:
        raise _damaged(kind, label, error) from None
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(
            f"the header promises {image.width} x {image.height} pixels",
            where=label,
            mend=f"at most {MAX_PIXELS // 10**6} million are read: reduce the image",
        )
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise ImageError(f"the file holds {frames} frames", where=label, mend="give one image a file")
    return image


def _damaged(kind: str, label: str, error: Exception) -> ImageError:
    return ImageError(f"damaged {kind} ({error})", where=label, mend="copy the file again from its source")


def _grey(image: Image.Image) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    if image.mode in ("I;16", "I;16B", "I"):
        return _sixteen_bit(np.asarray(image))
    if image.mode == "P" or "transparency" in image.info or image.mode in ("LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    if image.mode != "L":
        image = image.convert("L")
    return _scaled(np.asarray(image), 255), ()


def _sixteen_bit(stored: NDArray[np.generic]) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Full scale is 65535; a picture of at most 4095 comes from a 12-bit detector and would be black on that scale."""
    top = int(stored.max()) if stored.size else 0
    if 0 < top <= 4095:
        return _scaled(stored, 4095), ("16-bit file with 12-bit values: scaled by 4095",)
    return _scaled(stored, 65535), ()


def _scaled(stored: NDArray[np.generic], top: int) -> NDArray[np.float32]:
    """float32 in [0, 1], in place: the largest pictures would not fit twice."""
    pixels = stored.astype(np.float32)
    pixels /= np.float32(top)
    return pixels
