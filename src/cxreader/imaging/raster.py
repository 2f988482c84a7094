"""PNG and JPEG files become Radiographs: what the picture needs is decoded, by Pillow or to the same bytes in less time.

What stands beside the picture stays outside.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from cxreader.errors import ImageError
from cxreader.imaging.files import COPY_AGAIN
from cxreader.imaging.formats import exif, fast_png, jpeg, png
from cxreader.imaging.formats.depth import by_depth, scaled
from cxreader.imaging.limits import MAX_PIXELS
from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.refusing import refusing

KINDS = ("PNG", "JPEG")
_JPEG_FRAMES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}
"""Frames that Pillow's decoder reads, of 8 bits: sequential and progressive DCT, by Huffman's or arithmetic codes."""
_HEAD = 2**18
"""Bytes in which the frame header of most JPEG files lies."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation."""
# What Pillow is known to raise on damaged files of these two kinds, besides its own UnidentifiedImageError (an OSError).
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
_LEAST_HIGH = 5
"""Of 16-bit colours Pillow keeps the upper byte; with fewer bits of it in use nothing can be seen."""


def decode(data: bytes, kind: str, label: str, reserve: Callable[[int], None] | None = None) -> Radiograph:
    """The radiograph in `data`, the bytes of a file of `kind` PNG or JPEG; `label` names it in messages.

    `reserve` is called with the number of pixels before they are decoded (see `read.read`). Raises ImageError for a file that is
    damaged, of a kind that is not read (`is_deep` says which JPEG files are none for here), or would cost too much.
    """
    with refusing(f"this {kind} cannot be decoded", label):
        return _png(data, label, reserve) if kind == "PNG" else _jpeg(data, label, reserve)


def is_deep(data: bytes, label: str) -> bool:
    """True for a JPEG file that is not of 8 bits and DCT: another decoder is needed. Raises ImageError for a damaged one."""
    marker, precision, *_ = jpeg.frame_header(data, label)
    return precision != 8 or marker not in _JPEG_FRAMES


def turned(image: Image.Image, tiff: bytes, xmp: bytes) -> tuple[Image.Image, tuple[str, ...]]:
    """The picture as the camera was held, and a note when that cannot be known."""
    orientation, notes = exif.orientation(tiff, xmp)
    return (image.transpose(_TURNS[orientation]) if orientation > 1 else image), notes


def refuse_many_pixels(width: int, height: int, label: str) -> None:
    """Raise ImageError for a header that promises more pixels than are read, or none."""
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"the header promises {width} x {height} pixels",
            where=label,
            mend=f"at most {MAX_PIXELS // 10**6} million are read: reduce the image",
        )
    if not width or not height:
        mend = "save it again with another program"
        raise ImageError(f"the header tells no size ({width} x {height} pixels)", where=label, mend=mend)


def _png(data: bytes, label: str, reserve: Callable[[int], None] | None) -> Radiograph:
    found = png.picture(data, label)
    head = found.header
    refuse_many_pixels(head.width, head.height, label)
    if reserve is not None:
        reserve(head.width * head.height)
    wide_grey = (head.depth, head.colour) == (16, png.GREY_ALPHA)
    grey = fast_png.decoded(found)
    needed = found.as_octets() if wide_grey else found.data
    image = _decoded(needed, "PNG", label) if grey is None else Image.fromarray(grey)
    image, notes = turned(image, found.exif, found.xmp)
    if wide_grey:
        pixels, more = _on_black(np.asarray(image))
    elif head.depth == 16 and head.colour in (png.COLOUR, png.COLOUR_ALPHA):
        pixels, more = _grey(*_full_range(image, label))
    else:
        pixels, more = _grey(image)
    colour = 0.0 if wide_grey else colourfulness(image)
    return Radiograph(pixels, source=label, notes=(*found.notes, *notes, *more), colour=colour)


def _jpeg(data: bytes, label: str, reserve: Callable[[int], None] | None) -> Radiograph:
    _, _, height, width, components = jpeg.frame_header(data, label)
    refuse_many_pixels(width, height, label)
    if components not in (1, 3, 4):
        mend = "save it as grey or in colours with another program"
        raise ImageError(f"a JPEG of {components} components is not read", where=label, mend=mend)
    jpeg.refuse_many_scans(data, width * height, label)
    if reserve is not None:
        reserve(width * height)
    needed, tiff, xmp = jpeg.without_metadata(data, label)
    image, notes = turned(_decoded(needed, "JPEG", label), tiff, xmp)
    pixels, more = _grey(image)
    return Radiograph(pixels, source=label, notes=(*notes, *more), colour=colourfulness(image))


def header_size(file: BinaryIO, kind: str, label: str) -> tuple[int, int]:
    """Width and height in pixels, as stored (before any EXIF rotation), without decoding. Raises ImageError."""
    start = file.read(_HEAD)
    if kind == "PNG":
        head = png.header(start, label)
        width, height = head.width, head.height
    else:
        try:
            _, _, height, width, _ = jpeg.frame_header(start, label)
        except ImageError:
            _, _, height, width, _ = jpeg.frame_header(start + file.read(), label)
    refuse_many_pixels(width, height, label)
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


def _decoded(data: bytes, kind: str, label: str) -> Image.Image:
    """The picture. The decoder's class is called, for nothing but this format is to be tried."""
    try:
        image = (PngImageFile if kind == "PNG" else JpegImageFile)(io.BytesIO(data))
        image.load()
    except _DAMAGE as error:
        raise ImageError(f"damaged {kind} ({error})", where=label, mend=COPY_AGAIN) from None
    return image


def _grey(image: Image.Image, notes: tuple[str, ...] = ()) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """float32 (H, W) in [0, 1] and notes; colours weighted by ITU-R BT.601, transparency laid on black."""
    if image.mode in ("I;16", "I;16B", "I"):
        return by_depth(np.asarray(image))
    if image.mode == "P" or "transparency" in image.info or image.mode in ("LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    if image.mode != "L":
        image = image.convert("L")
    return scaled(np.asarray(image), 255), notes


def _on_black(octets: NDArray[np.uint8]) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Grey and alpha of 16 bits, (H, W, 4) with the high byte of each first, laid on black."""
    words = octets.astype(np.uint16)
    pixels, notes = by_depth(words[..., 0] << 8 | words[..., 1])
    pixels *= scaled(words[..., 2] << 8 | words[..., 3], 65535)
    return pixels, notes


def _full_range(image: Image.Image, label: str) -> tuple[Image.Image, tuple[str, ...]]:
    """Colours of 16 bits, of which Pillow keeps the upper byte, over their full scale, and a note when they used fewer bits.

    Raises ImageError where too little is left of them.
    """
    channels = np.asarray(image)
    high = max(1, int(channels[..., :3].max())).bit_length()
    if high == 8:
        return image, ()
    if high < _LEAST_HIGH:
        mend = "save it as a grey PNG: its depth is found there"
        raise ImageError(f"colours of 16 bits that use {8 + high} at most are not read", where=label, mend=mend)
    brighter = channels.copy()
    brighter[..., :3] = np.rint(channels[..., :3] * (255.0 / ((1 << high) - 1)))
    found = Image.fromarray(brighter, image.mode)
    return found, (f"16 bits with {8 + high}-bit values: scaled by {(1 << 8 + high) - 1}",)
