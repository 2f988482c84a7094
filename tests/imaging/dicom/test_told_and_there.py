"""What a header says and what the data are: these decide, a note says so, and no picture is read shifted."""

from __future__ import annotations

import io
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, JPEGLSLossless, RLELossless
from tests.dicom_files import TOOLS, converted, dataset, encoded, jpeg_2000, picture, table
from tests.imaging.bombs import PLAIN, element

from cxreader.errors import ImageError
from cxreader.imaging.read import read, read_header, size

DATA = Path(__file__).parent / "data"
IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG, LOSSLESS, J2K, RLE = (
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.5",
)
WORDS = {
    IMPLICIT: "implicit VR little endian",
    EXPLICIT: "explicit VR little endian",
    BIG: "explicit VR big endian",
    DEFLATED: "deflated explicit VR little endian",
}
PIXELS = read(PLAIN).pixels
EIGHT = picture(8)
TAG = b"\xe0\x7f\x10\x00"


def told(data: bytes, syntax: str) -> bytes:
    """The file with another transfer syntax in its meta header, and nothing else changed."""
    made = pydicom.dcmread(io.BytesIO(data))
    meta = made.file_meta
    there = meta.TransferSyntaxUID
    old = element(0x00020010, b"UI", there.encode() + b"\0" * (len(there) % 2))
    new = element(0x00020010, b"UI", syntax.encode() + b"\0" * (len(syntax) % 2))
    assert data.count(old) == 1
    at = data.index(b"\x02\x00\x00\x00UL\x04\x00") + 8
    length = struct.unpack_from("<L", data, at)[0] + len(new) - len(old)
    return data[:at] + struct.pack("<L", length) + data[at + 4 :].replace(old, new)


@pytest.fixture(scope="module")
def dcmtk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("dcmconv") is None:
        pytest.skip("no dcmtk here")
    return tmp_path_factory.mktemp("dcmtk")


@pytest.fixture(scope="module")
def encodings(dcmtk: Path) -> dict[str, bytes]:
    names = {EXPLICIT: "explicit", IMPLICIT: "implicit", BIG: "big endian", DEFLATED: "deflated"}
    return {syntax: converted(PLAIN, dcmtk, *TOOLS[name]) for syntax, name in names.items()}


@pytest.mark.parametrize("there", WORDS)
@pytest.mark.parametrize("said", WORDS)
def test_the_encoding_of_the_data_set_decides(
    said: str, there: str, encodings: dict[str, bytes], tmp_path: Path
) -> None:
    data = told(encodings[there], said)
    found = read(data)
    np.testing.assert_array_equal(found.pixels, PIXELS)
    note = f"the header says {WORDS[said]}, the data set is {WORDS[there]}: read as it is"
    assert found.notes == (() if said == there else (note,))
    assert (found.view, read_header(data).rows) == ("PA", 72)
    (tmp_path / "a").write_bytes(data)
    assert size(tmp_path / "a") == (96, 72)


def test_explicit_pixels_behind_implicit_elements_are_not_read_shifted() -> None:
    """An explicit element's letters would be a length of 22,351 bytes, which a large picture has."""
    large = dataset(np.tile(picture(), (3, 3)), WindowCenter=2000, WindowWidth=3000)
    data = told(encoded(large), IMPLICIT)
    np.testing.assert_array_equal(read(data).pixels, read(large).pixels)


def test_an_explicit_element_of_pixels_in_an_implicit_data_set_is_found(encodings: dict[str, bytes]) -> None:
    data = encodings[IMPLICIT]
    at = data.rindex(TAG)
    length = data[at + 4 : at + 8]
    mixed = data[:at] + TAG + b"OW\0\0" + length + data[at + 8 :]
    np.testing.assert_array_equal(read(mixed).pixels, PIXELS)


def compressed(made: Dataset, pixels: bytes, syntax: str) -> bytes:
    """The file with this Pixel Data, of undefined length when it begins with an item."""
    del made.PixelData
    endless = pixels.startswith(b"\xfe\xff\x00\xe0")
    return told(encoded(made), syntax) + element(0x7FE00010, b"OB", pixels, 0xFFFFFFFF if endless else None)


def frame_of(data: bytes) -> bytes:
    return next(generate_frames(pydicom.dcmread(io.BytesIO(data)).PixelData, number_of_frames=1))


@pytest.fixture(scope="module")
def frames(dcmtk: Path) -> dict[str, bytes]:
    """One picture of 8 bits in every compression: the compressed bytes by transfer syntax."""
    made = encoded(dataset(EIGHT, bits=8))
    found = {JPEG: "JPEG baseline", LOSSLESS: "JPEG lossless SV1", "1.2.840.10008.1.2.4.80": "JPEG-LS", RLE: "RLE"}
    frames = {syntax: frame_of(converted(made, dcmtk, *TOOLS[name])) for syntax, name in found.items()}
    return frames | {J2K: frame_of(jpeg_2000(dataset(EIGHT, bits=8)))}


