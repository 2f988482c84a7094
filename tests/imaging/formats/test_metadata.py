"""What stands beside a picture: only its orientation matters, and nothing of it can stop the picture."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxreader.errors import ImageError
from cxreader.imaging.formats import exif, jpeg, png
from cxreader.imaging.read import read, size

RAMP = np.tile(np.linspace(0, 250, 64).astype(np.uint8), (48, 1)) + np.arange(48, dtype=np.uint8)[:, None] // 10
UPRIGHT = RAMP / 255
TURNED = np.rot90(RAMP, 2) / 255
INLINE = {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l", 11: "f"}


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


JPEG = encoded(Image.fromarray(RAMP), "JPEG", quality=95)
PNG = encoded(Image.fromarray(RAMP), "PNG")
PALETTE = encoded(Image.fromarray(RAMP).convert("P"), "PNG")
"""A PNG that Pillow alone decodes."""


def entry(tag: int, kind: int, count: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}HHL", tag, kind, count) + value.ljust(4, b"\0")


def tiff(*entries: bytes, order: str = "<", behind: bytes = b"", told: int | None = None) -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = struct.pack(f"{order}LH", 8, len(entries) if told is None else told)
    return mark + head + b"".join(entries) + bytes(4) + behind


def upside_down(order: str = "<") -> bytes:
    return entry(0x0112, 3, 1, struct.pack(f"{order}H", 3), order)


def app1(body: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def jpeg_with(*segments: bytes) -> bytes:
    return JPEG[:2] + b"".join(segments) + JPEG[2:]


def with_exif(body: bytes) -> bytes:
    return jpeg_with(app1(b"Exif\0\0" + body))


def chunk(name: bytes, body: bytes, *, right: bool = True) -> bytes:
    return struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body) ^ (not right))


def png_with(*chunks: bytes) -> bytes:
    return PNG[:33] + b"".join(chunks) + PNG[33:]


ODD_TAGS = {
    "a date that is a float": entry(0x0132, 11, 1, struct.pack("<f", 1.5)),
    "software that is a rational": entry(0x0131, 5, 1, struct.pack("<L", 10**6)),
    "a resolution of -1 by 0": entry(0x011A, 10, 1, struct.pack("<L", 26)),
    "a pointer to nowhere": entry(0x8769, 16, 1, struct.pack("<L", 0xFFFFFFFF)),
    "GPS that is two rationals": entry(0x8825, 5, 2, struct.pack("<L", 0x7FFFFFFF)),
    "a maker that is a number": entry(0x010F, 3, 1, struct.pack("<H", 7)),
    "components of no kind": entry(0x9101, 0, 0xFFFFFFFF, b""),
    "a lens of 4 GB": entry(0x927C, 7, 0xFFFFFFF0, struct.pack("<L", 8)),
}


@pytest.mark.parametrize("name", ODD_TAGS)
@pytest.mark.parametrize("first", [True, False])
def test_no_other_tag_matters_whatever_its_type(name: str, *, first: bool) -> None:
    entries = [upside_down(), ODD_TAGS[name]][:: -1 if first else 1]
    data = with_exif(tiff(*entries, behind=struct.pack("<ll", -1, 0)))
    np.testing.assert_allclose(read(data).pixels, TURNED, atol=0.02)
    assert read(data).notes == ()
    assert read(with_exif(tiff(ODD_TAGS[name]))).notes == ()


def test_exif_that_is_cut_garbage_empty_or_begins_twice() -> None:
    for body in (b"", b"II*\0", b"\0\1\2garbage", b"MM\0*\xff\xff\xff\xff", tiff(told=60_000), b"II*\0\xf0\0\0\0"):
        found = read(with_exif(body))
        np.testing.assert_allclose(found.pixels, UPRIGHT, atol=0.02)
        assert found.notes == ()
    for body in (b"Exif\0\0" + tiff(upside_down()), tiff(upside_down(), told=9)[:-4]):
        np.testing.assert_allclose(read(with_exif(body)).pixels, TURNED, atol=0.02)
    value = tiff(
        entry(0x0112, 5, 1, struct.pack("<L", 26)), behind=struct.pack("<LL", 6, 2)
    )  # a rational behind the rest
    halves = read(jpeg_with(app1(b"Exif\0\0" + value[:24]), app1(b"Exif\0\0" + value[24:])))
    np.testing.assert_allclose(halves.pixels, TURNED, atol=0.02)
    both = read(jpeg_with(app1(b"Exif\0\0" + tiff(upside_down())), app1(b"Exif\0\0" + tiff())))
    np.testing.assert_allclose(both.pixels, TURNED, atol=0.02)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [*INLINE, 5, 10, 12])
def test_an_orientation_of_any_type_of_number_counts(kind: int, order: str) -> None:
    if kind in INLINE:
        body = tiff(entry(0x0112, kind, 1, struct.pack(order + INLINE[kind], 6), order), order=order)
    else:
        value = struct.pack(order + {5: "LL", 10: "ll", 12: "d"}[kind], *((6.0,) if kind == 12 else (12, 2)))
        body = tiff(entry(0x0112, kind, 1, struct.pack(f"{order}L", 26), order), order=order, behind=value)
    assert exif.orientation(body) == (6, ())


@pytest.mark.parametrize(
    "odd",
    [
        entry(0x0112, 3, 1, struct.pack("<H", 9)),
        entry(0x0112, 3, 1, struct.pack("<H", 0)),
        entry(0x0112, 2, 2, b"6\0"),
        entry(0x0112, 11, 1, struct.pack("<f", 6.5)),
        entry(0x0112, 5, 1, struct.pack("<L", 10**6)),
        entry(0x0112, 99, 1, b"\6"),
    ],
    ids=["9", "0", "text", "a fraction", "nowhere", "of no type"],
)
def test_an_orientation_that_is_none_leaves_the_picture_and_a_note_says_so(odd: bytes) -> None:
    found = read(with_exif(tiff(odd)))
    np.testing.assert_allclose(found.pixels, UPRIGHT, atol=0.02)
    assert found.notes == ("an EXIF orientation that is none of 1 to 8: shown as stored",)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_orientation_is_turned_as_pillow_turns_it(orientation: int) -> None:
    from PIL import ImageOps

    body = tiff(entry(0x0112, 3, 1, struct.pack("<H", orientation)))
    data = with_exif(body)
    with Image.open(io.BytesIO(data)) as image:
        theirs = np.asarray(ImageOps.exif_transpose(image), np.float32) / 255
    np.testing.assert_array_equal(read(data).pixels, theirs)
    np.testing.assert_array_equal(read(png_with(chunk(b"eXIf", body))).pixels.shape, theirs.shape)


def test_the_orientation_of_xmp_counts_where_exif_has_none() -> None:
    xmp = b'<rdf:Description tiff:Orientation="3"/>'
    packet = app1(b"http://ns.adobe.com/xap/1.0/\0" + xmp)
    np.testing.assert_allclose(read(jpeg_with(packet)).pixels, TURNED, atol=0.02)
    one = app1(b"Exif\0\0" + tiff(entry(0x0112, 3, 1, b"\1")))
    np.testing.assert_allclose(read(jpeg_with(one, packet)).pixels, UPRIGHT, atol=0.02)
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    np.testing.assert_array_equal(read(png_with(text)).pixels, read(PNG).pixels[::-1, ::-1])
    raw = b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n      26\n" + tiff(upside_down()).hex().encode())
    np.testing.assert_array_equal(read(png_with(chunk(b"zTXt", raw))).pixels, read(PNG).pixels[::-1, ::-1])


def test_the_first_picture_of_a_file_of_several_jpegs_is_read() -> None:
    other = Image.fromarray(255 - RAMP)
    buffer = io.BytesIO()
    Image.fromarray(RAMP).save(buffer, "MPO", save_all=True, append_images=[other], quality=95)
    np.testing.assert_allclose(read(buffer.getvalue()).pixels, UPRIGHT, atol=0.02)


def test_segments_that_a_jpeg_does_not_need() -> None:
    for body in (b"ICC_PROFILE\0\1", b"ICC_PROFILE\0" + bytes(60_000), b"MPF\0", b"Photoshop 3.0\0" + b"8BIM" * 3, b""):
        for marker in (0xE2, 0xED, 0xEF, 0xFE):
            data = jpeg_with(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body)
            np.testing.assert_array_equal(read(data).pixels, read(JPEG).pixels)
    np.testing.assert_array_equal(read(jpeg_with(app1(b""), b"\0\0junk")).pixels, read(JPEG).pixels)  # between segments


def test_the_size_of_a_jpeg_whose_frame_lies_behind_large_segments() -> None:
    import tempfile

    many = jpeg_with(*[app1(bytes(65_000))] * 6)
    with tempfile.NamedTemporaryFile() as file:
        file.write(many)
        file.flush()
        assert size(file.name) == (64, 48)


def test_adobes_colours_are_kept() -> None:
    ramp = Image.fromarray(RAMP).convert("RGB").convert("CMYK")
    data = encoded(ramp, "JPEG", quality=95)
    assert b"Adobe" in jpeg.without_metadata(data, "a")[0]
    np.testing.assert_allclose(read(data).pixels, UPRIGHT, atol=0.06)


BOMB = zlib.compress(bytes(2**26))
CHUNKS = {
    "unknown": chunk(b"prVt", b"anything"),
    "a damaged text": chunk(b"tEXt", b"Comment\0text", right=False),
    "a text bomb": chunk(b"zTXt", b"Comment\0\0" + BOMB),
    "an orientation bomb": chunk(b"zTXt", b"Raw profile type exif\0\0" + BOMB),
    "a profile bomb": chunk(b"iCCP", b"sRGB\0\0" + BOMB),
    "a profile of another kind": chunk(b"iCCP", b"sRGB\0\7xx"),
    "a profile without a name": chunk(b"iCCP", b""),
    "a large text": chunk(b"tEXt", b"Comment\0" + b"x" * 2**22),
    "gamma of 0": chunk(b"gAMA", bytes(4)),
    "a short gamma": chunk(b"gAMA", b"\1"),
    "a short resolution": chunk(b"pHYs", b"\1\2"),
    "a short time": chunk(b"tIME", b"\1"),
    "short colours": chunk(b"cHRM", b"\1\2\3"),
    "an odd text": chunk(b"iTXt", b"no zeros"),
    "damaged EXIF": chunk(b"eXIf", tiff(upside_down()), right=False),
    "an animation of one": chunk(b"acTL", struct.pack(">LL", 1, 0)),
    "a short animation": chunk(b"acTL", b"\0"),
    "a name that is none": struct.pack(">L4s", 3, b"\0\1\2\3") + b"abc" + bytes(4),
    "a length that is too long": struct.pack(">L4s", 2**30, b"tEXt") + b"Comment\0text" + bytes(4),
    "a length that is too short": struct.pack(">L4s", 2, b"tEXt") + b"Comment\0IDAT text" + bytes(4),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_a_chunk_that_the_picture_does_not_need_cannot_stop_it(name: str) -> None:
    found = read(png_with(CHUNKS[name]))
    np.testing.assert_array_equal(found.pixels, read(PNG).pixels)
    assert found.notes == ()
    behind = PNG[:-12] + CHUNKS[name] + PNG[-12:]
    np.testing.assert_array_equal(read(behind).pixels, read(PNG).pixels)


def test_an_unknown_critical_chunk_is_told() -> None:
    assert read(png_with(chunk(b"ABCD", b""))).notes == ("a PNG with a chunk of no known kind: read without it",)


def test_a_damaged_transparency_is_left_out_and_told() -> None:
    for bad in (chunk(b"tRNS", b"\0\x05", right=False), chunk(b"tRNS", b"\0\0\5")):
        found = read(png_with(bad))
        np.testing.assert_array_equal(found.pixels, read(PNG).pixels)
        assert found.notes == ("a damaged transparency: left out",)


def chunks_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 8
    while at < len(data):
        (length,) = struct.unpack_from(">L", data, at)
        yield at, data[at + 4 : at + 8]
        at += 12 + length


def test_a_critical_chunk_with_a_wrong_checksum_is_damage() -> None:
    palette = encoded(Image.fromarray(RAMP).convert("P"), "PNG")
    for data, name in ((PNG, b"IDAT"), (palette, b"PLTE")):
        at = next(at for at, found in chunks_of(data) if found == name)
        (length,) = struct.unpack_from(">L", data, at)
        place = at + 8 + length
        damaged = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(ImageError, match=f"damaged PNG \\(its chunk {name.decode()} is cut short, or its checksum"):
            read(damaged)
    head = PNG[:29] + bytes([PNG[29] ^ 1]) + PNG[30:]
    with pytest.raises(ImageError, match=r"damaged PNG \(the header's checksum is wrong\); copy the file again"):
        read(head)


def test_a_second_header_cannot_make_a_bomb_of_a_small_picture() -> None:
    large = chunk(b"IHDR", struct.pack(">LLBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    np.testing.assert_array_equal(read(png_with(large)).pixels, read(PNG).pixels)


def test_a_png_for_programs_of_phones_is_named_as_what_it_is() -> None:
    data = PNG[:8] + chunk(b"CgBI", bytes(4)) + PNG[8:]
    with pytest.raises(ImageError, match=r"CgBI\) is not read; save it as PNG with another program"):
        read(data)


def test_a_png_as_it_ordinarily_is_reaches_its_decoder_unchanged() -> None:
    assert png.picture(PNG, "a").data == PNG


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"II*\0", "TIFF"), (b"RIFF\0\0\0\0WEBP", "WebP"), (b"BM", "BMP"), (b"%PDF-1.7", "PDF"), (b"\x1f\x8b", "gzip")],
)
def test_other_formats_are_named(start: bytes, kind: str) -> None:
    with pytest.raises(ImageError, match=rf"not a PNG, JPEG or DICOM image but an? {kind} .*; give the radiograph as"):
        read(start + bytes(64))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\0\0\0\x18ftypheic" + bytes(400), "but an HEIC picture"),
        (b"\n<!doctype html><html>not found", "but a web page or XML"),
        (b"a.png" + bytes(252) + b"ustar" + bytes(200), "but a tar archive"),
        (b"\x5c\1" + bytes(342) + b"n+1\0" + bytes(40), "but a NIfTI volume"),
        (bytes(5000), "the file holds nothing but zeros; copy the file again from its source"),
        (b"", "the file is empty; copy the file again from its source"),
    ],
)
def test_what_is_no_image_is_named_by_what_it_holds(content: bytes, what: str) -> None:
    with pytest.raises(ImageError, match=what):
        read(content, name="a.png")


def test_what_no_decoder_was_expected_to_raise_is_an_error_of_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise AttributeError("a name")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", broken)
    with pytest.raises(
        ImageError, match=r"^a.png: this PNG cannot be decoded \(AttributeError\); copy the file again .*if an"
    ):
        read(PALETTE, name="a.png")

    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", exhausted)
    with pytest.raises(ImageError, match="there is not enough memory to decode it"):
        read(PALETTE)
