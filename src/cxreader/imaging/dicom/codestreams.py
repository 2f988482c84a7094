"""What a compressed picture promises, checked before a decoder is given it: size, precision, components, and its cost.

JPEG: ITU-T T.81 B.2; JPEG-LS: T.87 C.2; JPEG 2000: T.800 A.5-A.6; RLE: PS3.5 annex G.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

from cxreader.errors import ImageError
from cxreader.imaging.files import COPY_AGAIN
from cxreader.imaging.formats import jpeg
from cxreader.imaging.limits import MAX_PARTS
from cxreader.imaging.refusing import PERHAPS

MAX_TILES = 16_384
MAX_BLOCKS = 4_000_000
"""Precincts and code-blocks of a JPEG 2000 picture; OpenJPEG holds a record of each, however empty they are."""
_ITEM, _END = 0xFFFEE000, 0xFFFEE0DD
_ITEM_BYTES = b"\xfe\xff\x00\xe0"
_JP2 = b"\0\0\0\x0cjP  "
_HEAD = 4096
"""Bytes in which a compressed picture says what it is."""
_KINDS = {"DCT": (0xC0, 0xC1, 0xC2), "lossless": (0xC3,), "JPEG-LS": (0xF7,)}


def frame(pixels: memoryview | None, label: str, frames: int | None = None) -> bytes:
    """The one frame of encapsulated Pixel Data, its fragments joined (PS3.5 A.4).

    `frames`: the header's Number of Frames, which decides, None when it tells none; then several beginnings of pictures are
    several frames. The offset table, which may be wrong or missing, is not needed. Raises ImageError when the frame is cut
    short, in more than MAX_PARTS fragments, or one of several.
    """
    items = list(islice(_items(pixels if pixels is not None else memoryview(b""), label), MAX_PARTS))
    if len(items) == MAX_PARTS:
        raise ImageError("the compressed pixels lie in too many pieces", where=label, mend=COPY_AGAIN)
    begun = [n for n, item in enumerate(items) if family(item) is not None or is_rle(item)]
    if begun[:1] != [0]:  # some writers leave the offset table out
        items, begun = items[1:], [n - 1 for n in begun]
    if len(begun) > 1 and frames is None:
        raise ImageError(f"the file holds {len(begun)} frames", where=label, mend="give one image a file")
    if not items:
        raise ImageError("compressed pixels without a picture", where=label, mend=COPY_AGAIN)
    return b"".join(items[: begun[1] if len(begun) > 1 else None])


def is_encapsulated(pixels: memoryview) -> bool:
    """Whether Pixel Data begins with an item, as fragments do."""
    return bytes(pixels[:4]) == _ITEM_BYTES


def family(data: bytes | memoryview) -> str | None:
    """DCT, lossless, JPEG-LS, JPEG 2000 or HTJ2K, by the first bytes of a compressed picture; None for anything else.

    A JPEG whose frame header lies further behind is taken for DCT.
    """
    start = bytes(data[:_HEAD])
    if start.startswith((_JP2, b"\xff\x4f\xff\x51")):
        raw = start[start.find(b"\xff\x4f\xff\x51") :]
        return "HTJ2K" if len(raw) > 6 and raw[6] & 0x40 else "JPEG 2000"  # Rsiz (T.814 A.3): bit 14
    if not start.startswith(b"\xff\xd8\xff"):
        return None
    try:
        marker = jpeg.frame_header(start, "")[0]
    except ImageError:
        return "DCT"
    return next((kind for kind, markers in _KINDS.items() if marker in markers), None)


def is_rle(data: bytes | memoryview) -> bool:
    """Whether the bytes begin with the header of an RLE frame (PS3.5 G.5)."""
    if len(data) < 66:
        return False
    count, *offsets = struct.unpack_from("<16L", data)
    used = offsets[:count]
    ordered = used == sorted(set(used)) and used[-1:] < [len(data)]
    return 1 <= count <= 15 and offsets[0] == 64 and ordered and not any(offsets[count:])


def _items(data: memoryview, label: str) -> Iterator[memoryview]:
    """The Basic Offset Table, then each fragment (PS3.5 table A.4-1)."""
    at = 0
    while at + 8 <= len(data):
        group, element, length = struct.unpack_from("<HHL", data, at)
        tag, at = group << 16 | element, at + 8
        if tag == _END:
            return
        if tag != _ITEM:
            break
        yield data[at : at + length]
        at += length
    if at == len(data) > 0:  # a data set in memory has no end marker
        return
    raise ImageError("the compressed pixels are cut short or damaged", where=label, mend=COPY_AGAIN)


def check_jpeg(data: bytes, kind: str, promised: tuple[int, int, int], label: str) -> int:
    """Precision in bits of a JPEG or JPEG-LS picture, 2 to 16.

    `kind`: DCT, lossless or JPEG-LS, as the transfer syntax says. `promised`: columns, rows and samples of the header. Raises
    ImageError when the picture is of another kind or size, has no end, or too few bytes for its pixels.
    """
    marker, precision, height, width, components = jpeg.frame_header(data, label)
    if marker not in _KINDS[kind]:
        what = f"the picture is compressed in another way than the header says (marker {marker:#04x}, not {kind})"
        raise ImageError(what, where=label, mend="export it again")
    _check_size((width, height, components), promised, label)
    if not 2 <= precision <= 16:
        raise ImageError(f"samples of {precision} bits", where=label, mend="at most 16 are read")
    _check_end(data, label)
    least = 1 / 512 if kind == "DCT" else 1 / 8  # a bit for each block of 64, or for each value
    if kind != "JPEG-LS" and len(data) < least * width * height * components:
        raise ImageError("the compressed pixels are cut short", where=label, mend=COPY_AGAIN)
    return precision


def codestream(data: bytes, label: str) -> bytes:
    """The JPEG 2000 codestream: `data` itself, or what is in the box of a JP2 file (T.800 I.5.4), which some writers put there.

    Raises ImageError for a JP2 file without one.
    """
    if not data.startswith(_JP2):
        return data
    at = 0
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            break
        length, kind = struct.unpack_from(">L4s", data, at)
        if kind == b"jp2c":
            return data[at + 8 : None if length in (0, 1) else at + length]
        if length < 8:
            break
        at += length
    raise ImageError("a JP2 file without its codestream", where=label, mend=COPY_AGAIN)


def check_jpeg_2000(data: bytes, promised: tuple[int, int, int], label: str) -> int:
    """Precision in bits of a JPEG 2000 picture, the greatest of its components (T.800 A.5.1), at most 16.

    `promised`: columns, rows and samples of the header. Raises ImageError when the picture has another size, is subsampled or
    cut short, or has more than MAX_TILES tiles or MAX_BLOCKS precincts and code-blocks.
    """
    if data[:4] != b"\xff\x4f\xff\x51" or len(data) < 42:
        raise ImageError("the compressed picture has no header", where=label, mend=PERHAPS)
    x, y, x0, y0, tile_x, tile_y, tile_x0, tile_y0, components = struct.unpack_from(">8LH", data, 8)
    _check_size((x - x0, y - y0, components), promised, label)
    parts = data[42 : 42 + 3 * components]
    if len(parts) < 3 * components or any(step != 1 for step in (*parts[1::3], *parts[2::3])):
        raise ImageError("a subsampled JPEG 2000 picture", where=label, mend="export it in full resolution")
    if not tile_x or not tile_y or tile_x0 > x0 or tile_y0 > y0:
        raise ImageError("the compressed picture has impossible tiles", where=label, mend=PERHAPS)
    tiles = -(-(x - tile_x0) // tile_x) * -(-(y - tile_y0) // tile_y)
    blocks = _blocks(data, min(tile_x, x - x0), min(tile_y, y - y0)) * tiles * components
    if tiles > MAX_TILES or blocks > MAX_BLOCKS:
        raise ImageError("a JPEG 2000 picture cut into too many parts", where=label, mend="such a file is a bomb")
    _check_end(data, label)
    precision = max((part & 0x7F) + 1 for part in parts[::3])
    if precision > 16:
        raise ImageError(f"samples of {precision} bits", where=label, mend="at most 16 are read")
    return int(precision)


def _blocks(data: bytes, width: int, height: int) -> int:
    """About how many precincts and code-blocks a component of a tile of this size has, by the costliest coding style.

    `width`, `height`: pixels of the tile. Styles are those of the COD and COC segments of all headers (T.800 A.6.1, A.6.2).
    """
    most = 0
    for marker, body in islice(_headers(data), MAX_PARTS):
        if marker == 0x52 and len(body) >= 10:  # COD
            most = max(most, _style_blocks(body[5:], bool(body[0] & 1), width, height))
        elif marker == 0x53 and len(body) >= 7:  # COC, with one byte for the component
            most = max(most, _style_blocks(body[2:], bool(body[1] & 1), width, height))
    return most


def is_colour_transformed(data: bytes) -> bool:
    """Whether decoding a JPEG 2000 picture undoes a transformation of its colours (T.800 table A.17), by its first COD."""
    return next((body[4] == 1 for marker, body in _headers(data) if marker == 0x52 and len(body) > 4), False)


def _headers(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and body of each segment of the main header and of every tile's."""
    at, after = 2, len(data)
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        if marker == 0x93:  # the tile's data begin: on to the next tile
            at = after
            continue
        if marker == 0x90 and at + 12 <= len(data):
            part = struct.unpack_from(">L", data, at + 6)[0]
            after = max(at + part, at + 14) if part else len(data)
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length


