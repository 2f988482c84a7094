"""Files that would cost a naive reader its memory, its time or its life; and a child process that reads them one by one.

`python -m tests.imaging.bombs FOLDER` reads every file of a folder and prints a line of JSON for each.
"""

from __future__ import annotations

import io
import json
import re
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tests.dicom_files import dataset, encoded, jpeg_2000, picture

BIG = 7000
"""Side of a square of 49 million pixels: just what is still read."""
PLAIN = encoded(dataset(picture(), WindowCenter=2000, WindowWidth=3000))
END = b"\xfe\xff\xdd\xe0\0\0\0\0"
ITEM = b"\xfe\xff\x00\xe0\0\0\0\0"
UIDS = {"RLE": "1.2.840.10008.1.2.5"} | {n: f"1.2.840.10008.1.2.4.{n}" for n in ("50", "51", "57", "70", "80", "90")}


def most_memory() -> float:
    """MiB that this program had at most. `ru_maxrss` is no measure of it: it begins with what the process that started it had."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """One explicit little endian element, its length told right or wrong."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    length = len(value) if length is None else length
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        return head + struct.pack("<HL", 0, length) + value
    return head + struct.pack("<H", length % 65536) + value


def file(*elements: bytes, syntax: str = "1.2.840.10008.1.2.1") -> bytes:
    """A DICOM file of these elements."""
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    return bytes(128) + b"DICM" + element(0x00020010, b"UI", uid) + b"".join(elements)


def image(side: int, pixels: bytes, *, syntax: str = "1.2.840.10008.1.2.1", bits: int = 16) -> bytes:
    """A file that promises a square picture."""
    module = {0x00280002: 1, 0x00280010: side, 0x00280011: side, 0x00280100: bits, 0x00280101: bits, 0x00280103: 0}
    elements = [element(tag, b"US", struct.pack("<H", value)) for tag, value in module.items()]
    elements.insert(1, element(0x00280004, b"CS", b"MONOCHROME2 "))
    return file(*elements, pixels, syntax=syntax)


def encapsulated(frame: bytes) -> bytes:
    """Pixel Data of one fragment."""
    item = b"\xfe\xff\x00\xe0"
    body = item + bytes(4) + item + struct.pack("<L", len(frame)) + frame + END
    return element(0x7FE00010, b"OB", body, 0xFFFFFFFF)


def compressed(name: str, side: int, frame: bytes, *, bits: int = 16) -> bytes:
    """A file that promises a square picture, compressed in the way of `UIDS`."""
    return image(side, encapsulated(frame), syntax=UIDS[name], bits=bits)


def fragments(value: bytes) -> bytes:
    """A picture whose Pixel Data is just this, without an end of its own."""
    return image(64, element(0x7FE00010, b"OB", value, 0xFFFFFFFF), syntax=UIDS["90"])


def jpeg(marker: int, precision: int, side: int, rest: bytes, components: int = 1) -> bytes:
    """A JPEG's frame header of this kind, and whatever follows."""
    frame = struct.pack(">BHHB", precision, side, side, components) + b"\x01\x11\x00" * components
    return b"\xff\xd8" + struct.pack(">BBH", 0xFF, marker, len(frame) + 2) + frame + rest


def scan(tail: bytes = b"\0\0\0") -> bytes:
    return b"\xff\xda\x00\x08\x01\x01\x00" + tail


def huffman(table_class: int = 0) -> bytes:
    return b"\xff\xc4\x00\x14" + bytes([table_class << 4]) + b"\x01" + bytes(15) + b"\x00"


def j2k(side: int, *, tile: int = 0, cod: bytes = b"\x00\x00\x00\x01\x00\x05\x04\x04\x00\x00") -> bytes:
    """A JPEG 2000 main header and an empty tile."""
    size = struct.pack(">H8LH", 0, side, side, 0, 0, tile or side, tile or side, 0, 0, 1) + b"\x0f\x01\x01"
    quantisation = b"\xff\x5c" + struct.pack(">H", 19) + b"\x40" + bytes(16)
    part = b"\xff\x90" + struct.pack(">HHLBB", 10, 0, 14, 0, 1) + b"\xff\x93"
    head = b"\xff\x4f\xff\x51" + struct.pack(">H", len(size) + 2) + size
    return head + b"\xff\x52" + struct.pack(">H", len(cod) + 2) + cod + quantisation + part + b"\xff\xd9"


def items(tag: int, value: bytes) -> bytes:
    """A sequence without a length."""
    return element(tag, b"SQ", value, 0xFFFFFFFF)