def near(found: NDArray[np.float32], syntax: str) -> None:
    np.testing.assert_allclose(found, EIGHT / 255, atol=0.06 if syntax == JPEG else 1e-6)


KINDS = [JPEG, LOSSLESS, "1.2.840.10008.1.2.4.80", J2K, RLE]


@pytest.mark.parametrize("syntax", KINDS)
def test_a_compressed_picture_that_lies_in_no_fragments_is_read(syntax: str, frames: dict[str, bytes]) -> None:
    frame = frames[syntax] + b"\0" * (len(frames[syntax]) % 2)
    found = read(compressed(dataset(EIGHT, bits=8), frame, syntax))
    near(found.pixels, syntax)
    assert found.notes[0] == "compressed pixels that do not lie in fragments: read as they are"
    if syntax != RLE:  # by its content alone RLE is none
        assert read(compressed(dataset(EIGHT, bits=8), frame, EXPLICIT)).notes[0] == found.notes[0]


@pytest.mark.parametrize("syntax", KINDS)
@pytest.mark.parametrize("said", [*KINDS, EXPLICIT, "1.2.3.4"])
def test_what_a_picture_is_compressed_as_decides(said: str, syntax: str, frames: dict[str, bytes]) -> None:
    found = read(compressed(dataset(EIGHT, bits=8), encapsulate([frames[syntax]]), said))
    near(found.pixels, syntax)
    assert any("read as they are" in note for note in found.notes) == (said != syntax)


@pytest.mark.parametrize("syntax", KINDS)
def test_native_pixels_that_the_header_calls_compressed_are_read(syntax: str) -> None:
    octets = EIGHT.astype(np.uint8).tobytes()
    for pixels, note in (
        (octets, "the pixels are not compressed"),
        (encapsulate([octets]), "pixels in fragments that are"),
    ):
        found = read(compressed(dataset(EIGHT, bits=8), pixels, syntax))
        np.testing.assert_array_equal(found.pixels, read(dataset(EIGHT, bits=8)).pixels)
        assert note in found.notes[0]


def test_what_is_neither_is_no_longer_told_to_be_copied_where_that_cannot_help() -> None:
    with pytest.raises(ImageError, match=r"the transfer syntax 1\.2\.3\.4 is not read; give the picture itself"):
        read(compressed(dataset(EIGHT, bits=8), b"neither", "1.2.3.4"))
    with pytest.raises(
        ImageError, match="the pixels are neither JPEG 2000, as the header says, nor as long as the picture"
    ):
        read(compressed(dataset(EIGHT, bits=8), b"neither!", J2K))
    with pytest.raises(
        ImageError, match=r"copy the file again .*; if it is the same there, the header's size is wrong"
    ):
        read(compressed(dataset(EIGHT, bits=8), bytes(100), EXPLICIT))


def items(*values: bytes) -> bytes:
    return (
        b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<L", len(v)) + v for v in values) + b"\xfe\xff\xdd\xe0" + bytes(4)
    )


@pytest.mark.parametrize("syntax", [JPEG, J2K, RLE])
@pytest.mark.parametrize("frames_told", [None, 1])
def test_the_offset_table_may_have_any_entries(syntax: str, frames_told: int | None, frames: dict[str, bytes]) -> None:
    frame = frames[syntax] + b"\0" * (len(frames[syntax]) % 2)
    half = len(frame) // 4 * 2
    tables = (b"", struct.pack("<L", 0), struct.pack("<2L", 0, half + 8), struct.pack("<3L", 0, 5, 9), b"\1\2\3\4")
    layouts = [items(offsets, *parts) for offsets in tables for parts in ((frame,), (frame[:half], frame[half:]))]
    more: dict[str, Any] = {} if frames_told is None else {"NumberOfFrames": frames_told}
    for pixels in (*layouts, items(frame)):  # the last one without a table
        near(read(compressed(dataset(EIGHT, bits=8, **more), pixels, syntax)).pixels, syntax)


def test_the_number_of_frames_decides_how_many_there_are(frames: dict[str, bytes]) -> None:
    twice = encapsulate([frames[J2K], frames[JPEG]])
    near(read(compressed(dataset(EIGHT, bits=8, NumberOfFrames=1), twice, J2K)).pixels, J2K)
    for made in (dataset(EIGHT, bits=8), dataset(EIGHT, bits=8, NumberOfFrames=2)):
        with pytest.raises(ImageError, match="the file holds 2 frames; give one image a file"):
            read(compressed(made, twice, J2K))


