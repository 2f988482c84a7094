"""Every kind of file a folder of radiographs holds, good and bad, by its content."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxreader.errors import ImageError
from cxreader.imaging.read import read, size
from cxreader.inference.prepared import as_radiograph

RAMP = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))  # (48, 64), darker to the left


NOISE = np.random.default_rng(0).integers(0, 256, (48, 64)).astype(np.uint8)


def _encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _png_header(width: int, height: int) -> bytes:
    """A PNG whose header promises a size it does not have."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)

    def chunk(body: bytes) -> bytes:
        return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))

    return b"\x89PNG\r\n\x1a\n" + chunk(head) + chunk(data) + chunk(b"IEND")


def test_grey_png_is_read_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "named.jpg"  # by content, not by name
    path.write_bytes(_encoded(Image.fromarray(RAMP)))
    radiograph = read(path)
    assert radiograph.pixels.dtype == np.float32
    assert (radiograph.width, radiograph.height) == (64, 48) == size(path)
    np.testing.assert_array_equal(np.rint(radiograph.pixels * 255).astype(np.uint8), RAMP)
    assert radiograph.source == str(path)


def test_sixteen_bits_are_scaled_by_their_range() -> None:
    wide = RAMP.astype(np.uint16) * 257
    np.testing.assert_allclose(read(_encoded(Image.fromarray(wide))).pixels, RAMP / 255, atol=1e-6)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_fewer_bits_in_sixteen_are_scaled_by_their_range_and_it_says_so(bits: int) -> None:
    top = 2**bits - 1
    stored = ((RAMP.astype(np.int64) * top + 127) // 255).astype(np.uint16)
    for radiograph in (read(_encoded(Image.fromarray(stored))), as_radiograph(stored)):
        np.testing.assert_allclose(radiograph.pixels, RAMP / 255, atol=1 / top)
        assert f"{bits}-bit" in radiograph.notes[0]
    one_more = np.where(stored == top, top + 1, stored).astype(np.uint16)
    assert read(_encoded(Image.fromarray(one_more))).pixels.max() < 0.51


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1"])
def test_other_modes_become_the_same_grey(mode: str) -> None:
    black_and_white = Image.fromarray(np.where(RAMP > 127, 255, 0).astype(np.uint8))
    expected = np.asarray(black_and_white, np.float32) / 255
    np.testing.assert_allclose(read(_encoded(black_and_white.convert(mode))).pixels, expected, atol=1 / 255)


def test_transparency_is_laid_on_black() -> None:
    rgba = Image.fromarray(np.full((48, 64), 200, np.uint8)).convert("RGBA")
    rgba.putalpha(Image.fromarray(np.where(np.arange(64) < 32, 0, 255).astype(np.uint8)[None].repeat(48, 0)))
    pixels = read(_encoded(rgba)).pixels
    assert pixels[:, :32].max() == 0
    np.testing.assert_allclose(pixels[:, 32:], 200 / 255, atol=1 / 255)
    grey = read(_encoded(Image.fromarray(RAMP), transparency=255)).pixels  # one value of grey is transparent
    np.testing.assert_allclose(grey, np.where(RAMP == 255, 0, RAMP / 255), atol=1e-6)


def test_a_palette_with_transparency_is_read() -> None:
    palette = Image.fromarray(RAMP).convert("P")
    assert read(_encoded(palette, transparency=0)).pixels.shape == RAMP.shape


def test_cmyk_jpeg_keeps_dark_dark() -> None:
    pixels = read(_encoded(Image.fromarray(RAMP).convert("RGB").convert("CMYK"), "JPEG", quality=95)).pixels
    np.testing.assert_allclose(pixels, RAMP / 255, atol=0.06)


@pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_exif_rotation_is_applied(orientation: int, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = read(_encoded(Image.fromarray(RAMP), "JPEG", quality=95, exif=exif)).pixels
    np.testing.assert_allclose(pixels, np.rot90(RAMP, turn) / 255, atol=0.05)


BAD = {
    "empty": (b"", "empty"),
    "text named png": (b"patient,label\n1,normal\n", "not a PNG, JPEG or DICOM"),
    "truncated png": (_encoded(Image.fromarray(NOISE))[:1500], "damaged PNG"),
    "truncated jpeg": (_encoded(Image.fromarray(RAMP), "JPEG")[:-200], "damaged JPEG"),
    "bare magic": (b"\x89PNG\r\n\x1a\n", "damaged PNG"),
    "1 x 1": (_encoded(Image.new("L", (1, 1))), "1 x 1 pixels"),
    "bomb": (_png_header(30_000, 30_000), "30000 x 30000"),
    "two frames": (
        _encoded(Image.fromarray(RAMP), "PNG", save_all=True, append_images=[Image.fromarray(255 - RAMP)]),
        "2 frames",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_content_is_one_line_with_what_where_and_the_mend(name: str, tmp_path: Path) -> None:
    content, what = BAD[name]
    path = tmp_path / "image.png"
    path.write_bytes(content)
    with pytest.raises(ImageError) as caught:
        read(path)
    message = str(caught.value)
    assert what in message
    assert message.startswith(str(path))
    assert caught.value.mend
    assert "\n" not in message


def test_fifty_million_pixels_are_read_and_no_more() -> None:
    with pytest.raises(ImageError, match="damaged PNG"):  # decoded, and found empty
        read(_png_header(10_000, 5_000))
    with pytest.raises(ImageError, match="promises 10000 x 5001 pixels; at most 50 million are read"):
        read(_png_header(10_000, 5_001))


def test_a_png_of_too_many_chunks_is_a_bomb() -> None:
    data = _encoded(Image.fromarray(RAMP))
    chunk = bytes(4) + b"prVt" + struct.pack(">I", zlib.crc32(b"prVt"))
    assert read(data[:33] + chunk * 1000 + data[33:]).width == 64  # behind IHDR
    with pytest.raises(ImageError, match="a PNG of too many chunks; such a file is a bomb"):
        read(data[:33] + chunk * 65_536 + data[33:])


def test_a_bomb_costs_no_memory(tmp_path: Path) -> None:
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(ImageError):
        read(_png_header(60_000, 60_000))
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_folder_and_a_missing_file_say_so(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(ImageError, match="no such file"):
        read(tmp_path / "absent.png")
    with pytest.raises(ImageError, match="no such file"):
        size(tmp_path / "absent.png")


def test_what_cannot_be_opened_is_told_with_what_helps(tmp_path: Path) -> None:
    for name, mend in (
        (str(tmp_path / "a.png"), "no such file; check the path"),
        (
            "https://example.org/a.png",
            "no such file; fetch the file first: of addresses those of s3, gs, abfs and hdfs",
        ),
        (
            str(tmp_path / ("a" * 300)),
            r"cannot be opened \(File name too long\); check its name, and the disk it lies on",
        ),
    ):
        with pytest.raises(ImageError, match=mend):
            read(name)


def test_bytes_and_path_give_the_same(tmp_path: Path) -> None:
    data = _encoded(Image.fromarray(RAMP))
    (tmp_path / "a.png").write_bytes(data)
    np.testing.assert_array_equal(read(data).pixels, read(tmp_path / "a.png").pixels)


def test_a_noisy_png_is_no_jpeg_of_many_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 65536, (512, 512)).astype(np.uint16)
    data = _encoded(Image.fromarray(noise))
    monkeypatch.setattr("cxreader.imaging.formats.jpeg.MAX_SCANNED", noise.size)
    assert data.count(b"\xff\xda") > 1
    np.testing.assert_allclose(read(data).pixels, noise / 65535, atol=1e-6)


def test_a_small_file_takes_little_memory_and_a_large_one_is_refused_unread(tmp_path: Path) -> None:
    import tracemalloc

    (tmp_path / "a.png").write_bytes(_encoded(Image.fromarray(RAMP)))
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(300 * 2**20)
    tracemalloc.start()
    read(tmp_path / "a.png")
    with pytest.raises(ImageError, match="has 300 MiB; at most 256 MiB are read"):
        read(tmp_path / "large.png")
    assert tracemalloc.get_traced_memory()[1] < 2**21
    tracemalloc.stop()