def nested(depth: int, *, endless: bool, tag: int = 0x00283010) -> bytes:
    """Sequences in sequences."""
    found = element(0x00280010, b"US", b"\1\0")
    if endless:
        opened = element(tag, b"SQ", b"", 0xFFFFFFFF) + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
        return opened * depth + found + (b"\xfe\xff\x0d\xe0\0\0\0\0" + END) * depth
    for _ in range(depth):
        found = element(tag, b"SQ", b"\xfe\xff\x00\xe0" + struct.pack("<L", len(found)) + found)
    return found


def deflated(size: int) -> bytes:
    engine = zlib.compressobj(1, zlib.DEFLATED, -15)
    zeros = bytes(2**20)
    packed = b"".join(engine.compress(zeros) for _ in range(size // 2**20)) + engine.flush()
    return file(packed, syntax="1.2.840.10008.1.2.1.99")


def png(side: int) -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1000))
    chunks = (
        struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) for body in (head, data, b"IEND")
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def progressive(side: int, scans: int) -> bytes:
    """A true progressive JPEG whose last scan stands there again and again."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.zeros((side, side), np.uint8)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * scans + b"\xff\xd9"


def lut(described: tuple[int, int, int], length: int) -> bytes:
    item = element(0x00283002, b"US", struct.pack("<3H", *described)) + element(0x00283006, b"OW", bytes(length))
    return element(0x00283010, b"SQ", b"\xfe\xff\x00\xe0" + struct.pack("<L", len(item)) + item)


def with_elements(*more: bytes, width: int = 64) -> bytes:
    pixels = element(0x7FE00010, b"OW", bytes(width * width * 2))
    return image(width, b"".join((*more, pixels)), bits=16)


DAMAGED, CUT = (
    "cannot be read as DICOM: it is damaged, or written in an unusual way (RecursionError)",
    "the compressed pixels are cut short",
)
BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "deflated zeros": (lambda: deflated(300 * 2**20), "the deflated data set has more than 256 MiB"),
    "nested sequences without an end": (lambda: file(nested(50_000, endless=True)), DAMAGED),
    "nested sequences": (lambda: with_elements(nested(2_000, endless=False)), "read"),
    "nested sequences nobody asked for": (lambda: file(nested(50_000, endless=True, tag=0x00081115)), DAMAGED),
    "65535 x 65535 without pixels": (lambda: image(65535, b""), "promises 65535 x 65535 pixels"),
    "65535 x 65535": (
        lambda: image(65535, element(0x7FE00010, b"OW", bytes(100))),
        "promises 65535 x 65535 pixels",
    ),
    "2 million elements": (lambda: file(element(0x00080005, b"CS", b"") * 2_000_000), "too many elements"),
    "2 million items": (lambda: with_elements(items(0x00283010, ITEM * 2_000_000 + END)), "too many elements"),
    "2 million items nobody asked for": (lambda: file(items(0x00081115, ITEM * 2_000_000 + END)), "too many elements"),
    "a long lookup table sequence": (lambda: with_elements(element(0x00283010, b"SQ", ITEM * 2_000_000)), "read"),
    "an element longer than the file": (
        lambda: file(element(0x00100010, b"UT", b"x", 0xFFFFFFF0)),
        "cut short within its header",
    ),
    "pixels longer than the file": (
        lambda: image(64, element(0x7FE00010, b"OW", b"x" * 10, 0xFFFFFFF0)),
        "the pixels are cut short: 10 bytes of 8,192",
    ),
    "pixels without an end, native": (
        lambda: image(64, element(0x7FE00010, b"OW", bytes(8192), 0xFFFFFFFF)),
        "read",
    ),
    "a fragment longer than the file": (lambda: image(64, encapsulated(b"x" * 50)[:-40], syntax=UIDS["90"]), CUT),
    "no fragment": (lambda: fragments(ITEM + END), "compressed pixels without a picture"),
    "a million fragments": (lambda: fragments(ITEM * 10**6 + END), "lie in too many pieces"),
    "private transfer syntax": (
        lambda: image(64, encapsulated(bytes(100)), syntax="1.3.46.670589.33.1.4.1"),
        "the transfer syntax 1.3.46.670589.33.1.4.1 is not read",
    ),
    "no transfer syntax": (
        lambda: image(64, encapsulated(bytes(100)), syntax=""),
        "compressed pixels, and a header that does not say how",
    ),
    "JPEG of nothing": (
        lambda: compressed("50", BIG, jpeg(0xC0, 8, BIG, huffman() + scan() + b"\xff\xd9"), bits=8),
        CUT,
    ),
    "12-bit JPEG of nothing": (
        lambda: compressed("51", BIG, jpeg(0xC1, 12, BIG, huffman() + huffman(1) + scan() + b"\xff\xd9")),
        CUT,
    ),
    "lossless JPEG of nothing": (
        lambda: compressed("70", BIG, jpeg(0xC3, 16, BIG, huffman() + scan(b"\1\0\0") + b"\xff\xd9")),
        CUT,
    ),
    "JPEG-LS of nothing": (
        lambda: compressed("80", BIG, jpeg(0xF7, 16, BIG, scan() + b"\xff\xd9")),
        "the compressed pixels cannot be decoded by pyjpegls (RuntimeError)",
    ),
    "JPEG 2000 of nothing": (
        lambda: compressed("90", BIG, j2k(BIG)),
        "the compressed pixels cannot be decoded by pylibjpeg (RuntimeError)",
    ),
    "JPEG 2000 of tiles": (lambda: compressed("90", BIG, j2k(BIG, tile=1)), "cut into too many parts"),
    "JPEG 2000 of blocks": (
        lambda: compressed("90", BIG, j2k(BIG, cod=b"\x00\x00\x00\x01\x00\x05\x00\x00\x00\x00")),
        "cut into too many parts",
    ),
    "JPEG 2000 of precincts": (
        lambda: compressed("90", BIG, j2k(BIG, cod=b"\x01\x00\x00\x01\x00\x05\x04\x04\x00\x00" + b"\x11" * 6)),
        "cut into too many parts",
    ),
    "a JP2 box of no length": (
        lambda: compressed("90", 64, b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(4) + b"free" + bytes(50)),
        "a JP2 file without its codestream",
    ),
    "RLE runs": (
        lambda: compressed("RLE", BIG, struct.pack("<16L", 2, 64, 64 + 2 * 10**7, *[0] * 13) + b"\x81\0" * (2 * 10**7)),
        "the RLE pixels unpack to more or less than the picture",
    ),
    "PNG of nothing": (lambda: png(BIG), "damaged PNG (image file is truncated"),
    "a PNG too large": (lambda: png(60_000), "promises 60000 x 60000 pixels"),
    "progressive scans": (lambda: progressive(4000, 2000), "a JPEG of 2,006 scans"),
    "progressive scans in DICOM": (
        lambda: compressed("50", 2000, progressive(2000, 2000), bits=8),
        "a JPEG of 2,006 scans",
    ),
    "an empty lookup table": (lambda: with_elements(lut((100, 0, 16), 0)), "read"),
    "a lookup table of odd depth": (lambda: with_elements(lut((4, 65535, 99), 8)), "read"),
    "numbers that are none": (
        lambda: with_elements(element(0x00281050, b"DS", b"nan "), element(0x00281051, b"DS", b"1e999 ")),
        "read",
    ),
    "a slope of infinity": (
        lambda: with_elements(element(0x00281052, b"DS", b"1e308 "), element(0x00281053, b"DS", b"1e308 ")),
        "slope and intercept lead beyond all numbers",
    ),
    "a window beyond all numbers": (
        lambda: with_elements(element(0x00281050, b"DS", b"1e308 "), element(0x00281051, b"DS", b"1e-308")),
        "read",
    ),
    "an aspect of nothing": (lambda: with_elements(element(0x00280034, b"IS", b"0\\0 ")), "read"),
    "an aspect of 3 at the largest": (
        lambda: image(
            6900, element(0x00280034, b"IS", b"3\\1 ") + element(0x7FE00010, b"OB", bytes(6900 * 6900)), bits=8
        ),
        "read",
    ),
    "the largest, 16 bits": (lambda: image(BIG, element(0x7FE00010, b"OW", bytes(BIG * BIG * 2))), "read"),
    "DICM and nothing": (lambda: bytes(128) + b"DICM", "cut short within its header"),
    "DICM and noise": (
        lambda: bytes(128) + b"DICM" + np.random.default_rng(0).bytes(100_000),
        "without a picture",
    ),
    "JPEG 2000 cut short": (lambda: jpeg_2000(dataset(picture()))[:-3000], CUT),
}
"""How each is made, and what its refusal says: the reason for which it stands here. `read`: odd, and yet a picture."""


def main(folder: Path) -> None:
    """Read each file; its outcome, its seconds of computing and the most memory of this process so far, in MiB."""
    from cxreader.errors import CxreaderError
    from cxreader.imaging.read import read

    for path in sorted(folder.iterdir()):
        start = time.process_time()
        try:
            read(path)
            outcome = "read"
        except CxreaderError as error:
            outcome = f"{type(error).__name__}: {error.what}"
        found: dict[str, Any] = {"file": path.name, "outcome": outcome, "seconds": time.process_time() - start}
        print(json.dumps({**found, "MiB": most_memory()}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