def in_sixteen(**more: Any) -> Dataset:
    made = dataset(EIGHT, bits=8, **more)
    made.BitsAllocated = 16
    return made


@pytest.mark.parametrize("syntax", [*KINDS, EXPLICIT])
def test_8_bits_where_the_header_has_room_for_16(syntax: str, frames: dict[str, bytes]) -> None:
    octets = EIGHT.astype(np.uint8).tobytes()
    pixels = octets if syntax == EXPLICIT else encapsulate([frames[syntax]])
    near(read(compressed(in_sixteen(), pixels, syntax)).pixels, syntax)


def test_signed_8_bits_keep_their_sign_in_words_of_which_more_are_stored() -> None:
    values = picture(8, signed=True)
    small = dataset(values, bits=8, signed=True)
    small.compress(JPEGLSLossless, encoding_plugin="pyjpegls")
    frame = frame_of(encoded(small))
    wide = dataset(values, bits=12, signed=True, WindowCenter=0, WindowWidth=256)
    expected = read(encoded(wide)).pixels
    np.testing.assert_allclose(read(compressed(wide, encapsulate([frame]), JPEGLSLossless)).pixels, expected, atol=1e-6)


def test_8_bits_in_native_words_of_16_are_read_as_before() -> None:
    made = in_sixteen()
    made.add_new(0x7FE00010, "OW", EIGHT.astype("<u2").tobytes())
    np.testing.assert_allclose(read(encoded(made)).pixels, EIGHT / 255, atol=1e-6)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, RLELossless])
def test_16_bits_where_the_header_has_room_for_8(syntax: UID) -> None:
    made = dataset(picture(12))
    made.compress(syntax, encoding_plugin="pyjpegls" if syntax == JPEGLSLossless else "pydicom")
    frame = frame_of(encoded(made))
    small = dataset(picture(12).astype(np.int64) % 256, bits=8)
    if syntax == RLELossless:
        with pytest.raises(ImageError, match="the RLE pixels have 2 segments, 1 are needed"):
            read(compressed(small, encapsulate([frame]), syntax))
        return
    found = read(compressed(small, encapsulate([frame]), syntax))
    assert found.notes[0] == "the header says 8 bits a pixel, the picture has 12: read as it is"
    expected = read(dataset(picture(12)))
    np.testing.assert_allclose(found.pixels, expected.pixels, atol=1e-6)


@pytest.mark.parametrize("syntax", [201, 202, 203, 90])
def test_htj2k_is_read_to_the_bit(syntax: int) -> None:
    frame = (DATA / "htj2k.j2c").read_bytes()
    made = dataset(picture(12, noise=0), WindowCenter=2048, WindowWidth=4096)
    found = read(compressed(made, encapsulate([frame]), f"1.2.840.10008.1.2.4.{syntax}"))
    np.testing.assert_array_equal(
        found.pixels, read(dataset(picture(12, noise=0), WindowCenter=2048, WindowWidth=4096)).pixels
    )
    assert len(found.notes) == (syntax == 90)


CURVE = np.rint(4095 * (np.arange(4096) / 4095) ** 2)


@pytest.mark.parametrize(("told_bits", "holds"), [(16, 12), (16, 10), (14, 12), (16, 15), (12, 12), (16, 16)])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_lookup_table_is_as_deep_as_its_entries(told_bits: int, holds: int, photometric: str) -> None:
    entries = np.rint(CURVE / 4095 * (2**holds - 1))
    made = dataset(picture(), VOILUTSequence=[table(entries, 0, told_bits)], PhotometricInterpretation=photometric)
    found = read(encoded(made))
    shown = (picture() / 4095) ** 2
    np.testing.assert_allclose(
        found.pixels, 1 - shown if photometric == "MONOCHROME1" else shown, atol=2 ** (1 - min(holds, 12))
    )
    note = f"a lookup table of {told_bits} bits holds {holds}: taken by what it holds"
    assert found.notes == (() if told_bits == holds else (note,))


