"""What GDCM is given of a JPEG Lossless picture: what it needs and no more; and each way in which a header can be wrong."""

from __future__ import annotations

import struct

import pytest

from cxreader.errors import ImageError
from cxreader.imaging.dicom.lossless import rewritten

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
VALUES = b"\x12\xff\x00\x34\xff\xd0\x56"
"""Compressed values with a stuffed byte and a restart marker, neither of which ends them."""


def segment(marker: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2 if length is None else length) + body


def frame(*components: int, sampling: int = 0x11, count: int | None = None, marker: int = 0xC3) -> bytes:
    found = b"".join(bytes((component, sampling, 0)) for component in components)
    return segment(marker, struct.pack(">BHHB", 16, 64, 64, len(components) if count is None else count) + found)


def huffman(counts: dict[int, int], symbols: bytes, *, place: int = 0) -> bytes:
    """A table of so many codes of each length in bits, and their categories of differences."""
    return segment(0xC4, bytes((place, *(counts.get(bits, 0) for bits in range(1, 17)))) + symbols)


def scan(*components: int, table: int = 0, tail: tuple[int, int, int] = (1, 0, 0), count: int | None = None) -> bytes:
    found = b"".join(bytes((component, table << 4)) for component in components)
    return segment(0xDA, bytes((len(components) if count is None else count,)) + found + bytes(tail)) + VALUES


FRAME, TABLE, SCAN = frame(1), huffman({2: 3}, b"\0\1\2"), scan(1)


def jpeg(*parts: bytes) -> bytes:
    return b"".join((SOI, *parts, EOI))


