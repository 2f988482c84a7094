"""What a compressed picture promises, one lie at a time: each is refused in its own words before any decoder is called."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from tests.imaging.bombs import ITEM, huffman, j2k, jpeg, scan

from cxreader.errors import ImageError
from cxreader.imaging.dicom import codestreams

EOI = b"\xff\xd9"
SIZE = (64, 64, 1)


def item(value: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<L", len(value)) + value


def dct(precision: int, side: int = 64, tail: bytes = EOI) -> bytes:
    return jpeg(0xC1, precision, side, huffman() + scan() + bytes(40) + tail)


def test_fragments_are_joined_behind_the_offset_table() -> None:
    end = b"\xfe\xff\xdd\xe0" + bytes(4)
    data = item(bytes(4)) + item(b"ab") + item(b"cdef")
    assert codestreams.frame(memoryview(data + end + b"behind"), "a") == b"abcdef"
    assert codestreams.frame(memoryview(data), "a") == b"abcdef"  # in memory, without an end


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (item(b"") + 2 * item(dct(8)), "the file holds 2 frames"),
        (item(b""), "without a picture"),
        (b"", "cut short or damaged"),
        (item(b"") + item(b"ab") + b"\xfe\xff", "cut short or damaged"),
        (item(b"") + item(b"abcd")[:-1], "cut short or damaged"),
        (item(b"") + b"\xfe\xff\x01\xe0" + bytes(5), "cut short or damaged"),
        (ITEM * 65_536, "in too many pieces"),
    ],
)
def test_fragments_that_are_no_frame(data: bytes, what: str) -> None:
    with pytest.raises(ImageError, match=what):
        codestreams.frame(memoryview(data), "a")


@pytest.mark.parametrize("precision", [2, 8, 16])
def test_the_precision_of_a_jpeg(precision: int) -> None:
    assert codestreams.check_jpeg(dct(precision), "DCT", SIZE, "a") == precision


@pytest.mark.parametrize(
    ("data", "kind", "what"),
    [
        (dct(1), "DCT", "samples of 1 bits; at most 16 are read"),
        (dct(17), "DCT", "samples of 17 bits"),
        (dct(8), "lossless", "in another way than the header says"),
        (dct(8, 65), "DCT", "65 x 65 with 1 components, the header says 64 x 64 with 1"),
        (dct(8, tail=b""), "DCT", "cut short"),
        (dct(8, tail=EOI + b"\1" * 31), "DCT", "cut short"),
        (b"\xff\xd8" + EOI, "DCT", "no frame header"),
        (b"\xff\xd8\xff\xcc" + struct.pack(">HBHHB", 11, 8, 64, 64, 1) + bytes(40) + EOI, "DCT", "no frame header"),
    ],
)
def test_a_jpeg_that_lies(data: bytes, kind: str, what: str) -> None:
    with pytest.raises(ImageError, match=what):
        codestreams.check_jpeg(data, kind, SIZE, "a")


def test_zeros_behind_the_end_are_padding() -> None:
    assert codestreams.check_jpeg(dct(8, tail=EOI + bytes(5000)), "DCT", SIZE, "a") == 8


def test_fill_bytes_and_bare_markers_stand_before_a_frame() -> None:
    data = dct(8)
    assert codestreams.check_jpeg(data[:2] + b"\xff\xff\x01\xff\xd3" + data[2:], "DCT", SIZE, "a") == 8


@pytest.mark.parametrize(("marker", "kind", "least"), [(0xC3, "lossless", 131_072), (0xC1, "DCT", 2048)])
def test_a_jpeg_has_a_bit_for_each_value_or_for_each_block_of_64(marker: int, kind: str, least: int) -> None:
    head, size = jpeg(marker, 12, 1024, b""), (1024, 1024, 1)
    short, enough = (head + bytes(n - len(head) - 2) + EOI for n in (least - 1, least))
    assert codestreams.check_jpeg(enough, kind, size, "a") == 12
    with pytest.raises(ImageError, match="the compressed pixels are cut short"):
        codestreams.check_jpeg(short, kind, size, "a")


def test_a_run_of_jpeg_ls_may_be_shorter() -> None:
    assert codestreams.check_jpeg(jpeg(0xF7, 12, 64, bytes(40) + EOI), "JPEG-LS", SIZE, "a") == 12


def with_fields(data: bytes, **fields: int) -> bytes:
    """A JPEG 2000 picture with other numbers in its SIZ segment (T.800 A.5.1)."""
    places = {"x0": (16, ">L"), "y0": (20, ">L"), "tile_x": (24, ">L"), "tile_y": (28, ">L"), "tile_x0": (32, ">L")}
    places |= {"tile_y0": (36, ">L"), "components": (40, ">H"), "depth": (42, ">B"), "dx": (43, ">B"), "dy": (44, ">B")}
    found = bytearray(data)
    for name, value in fields.items():
        struct.pack_into(places[name][1], found, places[name][0], value)
    return bytes(found)


@pytest.mark.parametrize(("depth", "precision"), [(7, 8), (11, 12), (15, 16), (0x80 | 11, 12)])
def test_the_precision_of_a_jpeg_2000_picture(depth: int, precision: int) -> None:
    assert codestreams.check_jpeg_2000(with_fields(j2k(64), depth=depth), SIZE, "a") == precision


def coc(style: bytes) -> Callable[[bytes], bytes]:
    """Put a coding style for one component before the quantisation."""
    return lambda data: data.replace(
        b"\xff\x5c", b"\xff\x53" + struct.pack(">H", len(style) + 4) + b"\0\0" + style + b"\xff\x5c", 1
    )


@pytest.mark.parametrize(
    ("data", "size", "what"),
    [
        (with_fields(j2k(64), depth=16), SIZE, "samples of 17 bits"),
        (with_fields(j2k(64), x0=1), SIZE, "63 x 64 with 1 components"),
        (with_fields(j2k(64), components=2), SIZE, "64 x 64 with 2 components"),
        (with_fields(j2k(64), dx=2), SIZE, "a subsampled JPEG 2000 picture"),
        (with_fields(j2k(64), dy=2), SIZE, "a subsampled JPEG 2000 picture"),
        (with_fields(j2k(64), tile_x=0), SIZE, "impossible tiles"),
        (with_fields(j2k(64), tile_y=0), SIZE, "impossible tiles"),
        (with_fields(j2k(64), tile_x0=1), SIZE, "impossible tiles"),
        (with_fields(j2k(64), tile_y0=1), SIZE, "impossible tiles"),
        (j2k(64)[:41], SIZE, "has no header"),
        (b"\xff\x4f\xff\x52" + j2k(64)[4:], SIZE, "has no header"),
        (j2k(64)[:-2], SIZE, "cut short"),
        (j2k(200, tile=1), (200, 200, 1), "too many parts"),  # 40,000 tiles of some ten blocks: few blocks, many tiles
        (coc(b"\x05\x00\x00\x00\x00")(j2k(7000)), (7000, 7000, 1), "too many parts"),  # code-blocks of 4 x 4
    ],
)
def test_a_jpeg_2000_picture_that_lies(data: bytes, size: tuple[int, int, int], what: str) -> None:
    with pytest.raises(ImageError, match=what):
        codestreams.check_jpeg_2000(data, size, "a")


def rle(*segments: bytes, first: int = 64, count: int | None = None) -> bytes:
    offsets, at = [], first
    for segment in segments:
        offsets.append(at)
        at += len(segment)
    return struct.pack(
        "<16L", len(segments) if count is None else count, *offsets, *[0] * (15 - len(offsets))
    ) + b"".join(segments)


@pytest.mark.parametrize("segment", [b"\x03abcd", b"\xfda", b"\x80\x01ab\x01cd", b"\x03abcd\0"])
def test_a_segment_of_four_bytes(segment: bytes) -> None:
    """Literal, run, two packets behind a byte without meaning, a byte of padding (PS3.5 G.3.1)."""
    codestreams.check_rle(rle(segment), 4, 1, "a")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (rle(b"\x03abcd", count=2), "have 2 segments, 1 are needed"),
        (b"", "have 0 segments"),
        (rle(b"\x03abcd", first=63), "cut short or damaged"),
        (rle(b"\x03abcd", first=70), "cut short or damaged"),
        (rle(b"\x02abc"), "unpack to more or less"),
        (rle(b"\x04abcde"), "unpack to more or less"),
        (rle(b"\x03abc"), "unpack to more or less"),  # a literal that goes on behind the end
        (rle(b"\xfd"), "unpack to more or less"),  # a run of nothing
        (rle(b"\xfca"), "unpack to more or less"),
        (rle(b"\x80" * 65_539 + b"\x03abcd"), "unpack to more or less"),  # no more packets are counted than may be
    ],
)
def test_rle_that_is_not_the_picture(data: bytes, what: str) -> None:
    with pytest.raises(ImageError, match=what):
        codestreams.check_rle(data, 4, 1, "a")