def _style_blocks(style: bytes, has_precincts: bool, width: int, height: int) -> int:
    """Precincts and code-blocks by one coding style (T.800 tables A.15, A.20).

    `style`: levels, code-block exponents, two flags; behind them the precinct exponents of each level if `has_precincts`.
    """
    levels, block_x, block_y = min(style[0], 32), (style[1] & 15) + 2, (style[2] & 15) + 2
    found = 0
    for level in range(levels + 1):
        w, h = max(1, width >> (levels - level)), max(1, height >> (levels - level))
        size = style[5 + level] if has_precincts and len(style) > 5 + level else 0xFF
        precinct_x, precinct_y = size & 15, size >> 4
        found += -(-w >> precinct_x) * -(-h >> precinct_y)
        found += -(-w >> min(block_x, precinct_x)) * -(-h >> min(block_y, precinct_y))
    return abs(found)


def rle_segments(data: bytes) -> int:
    """How many segments an RLE frame says that it has."""
    return int.from_bytes(data[:4], "little")


def check_rle(data: bytes, pixels: int, segments: int, label: str) -> None:
    """Raise ImageError unless the RLE frame (PS3.5 G.5) has `segments` segments, each of which unpacks to `pixels` bytes.

    The bytes are counted before they are unpacked: one decoder would otherwise write beyond its memory, another fill all of it.
    """
    offsets = struct.unpack_from("<16L", data) if len(data) >= 64 else (0,) * 16
    if offsets[0] != segments:
        what = f"the RLE pixels have {offsets[0]} segments, {segments} are needed"
        raise ImageError(what, where=label, mend="export it again: one of them is wrong")
    ends = (*offsets[2 : segments + 1], len(data))
    for start, end in zip(offsets[1 : segments + 1], ends, strict=True):
        if not 64 <= start < end <= len(data):
            raise ImageError("the RLE pixels are cut short or damaged", where=label, mend=COPY_AGAIN)
        if _unpacked_length(data, start, end, pixels) != pixels:
            raise ImageError("the RLE pixels unpack to more or less than the picture", where=label, mend=COPY_AGAIN)


def _unpacked_length(data: bytes, at: int, end: int, most: int) -> int:
    """Bytes that a segment unpacks to, counted no further than just above `most` (PS3.5 G.3.2)."""
    found = 0
    for _ in range(most // 2 + MAX_PARTS):  # packets; less than two bytes each are no compression
        if at >= end or found > most:
            break
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


def _check_size(found: tuple[int, int, int], promised: tuple[int, int, int], label: str) -> None:
    if found != promised:
        (w, h, c), (pw, ph, pc) = found, promised
        what = f"the compressed picture is {w} x {h} with {c} components, the header says {pw} x {ph} with {pc}"
        raise ImageError(what, where=label, mend="export it again: one of them is wrong")


def _check_end(data: bytes, label: str) -> None:
    """Raise ImageError for a picture without its end marker: it was cut short, and some decoders would fill it with grey."""
    if b"\xff\xd9" not in data[-32:] and b"\xff\xd9" not in data.rstrip(b"\0")[-32:]:  # padding is no picture
        raise ImageError("the compressed pixels are cut short", where=label, mend=COPY_AGAIN)