GOOD = {
    "the least": jpeg(FRAME, TABLE, SCAN),
    "tables before the frame": jpeg(TABLE, FRAME, SCAN),
    "a restart interval": jpeg(FRAME, TABLE, segment(0xDD, b"\0\x40"), SCAN),
    "a code that is complete": jpeg(FRAME, huffman({1: 2}, b"\0\1"), SCAN),
    "all 17 categories": jpeg(FRAME, huffman({5: 17}, bytes(range(17))), SCAN),
    "the last table": jpeg(FRAME, huffman({1: 1}, b"\0", place=3), scan(1, table=3)),
    "two tables in a segment": jpeg(
        FRAME, segment(0xC4, (huffman({1: 1}, b"\0")[4:] + huffman({1: 1}, b"\0", place=1)[4:])), scan(1, table=1)
    ),
    "three components in a scan": jpeg(frame(1, 2, 3), TABLE, scan(1, 2, 3)),
    "three components, a scan each": jpeg(frame(1, 2, 3), TABLE, scan(1), scan(3), scan(2)),
    "the last predictor, the greatest shift": jpeg(FRAME, TABLE, scan(1, tail=(7, 0, 15))),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_picture_of_what_it_needs_stays_as_it_is(name: str) -> None:
    assert rewritten(GOOD[name], "a.dcm") == GOOD[name]


def test_what_a_picture_does_not_need_is_dropped() -> None:
    more = (segment(0xE0, b"JFIF\0" + bytes(9)), segment(0xEF, b"Doe^Jane"), segment(0xFE, b"Doe^Jane"))
    data = jpeg(*more, segment(0xDB, bytes(65)), b"\xff" * 63 + FRAME, TABLE, *more, SCAN, *more) + b"behind the end"
    assert rewritten(data, "a.dcm") == jpeg(FRAME, TABLE, SCAN)


BAD: dict[str, tuple[bytes, str]] = {
    "no start": (jpeg(FRAME, TABLE, SCAN)[2:], "no start"),
    "bytes between segments": (jpeg(FRAME, b"\0", TABLE, SCAN), "no marker where one belongs"),
    "more than 64 bytes of fill": (jpeg(FRAME, TABLE, b"\xff" * 64 + SCAN), "cut short"),
    "a length of 0": (jpeg(FRAME, segment(0xFE, b"", 0), TABLE, SCAN), "cut short"),
    "a length of 1": (jpeg(FRAME, segment(0xFE, b"", 1), TABLE, SCAN), "cut short"),
    "a segment longer than the file": (jpeg(FRAME, TABLE, SCAN, segment(0xFE, b"", 100)), "cut short"),
    "no bytes behind a marker": (SOI + FRAME + TABLE + b"\xff\xfe", "unpack_from requires"),
    "no end of the compressed values": (jpeg(FRAME, TABLE, SCAN)[:-2], "no end"),
    "a restart interval of 4 bytes": (
        jpeg(FRAME, TABLE, segment(0xDD, bytes(4)), SCAN),
        "marker 0xdd where none belongs",
    ),
    "two frames": (jpeg(FRAME, FRAME, TABLE, SCAN), "marker 0xc3 where none belongs"),
    "another kind of frame": (jpeg(FRAME, frame(1, marker=0xC0), TABLE, SCAN), "marker 0xc0 where none belongs"),
    "arithmetic coding": (jpeg(FRAME, segment(0xCC, b"\0\0"), TABLE, SCAN), "marker 0xcc where none belongs"),
    "a thousand comments": (jpeg(*[segment(0xFE, b"")] * 1000, FRAME, TABLE, SCAN), "too many parts"),
    "no frame": (jpeg(TABLE), "not all of it is there"),
    "no scan": (jpeg(FRAME, TABLE), "not all of it is there"),
    "a component without a scan": (jpeg(frame(1, 2, 3), TABLE, scan(1), scan(2)), "not all of it is there"),
    "a frame of no components": (jpeg(frame(), TABLE, SCAN), "a frame that makes no sense"),
    "a frame of four components": (jpeg(frame(1, 2, 3, 4), TABLE, scan(1, 2, 3, 4)), "a frame that makes no sense"),
    "fewer components than the frame says": (jpeg(frame(1, count=2), TABLE, SCAN), "a frame that makes no sense"),
    "a component twice in the frame": (jpeg(frame(1, 1), TABLE, SCAN), "a subsampled frame"),
    "subsampling": (jpeg(frame(1, sampling=0x21), TABLE, SCAN), "a subsampled frame"),
    "more codes than there can be": (jpeg(FRAME, huffman({1: 3}, b"\0\1\2"), SCAN), "table that is no code"),
    "a code too many at last": (
        jpeg(FRAME, huffman({1: 1, 2: 1, 3: 3}, bytes(range(5))), SCAN),
        "table that is no code",
    ),
    "a code too many of 16 bits": (
        jpeg(FRAME, huffman({**dict.fromkeys(range(1, 16), 1), 16: 3}, bytes(range(18))), SCAN),
        "table that is no code",
    ),
    "a fifth table": (jpeg(FRAME, huffman({1: 1}, b"\0", place=4), SCAN), "table that makes no sense"),
    "a table for cosines": (jpeg(FRAME, huffman({1: 1}, b"\0", place=0x10), SCAN), "table that makes no sense"),
    "a table of nothing": (jpeg(FRAME, huffman({}, b""), SCAN), "table that makes no sense"),
    "a table without lengths": (jpeg(FRAME, segment(0xC4, bytes(9)), SCAN), "table that makes no sense"),
    "fewer categories than codes": (jpeg(FRAME, huffman({2: 3}, b"\0\1"), SCAN), "table that makes no sense"),
    "a difference of 17 bits": (jpeg(FRAME, huffman({1: 1}, b"\x11"), SCAN), "table that makes no sense"),
    "a category twice": (jpeg(FRAME, huffman({2: 2}, b"\1\1"), SCAN), "table with a difference twice"),
    "a scan of no components": (jpeg(FRAME, TABLE, scan(), SCAN), "a scan that makes no sense"),
    "fewer components than the scan says": (jpeg(FRAME, TABLE, scan(1, count=2)), "a scan that makes no sense"),
    "a component twice in a scan": (jpeg(frame(1, 2), TABLE, scan(1, 1), scan(2)), "a scan of what is not there"),
    "a component that the frame has not": (jpeg(FRAME, TABLE, scan(2)), "a scan of what is not there"),
    "a scan before the frame": (jpeg(TABLE, SCAN, FRAME), "a scan of what is not there"),
    "a component scanned twice": (jpeg(FRAME, TABLE, SCAN, SCAN), "a scan of what is not there"),
    "a scan without its table": (jpeg(FRAME, TABLE, scan(1, table=1)), "a scan of what is not there"),
    "predictor 0": (jpeg(FRAME, TABLE, scan(1, tail=(0, 0, 0))), "an unknown predictor"),
    "predictor 8": (jpeg(FRAME, TABLE, scan(1, tail=(8, 0, 0))), "an unknown predictor"),
}


@pytest.mark.parametrize("name", BAD)
def test_each_way_to_be_wrong_is_refused_for_what_it_is(name: str) -> None:
    data, what = BAD[name]
    kind = "damaged JPEG Lossless picture|this JPEG Lossless picture is damaged, or of a kind that is not read"
    with pytest.raises(ImageError, match=f"^a.dcm: ({kind}) .*{what}.*; copy the file again"):
        rewritten(data, "a.dcm")


def test_only_what_is_cut_short_is_called_damaged_outright() -> None:
    for name, outright in (("a segment longer than the file", True), ("predictor 8", False), ("two frames", False)):
        with pytest.raises(ImageError) as caught:
            rewritten(BAD[name][0], "a.dcm")
        assert caught.value.what.startswith("damaged") == outright
        assert ("if another program opens it" in str(caught.value)) != outright


@pytest.mark.parametrize("tail", [(1, 63, 0), (1, 0, 0x10), (1, 255, 0xF0)])
def test_numbers_that_a_lossless_scan_does_not_have_are_put_right(tail: tuple[int, int, int]) -> None:
    assert rewritten(jpeg(FRAME, TABLE, scan(1, tail=tail)), "a.dcm") == jpeg(FRAME, TABLE, SCAN)
