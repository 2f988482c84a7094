"""One picture, one answer, however many bits a format gives its values; and JPEG files of more than 8 bits."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.dicom_files import TOOLS, converted, dataset, encoded, picture
from tests.imaging.bombs import jpeg as bare_jpeg

from cxreader.errors import ImageError, MissingDecoderError
from cxreader.imaging.formats.depth import STRAY, depth_of
from cxreader.imaging.read import read, size
from cxreader.inference.prepared import as_radiograph

GREY = picture(8, noise=0.02).astype(np.int64)  # 72 x 96, of all 8-bit values
PLAIN = GREY / 255


def png(values: NDArray[Any], colour: int = 0) -> bytes:
    """A PNG of 16 bits a sample, (H, W) or (H, W, samples), of this colour type."""
    rows = values.astype(">u2").reshape(len(values), -1)
    head = struct.pack(">LLBBBBB", values.shape[1], values.shape[0], 16, colour, 0, 0, 0)
    lines = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 15, 16])
def test_a_picture_is_the_same_whatever_depth_its_values_have(bits: int) -> None:
    top = 2**bits - 1
    values = np.rint(PLAIN * top).astype(np.uint16)
    for found in (read(png(values)), as_radiograph(values), read(png(np.stack([values, values * 0 + 65535], -1), 4))):
        np.testing.assert_allclose(found.pixels, PLAIN, atol=1 / top)
        assert found.notes == (() if bits == 16 else (f"16 bits with {bits}-bit values: scaled by {top}",))


@pytest.mark.parametrize("hot", [4100, 65535])
@pytest.mark.parametrize("bits", [8, 12])
def test_a_stray_pixel_does_not_change_the_others_and_a_note_counts_it(hot: int, bits: int) -> None:
    values = np.tile(np.rint(PLAIN * (2**bits - 1)).astype(np.uint16), (2, 2))
    expected = read(png(values)).pixels.copy()
    values[5, 7] = hot
    expected[5, 7] = 1
    found = read(png(values))
    np.testing.assert_array_equal(found.pixels, expected)
    assert found.notes[0].endswith("(1 brighter pixel cut)")


def test_more_than_a_stray_share_counts() -> None:
    values = np.zeros((100, 200), np.uint16)
    values.flat[:3] = 5000
    assert 2 < STRAY * values.size * 1.5 == 3
    values.flat[3:6] = 4000
    assert depth_of(values) == (14, 0)
    values.flat[2] = 0
    assert depth_of(values) == (12, 2)
    assert depth_of(np.zeros((10, 10), np.uint16)) == (16, 0)


def test_colours_of_16_bits_are_scaled_too_or_refused_where_too_little_is_left() -> None:
    for bits in (16, 15, 14):
        values = np.rint(PLAIN * (2**bits - 1)).astype(np.uint16)
        found = read(png(np.stack([values] * 3, -1), 2))
        np.testing.assert_allclose(found.pixels, PLAIN, atol=2 ** (8 - bits) + 1 / 255)
        assert found.notes == (() if bits == 16 else (f"16 bits with {bits}-bit values: scaled by {2**bits - 1}",))
    for bits in (12, 10, 8):
        values = np.rint(PLAIN * (2**bits - 1)).astype(np.uint16)
        with pytest.raises(
            ImageError, match=f"colours of 16 bits that use {max(bits, 9)} at most are not read; save it as a"
        ):
            read(png(np.stack([values] * 3, -1), 2))


def test_transparency_of_16_bits_is_laid_on_black() -> None:
    values = np.rint(PLAIN * 4095).astype(np.uint16)
    alpha = np.where(np.arange(96) < 40, 0, 65535).astype(np.uint16)[None].repeat(72, 0)
    pixels = read(png(np.stack([values, alpha], -1), 4)).pixels
    assert pixels[:, :40].max() == 0
    np.testing.assert_allclose(pixels[:, 40:], PLAIN[:, 40:], atol=1 / 4095)


def codestream_of(data: bytes) -> bytes:
    """The JPEG in a DICOM file, as a file of its own."""
    from pydicom.encaps import generate_frames

    return next(generate_frames(pydicom.dcmread(io.BytesIO(data)).PixelData, number_of_frames=1))


@pytest.fixture
def twelve(dcmtk: Path) -> bytes:
    """A JPEG file of 12 bits."""
    return codestream_of(converted(encoded(dataset(picture())), dcmtk, *TOOLS["JPEG extended"]))


def test_a_jpeg_file_of_12_bits_is_read(twelve: bytes) -> None:
    pytest.importorskip("libjpeg")
    found = read(twelve, name="a.jpg")
    np.testing.assert_allclose(found.pixels, picture() / 4095, atol=0.03)
    assert found.notes == ()
    exif = b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    turned = read(twelve[:2] + exif + twelve[2:])
    np.testing.assert_array_equal(turned.pixels, np.rot90(found.pixels, -1))


def test_a_jpeg_file_of_12_bits_without_its_decoder_is_named_as_what_it_is(
    twelve: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pydicom.pixels.decoders.base import JPEGExtended12BitDecoder

    monkeypatch.delitem(JPEGExtended12BitDecoder._available, "pylibjpeg", raising=False)
    with pytest.raises(
        MissingDecoderError, match=r"^a\.jpg: a JPEG of 12 bits is not read: no decoder .*; pip install"
    ):
        read(twelve, name="a.jpg")


@pytest.mark.parametrize("tail", [(0, 0, 0), (0, 255, 0), (1, 63, 0), (0, 63, 0x10), (0, 63, 1)])
def test_12_bits_with_an_odd_scan_header_are_read_in_dicom_and_alone(
    tail: tuple[int, int, int], twelve: bytes, dcmtk: Path
) -> None:
    pytest.importorskip("libjpeg")
    at = twelve.index(b"\xff\xda\x00\x08") + 7
    odd = twelve[:at] + bytes(tail) + twelve[at + 3 :]
    np.testing.assert_array_equal(read(odd).pixels, read(twelve).pixels)
    whole = converted(encoded(dataset(picture(), WindowCenter=2048, WindowWidth=4096)), dcmtk, *TOOLS["JPEG extended"])
    at = whole.index(b"\xff\xda\x00\x08") + 7
    np.testing.assert_array_equal(read(whole[:at] + bytes(tail) + whole[at + 3 :]).pixels, read(whole).pixels)


@pytest.mark.parametrize("name", ["JPEG lossless SV1", "JPEG-LS"])
def test_lossless_jpeg_files_of_16_bits_hold_what_their_values_use(name: str, dcmtk: Path) -> None:
    for bits in (12, 16):
        values = picture(bits)
        made = dataset(values, bits=16)
        data = codestream_of(converted(encoded(made), dcmtk, *TOOLS[name]))
        found = read(data)
        np.testing.assert_allclose(found.pixels, values / (2**bits - 1), atol=1e-6)
        assert found.notes == (() if bits == 16 else ("16 bits with 12-bit values: scaled by 4095",))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (
            bare_jpeg(0xC3, 12, 64, bytes(40) + b"\xff\xd9", 3),
            "a JPEG of 12 bits, 3 components and frame 0xc3 is not read",
        ),
        (bare_jpeg(0xC7, 8, 64, bytes(40) + b"\xff\xd9"), "a JPEG of 8 bits, 1 components and frame 0xc7 is not read"),
        (bare_jpeg(0xC0, 8, 64, bytes(40) + b"\xff\xd9", 2), "a JPEG of 2 components is not read"),
        (bare_jpeg(0xC0, 8, 0, bytes(40) + b"\xff\xd9"), r"the header tells no size \(0 x 0 pixels\)"),
    ],
)
def test_a_jpeg_that_is_not_read_is_not_called_damaged(data: bytes, what: str) -> None:
    with pytest.raises(ImageError, match=f"{what}; save it "):
        read(data)


def test_the_size_of_a_deep_jpeg(twelve: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(twelve)
    assert size(tmp_path / "a.jpg") == (96, 72)


def test_a_grey_jpeg_is_what_pillow_decodes() -> None:
    buffer = io.BytesIO()
    Image.fromarray(GREY.astype(np.uint8)).save(buffer, "JPEG")
    with Image.open(buffer) as image:
        np.testing.assert_array_equal(read(buffer.getvalue()).pixels, np.asarray(image, np.float32) / 255)
