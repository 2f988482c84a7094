"""What a compressed picture promises, read before a decoder is given it: size, precision, components, and what it would cost.

JPEG: ITU-T T.81 B.2; JPEG-LS: T.87 C.2; JPEG 2000: T.800 A.5-A.6; RLE: PS3.5 annex G.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from cxreader.errors import ImageError

MAX_TILES = 16_384
MAX_BLOCKS = 4_000_000
"""Precincts and code-blocks of a JPEG 2000 picture; OpenJPEG holds a record of each, however empty they are."""

_ITEM, _END = 0xFFFEE000, 0xFFFEE0DD
_DCT, _LOSSLESS, _JPEG_LS = (0xC0, 0xC1, 0xC2), (0xC3,), (0xF7,)
_KINDS = {"DCT": _DCT, "lossless": _LOSSLESS, "JPEG-LS": _JPEG_LS}
_FRAMES = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
_AGAIN = "copy the file again from its source"


def frame(pixels: memoryview | None, label: str) -> bytes:
    """The one frame of encapsulated Pixel Data, its fragments joined (PS3.5 A.4). Raises ImageError when cut short or several."""
    items = list(_items(pixels if pixels is not None else memoryview(b""), label))
    if len(items) < 2:
        raise ImageError("compressed pixels without a picture", where=label, mend=_AGAIN)
    if len(items[0]) > 4:
        raise ImageError(f"the file holds {len(items[0]) // 4} frames", where=label, mend="give one image a file")
    return b"".join(items[1:])


def _items(data: memoryview, label: str) -> Iterator[memoryview]:
    at = 0
    while at + 8 <= len(data):
        group, element, length = struct.unpack_from("<HHL", data, at)
        tag, at = group << 16 | element, at + 8
        if tag == _END:
            return
        if tag != _ITEM or at + length > len(data):
            break
        yield data[at : at + length]
        at += length
    if at == len(data) > 0:  # a data set in memory has no end marker
        return
    raise ImageError("the compressed pixels are cut short or damaged", where=label, mend=_AGAIN)


def check_jpeg(data: bytes, kind: str, promised: tuple[int, int, int], label: str) -> int:
    """Precision in bits of a JPEG or JPEG-LS picture of `kind` that is `promised` wide, high and deep.

    `kind` is DCT, lossless or JPEG-LS. Raises ImageError when it is another one, or has another size.
    """
    marker, precision, height, width, components = _jpeg_header(data, label)
    if marker not in _KINDS[kind]:
        what = f"the picture is compressed in another way than the header says (marker {marker:#04x}, not {kind})"
        raise ImageError(what, where=label, mend="export it again")
    _same((width, height, components), promised, label)
    if not 2 <= precision <= 16:
        raise ImageError(f"samples of {precision} bits", where=label, mend="at most 16 are read")
    _ends(data, label)
    return precision


def _jpeg_header(data: bytes, label: str) -> tuple[int, int, int, int, int]:
    """Marker, precision, height, width and components of the first frame header."""
    at = 2 if data[:2] == b"\xff\xd8" else len(data)
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in (0xFF, 0x01) or 0xD0 <= marker <= 0xD7:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAMES and at + 10 <= len(data):
            return marker, *struct.unpack_from(">BHHB", data, at + 4)
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    raise ImageError("the compressed picture has no header", where=label, mend=_AGAIN)


def codestream(data: bytes, label: str) -> bytes:
    """The JPEG 2000 codestream itself, where somebody put a whole JP2 file into the pixels."""
    if not data.startswith(b"\0\0\0\x0cjP  "):
        return data
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, at)
        if kind == b"jp2c":
            return data[at + 8 : None if length in (0, 1) else at + length]
        if length < 8:
            break
        at += length
    raise ImageError("a JP2 file without its codestream", where=label, mend=_AGAIN)


def check_jpeg_2000(data: bytes, promised: tuple[int, int, int], label: str) -> int:
    """Precision in bits of a JPEG 2000 picture that is `promised` wide, high and deep; and what it costs is bounded."""
    if data[:4] != b"\xff\x4f\xff\x51" or len(data) < 42:
        raise ImageError("the compressed picture has no header", where=label, mend=_AGAIN)
    x, y, x0, y0, tile_x, tile_y, tile_x0, tile_y0, components = struct.unpack_from(">8LH", data, 8)
    _same((x - x0, y - y0, components), promised, label)
    parts = data[42 : 42 + 3 * components]
    if len(parts) < 3 * components or any(step != 1 for step in (*parts[1::3], *parts[2::3])):
        raise ImageError("a subsampled JPEG 2000 picture", where=label, mend="export it in full resolution")
    if not tile_x or not tile_y or tile_x0 > x0 or tile_y0 > y0:
        raise ImageError("the compressed picture has impossible tiles", where=label, mend=_AGAIN)
    tiles = -(-(x - tile_x0) // tile_x) * -(-(y - tile_y0) // tile_y)
    blocks = _blocks(data, min(tile_x, x - x0), min(tile_y, y - y0)) * tiles * components
    if tiles > MAX_TILES or blocks > MAX_BLOCKS:
        raise ImageError("a JPEG 2000 picture cut into too many parts", where=label, mend="such a file is a bomb")
    _ends(data, label)
    precision = max((part & 0x7F) + 1 for part in parts[::3])
    if precision > 16:
        raise ImageError(f"samples of {precision} bits", where=label, mend="at most 16 are read")
    return int(precision)


def _blocks(data: bytes, width: int, height: int) -> int:
    """About how many precincts and code-blocks a tile of this size has, by the coding styles of the main header."""
    most, at = 0, 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0x90:
        length = struct.unpack_from(">H", data, at + 2)[0]
        body = data[at + 4 : at + 2 + length]
        if data[at + 1] == 0x52 and len(body) >= 10:
            most = max(most, _style_blocks(body[5:], bool(body[0] & 1), width, height))
        elif data[at + 1] == 0x53 and len(body) >= 7:
            most = max(most, _style_blocks(body[2:], bool(body[1] & 1), width, height))
        at += 2 + length
    return most


def _style_blocks(style: bytes, told: bool, width: int, height: int) -> int:
    """`style`: levels, code-block exponents, two flags, and the precinct exponents of each level when `told`."""
    levels, block_x, block_y = min(style[0], 32), (style[1] & 15) + 2, (style[2] & 15) + 2
    found = 0
    for level in range(levels + 1):
        w, h = max(1, width >> (levels - level)), max(1, height >> (levels - level))
        size = style[5 + level] if told and len(style) > 5 + level else 0xFF
        precinct_x, precinct_y = size & 15, size >> 4
        found += -(-w >> precinct_x) * -(-h >> precinct_y)
        found += -(-w >> min(block_x, precinct_x)) * -(-h >> min(block_y, precinct_y))
    return abs(found)


def check_rle(data: bytes, pixels: int, segments: int, label: str) -> None:
    """Raises ImageError unless there are so many segments, each of which unpacks to `pixels` bytes.

    They are counted before they are unpacked: one decoder would otherwise write beyond its memory, another fill all of it.
    """
    offsets = struct.unpack_from("<16L", data) if len(data) >= 64 else (0,) * 16
    if offsets[0] != segments:
        what = f"the RLE pixels have {offsets[0]} segments, {segments} are needed"
        raise ImageError(what, where=label, mend=_AGAIN)
    ends = (*offsets[2 : segments + 1], len(data))
    for start, end in zip(offsets[1 : segments + 1], ends, strict=True):
        if not 64 <= start < end <= len(data):
            raise ImageError("the RLE pixels are cut short or damaged", where=label, mend=_AGAIN)
        if _unpacked_length(data, start, end, pixels) != pixels:
            raise ImageError("the RLE pixels unpack to more or less than the picture", where=label, mend=_AGAIN)


def _unpacked_length(data: bytes, at: int, end: int, most: int) -> int:
    """Bytes that a segment unpacks to, counted no further than just above `most` (PS3.5 G.3.2)."""
    found = 0
    while at < end and found <= most:
        head = data[at]
        if head < 128:
            found += min(head + 1, end - at - 1)  # a byte of padding has nothing behind it
            at += head + 2
        elif head > 128:
            found += (257 - head) * (at + 1 < end)
            at += 2
        else:
            at += 1
    return found


def _same(found: tuple[int, int, int], promised: tuple[int, int, int], label: str) -> None:
    if found != promised:
        (w, h, c), (pw, ph, pc) = found, promised
        what = f"the compressed picture is {w} x {h} with {c} components, the header says {pw} x {ph} with {pc}"
        raise ImageError(what, where=label, mend="export it again: one of them is wrong")


def _ends(data: bytes, label: str) -> None:
    """A picture that was cut short has lost its end marker; some decoders would fill what is missing with grey."""
    if b"\xff\xd9" not in data[-32:]:
        raise ImageError("the compressed pixels are cut short", where=label, mend=_AGAIN)
