"""Grey PNG decoded in less time: the bytes that Pillow gives, and nothing is read that Pillow refuses."""

from __future__ import annotations

import importlib
import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from cxreader.errors import ImageError
from cxreader.imaging.formats import fast_png, png
from cxreader.imaging.read import read

WIDTH, HEIGHT = 70, 50
PIXELS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8)
RAW = b"".join(b"\0" + row.tobytes() for row in PIXELS)
PACKED = zlib.compress(RAW)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body))


def _file(packed: bytes, *, ihdr: bytes = bytes((8, 0, 0, 0, 0)), more: bytes = b"") -> bytes:
    head = _chunk(b"IHDR", struct.pack(">LL", WIDTH, HEIGHT) + ihdr)
    halves = _chunk(b"IDAT", packed[:99]) + _chunk(b"IDAT", packed[99:])
    return png.MAGIC + head + more + halves + _chunk(b"IEND", b"")


def _fast(data: bytes) -> NDArray[np.uint8] | None:
    return fast_png.decoded(png.picture(data, "a file"))


def _slow(data: bytes) -> NDArray[np.float32]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_png, "decoded", lambda picture: None)
        return read(data).pixels


def test_the_packages_are_here() -> None:
    assert fast_png._tools() is not None
    np.testing.assert_array_equal(_fast(_file(PACKED)), PIXELS)


@pytest.mark.peer
@given(
    seed=st.integers(0, 2**31),
    sides=st.tuples(st.integers(32, 90), st.integers(32, 90)),
    filters=st.lists(st.integers(0, 4), min_size=90, max_size=90),
    level=st.integers(0, 9),
)
@settings(max_examples=50, deadline=None)
def test_every_filter_gives_what_pillow_gives(
    seed: int, sides: tuple[int, int], filters: list[int], level: int
) -> None:
    """The bytes are filtered ones already: any are, whatever picture they stand for."""
    height, width = sides
    rows = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    raw = b"".join(bytes([kind]) + row.tobytes() for kind, row in zip(filters, rows, strict=False))
    head = _chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0))
    data = png.MAGIC + head + _chunk(b"IDAT", zlib.compress(raw, level)) + _chunk(b"IEND", b"")
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(_fast(data), np.asarray(image))
    np.testing.assert_array_equal(read(data).pixels, _slow(data))


def test_an_orientation_is_applied_as_to_any_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    written = io.BytesIO()
    Image.fromarray(PIXELS).save(written, "PNG", exif=exif)
    assert _fast(written.getvalue()) is not None
    np.testing.assert_array_equal(read(written.getvalue()).pixels, np.rot90(PIXELS, -1).astype(np.float32) / 255)


@pytest.mark.parametrize(
    ("packed", "damaged"),
    [
        (PACKED[:-4] + b"abcd", True),  # its sum is wrong: kornia-rs alone would not look at it
        (PACKED[:200] + bytes(100) + PACKED[300:], True),
        (PACKED[: len(PACKED) // 2], True),
        (zlib.compress(RAW[:-1]), True),
        (zlib.compress(b"\5" + RAW[1:]), True),
        (PACKED[:-4], False),
        (zlib.compress(RAW + b"more"), False),
    ],
)
def test_what_is_unusual_is_left_to_pillow(packed: bytes, damaged: bool) -> None:
    data = _file(packed)
    assert _fast(data) is None
    if damaged:
        with pytest.raises(ImageError, match="damaged PNG"):
            read(data)
    else:
        np.testing.assert_array_equal(read(data).pixels, PIXELS.astype(np.float32) / 255)


@pytest.mark.parametrize(
    "data",
    [
        _file(PACKED, ihdr=bytes((8, 0, 0, 0, 1))),
        _file(PACKED, ihdr=bytes((8, 0, 0, 0, 7))),
        _file(PACKED, ihdr=bytes((8, 3, 0, 0, 0)), more=_chunk(b"PLTE", bytes(768))),
        _file(zlib.compress(RAW * 2), ihdr=bytes((16, 0, 0, 0, 0))),
        _file(PACKED, more=_chunk(b"tRNS", b"\0\1")),
    ],
)
def test_other_kinds_are_left_to_pillow(data: bytes) -> None:
    assert _fast(data) is None


def test_without_the_packages_pillow_decodes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    tools: Callable[[], object] = fast_png._tools.__wrapped__
    monkeypatch.setattr(importlib, "import_module", absent)
    assert tools() is None
    monkeypatch.setattr(fast_png, "_tools", tools)
    np.testing.assert_array_equal(read(_file(PACKED)).pixels, PIXELS.astype(np.float32) / 255)
