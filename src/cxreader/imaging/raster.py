"""PNG and JPEG files become Radiographs. Pillow decodes; the checks before and after it are ours."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from cxreader.errors import ImageError
from cxreader.imaging import jpeg
from cxreader.imaging.files import COPY_AGAIN
from cxreader.imaging.limits import MAX_PARTS, MAX_PIXELS
from cxreader.imaging.radiograph import Radiograph

DEPTHS = (10, 12, 14)
"""Bits of a detector's values that are stored in 16."""
KINDS = {"PNG": PngImageFile, "JPEG": JpegImageFile}
# What Pillow is known to raise on damaged files of these two kinds, besides its own UnidentifiedImageError (an OSError).
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)


def decode(data: bytes, kind: str, label: str, reserve: Callable[[int], None] | None = None) -> Radiograph:
    """The radiograph in `data`, the bytes of a file of `kind` PNG or JPEG; `label` names it in messages.

    `reserve` is called with the number of pixels before they are decoded (see `read.read`). Raises ImageError for a file that is
    damaged, holds several frames, or would cost too much.
    """
    if kind == "PNG":
        _refuse_many_chunks(data, label)
    else:
        jpeg.frame_header(data, label)
    image = _open(io.BytesIO(data), kind, label)
    if kind == "JPEG":  # in a PNG the same two bytes are chance
        jpeg.refuse_many_scans(data, image.width * image.height, label)
    if reserve is not None:
        reserve(image.width * image.height)
    try:
        image.load()
        image = ImageOps.exif_transpose(image)
        colour = colourfulness(image)
        pixels, notes = _grey(image)
    except _DAMAGE as error:
        raise _damaged(kind, label, error) from None
    return Radiograph(pixels, source=label, notes=notes, colour=colour)


def _refuse_many_chunks(data: bytes, label: str) -> None:
    """Raise ImageError for a PNG of so many chunks that walking them would take minutes."""
    at = 8
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            return
        at += 12 + struct.unpack_from(">L", data, at)[0]
    raise ImageError("a PNG of too many chunks", where=label, mend="such a file is a bomb")


def header_size(file: BinaryIO, kind: str, label: str) -> tuple[int, int]:
    """Width and height in pixels, as stored (before any EXIF rotation), without decoding. Raises ImageError."""
    width, height = _open(file, kind, label).size
    return width, height


def colourfulness(image: Image.Image) -> float:
    """Mean over pixels of the greatest less the least channel of red, green and blue, in [0, 1]; 0 for grey.

    Sampled at no more than 64 x 64 pixels.
    """
    if image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;"):
        return 0.0
    small = image.resize((min(64, image.width), min(64, image.height)), Image.Resampling.NEAREST)
    channels = np.asarray(small.convert("RGBA").convert("RGB"), np.float32)
    return float((channels.max(-1) - channels.min(-1)).mean()) / 255


def _open(file: BinaryIO, kind: str, label: str) -> Image.Image:
    """The picture, its header parsed alone. The decoder's class is called: the bomb check of Image.open only warns."""
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
    return ImageError(f"damaged {kind} ({error})", where=label, mend=COPY_AGAIN)


def _grey(image: Image.Image) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """float32 (H, W) in [0, 1] and notes; colours weighted by ITU-R BT.601, transparency laid on black."""
    if image.mode in ("I;16", "I;16B", "I"):
        return sixteen_bit(np.asarray(image))
    if image.mode == "P" or "transparency" in image.info or image.mode in ("LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    if image.mode != "L":
        image = image.convert("L")
    return _scaled(np.asarray(image), 255), ()


def sixteen_bit(stored: NDArray[np.generic]) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Stored values of 16 bits, of any shape, as float32 in [0, 1], and a note when fewer bits were used.

    Detectors of 10, 12 and 14 bits write 16: full scale is that of the least of DEPTHS that holds the greatest value, or 16.
    """
    top = int(stored.max()) if stored.size else 0
    bits = next((bits for bits in DEPTHS if top < 1 << bits), 16) if top else 16
    notes = () if bits == 16 else (f"16 bits with {bits}-bit values: scaled by {(1 << bits) - 1}",)
    return _scaled(stored, (1 << bits) - 1), notes


def _scaled(stored: NDArray[np.generic], top: int) -> NDArray[np.float32]:
    """float32 in [0, 1], in place: the largest pictures would not fit twice."""
    pixels = stored.astype(np.float32)
    pixels /= np.float32(top)
    return pixels