def test_a_palette_keeps_its_colours_though_one_of_them_is_dark() -> None:
    ramp = np.arange(256, dtype="<u2") << 8
    made = dataset(EIGHT, bits=8, PhotometricInterpretation="PALETTE COLOR")
    for name, values in (("Red", ramp), ("Green", ramp // 256), ("Blue", ramp * 0)):
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(made, f"{name}PaletteColorLookupTableData", values.tobytes())
    expected = (0.299 * (EIGHT << 8) + 0.587 * EIGHT) / 65535
    np.testing.assert_allclose(read(encoded(made)).pixels, expected, atol=1e-5)


NO_TABLE = Dataset()
WINDOW: dict[str, Any] = {"WindowCenter": 2000, "WindowWidth": 3000}
LEFT_OUT = "a VOI LUT that cannot be read: left out"


def test_behind_a_voi_lut_that_cannot_be_read_the_next_source_is_tried() -> None:
    short = table(CURVE[:10], 0, 12)
    short.add_new(0x00283002, "US", [4096, 0, 12])
    for bad in (NO_TABLE, short):
        found = read(encoded(dataset(picture(), VOILUTSequence=[bad], **WINDOW)))
        np.testing.assert_array_equal(found.pixels, PIXELS)
        assert found.notes == (LEFT_OUT,)
        other = read(encoded(dataset(picture(), VOILUTSequence=[bad, table(CURVE, 0, 12)])))
        np.testing.assert_allclose(other.pixels, (picture() / 4095) ** 2, atol=1e-3)
        assert other.notes == (LEFT_OUT,)
    bare = read(encoded(dataset(picture(), VOILUTSequence=[NO_TABLE])))
    assert bare.notes[0] == LEFT_OUT
    assert "percentiles" in bare.notes[1]
    np.testing.assert_array_equal(
        read(encoded(dataset(picture(), ModalityLUTSequence=[NO_TABLE], **WINDOW))).pixels, PIXELS
    )


def odd(tag: int, vr: bytes, value: bytes, *, long: bool) -> bytes:
    form = struct.pack("<HL", 0, len(value)) if long else struct.pack("<H", len(value))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr + form + value


def before(tag: int, *elements: bytes) -> bytes:
    at = PLAIN.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF), 300)
    return PLAIN[:at] + b"".join(elements) + PLAIN[at:]


ODD = "elements of the header that cannot be read: left out"


@pytest.mark.parametrize("vr", [b"XX", b"OX", b"--", b"  ", b"\0\0", b"??", b"ox", b"UN"])
@pytest.mark.parametrize("long", [True, False])
def test_private_elements_of_an_odd_vr_are_passed(vr: bytes, *, long: bool, tmp_path: Path) -> None:
    creator = odd(0x00190010, b"LO", b"VENDOR", long=False)
    data = before(0x00280002, creator, odd(0x00191001, vr, b"12345678", long=long), odd(0x00191002, vr, b"", long=long))
    found = read(data)
    np.testing.assert_array_equal(found.pixels, PIXELS)
    assert set(found.notes) <= {ODD}
    assert (found.view, read_header(data).rows) == ("PA", 72)
    (tmp_path / "a").write_bytes(data)
    assert size(tmp_path / "a") == (96, 72)


SEQUENCES = (0x00082218, 0x00540220, 0x00880200, 0x00283010, 0x00283000, 0x00081115)


@pytest.mark.parametrize("tag", SEQUENCES)
@pytest.mark.parametrize("value", [b"garbage!", b"", b"\xfe\xff\x00\xe0\0\0\0\0", b"\xfe\xff\x00\xe0\xff\xff\0\0"])
def test_a_damaged_sequence_that_the_picture_does_not_need_cannot_stop_it(tag: int, value: bytes) -> None:
    following = next(t for t in (0x00100010, 0x00280002, 0x7FE00010) if t > tag)
    for vr in (b"SQ", b"UN", b"OB"):
        found = read(before(following, odd(tag, vr, value, long=True)))
        np.testing.assert_array_equal(found.pixels, PIXELS)
        assert found.view == "PA"


def test_behind_a_sequence_without_an_end_the_next_known_element_is_found() -> None:
    endless = struct.pack("<HH2sHL", 0x19, 0x1001, b"SQ", 0, 0xFFFFFFFF) + b"garbagegarbage!!"
    found = read(before(0x00280002, endless))
    np.testing.assert_array_equal(found.pixels, PIXELS)
    assert found.notes == (ODD,)


def test_a_header_that_is_cut_short_is_still_called_so() -> None:
    with pytest.raises(ImageError, match="cut short within its header; copy the file again"):
        read(PLAIN[: PLAIN.index(b"\x28\x00\x11\x00") + 5])


def test_an_overlay_of_any_kind_is_left_out() -> None:
    overlay = odd(0x60000010, b"US", b"\1\0", long=False) + odd(0x60003000, b"OW", b"abc", long=True)
    np.testing.assert_array_equal(read(before(0x7FE00010, overlay)).pixels, PIXELS)


def test_a_deflated_bomb_is_one_whatever_the_header_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxreader.imaging.dicom.encoding.MAX_BYTES", 2**20)
    engine = zlib.compressobj(1, zlib.DEFLATED, -15)
    packed = engine.compress(element(0x00080016, b"UI", b"1.2\0") + bytes(2**21)) + engine.flush()
    meta = bytes(128) + b"DICM" + element(0x00020010, b"UI", EXPLICIT.encode() + b"\0")
    with pytest.raises(ImageError, match="the deflated data set has more than 1 MiB; such a file is a bomb"):
        read(meta + packed)
