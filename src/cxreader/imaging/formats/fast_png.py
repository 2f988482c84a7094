"""Grey PNG of 8 bits, as most public radiographs are kept, decoded in half of Pillow's time where `cxreader[png]` is installed.

The rows of a PNG are filtered and compressed (W3C PNG, third edition, chapters 9 and 10). zlib-ng decompresses and compares the
checksum, as Pillow does. kornia-rs undoes the filters, which cost Pillow more than half of its time; it is given the rows in a
file that is not compressed, since by itself it would decompress without looking at the checksum. Whatever is unusual is left to
Pillow, so that no file is read with these packages that is not read without them.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreader.imaging.formats.png import GREY, IEND, PngPicture

_PLAIN = b"\0\0\0"
"""Compression, filter and interlace method of IHDR: the only ones, and none."""


def decoded(picture: PngPicture) -> NDArray[np.uint8] | None:
    """(H, W), or None where Pillow is to decode: another kind of PNG, one that may be damaged, or the packages are not there."""
    head, data = picture.header, picture.data
    tools = _tools()
    if tools is None or (head.depth, head.colour, data[26:29]) != (8, GREY, _PLAIN):
        return None
    packing, unfilter = tools
    packed = _packed(data)
    rows = head.height * (head.width + 1)
    if packed is None:
        return None
    unpacking = packing.decompressobj()
    try:
        raw = unpacking.decompress(packed, rows + 1)
        if len(raw) != rows or not unpacking.eof:
            return None
        body = packing.compress(raw, 0)
        size, check = (struct.pack(">L", n) for n in (len(body), packing.crc32(body, packing.crc32(b"IDAT"))))
        stored = b"".join((data[:33], size, b"IDAT", body, check, IEND))
        found: NDArray[np.uint8] = unfilter(stored, (head.height, head.width), "mono")
    except Exception:  # noqa: BLE001 - Pillow says what is wrong
        return None
    return found[..., 0]


def _packed(data: bytes) -> bytes | None:
    """The bodies of the picture's IDAT chunks, all of them whole; None for a picture with transparency."""
    at, view, parts = 33, memoryview(data), []
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">L4s", data, at)
        if name == b"tRNS":
            return None
        if name == b"IDAT":
            parts.append(view[at + 8 : at + 8 + length])
        at += 12 + length
    return b"".join(parts)


@cache
def _tools() -> tuple[Any, Callable[..., Any]] | None:
    """The module that packs, and what undoes the filters."""
    try:
        packing, kornia = importlib.import_module("zlib_ng.zlib_ng"), importlib.import_module("kornia_rs")
    except ImportError:
        return None
    return packing, kornia.io.decode_image_png_u8
