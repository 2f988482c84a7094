"""Every transfer syntax, grey and colour, signed and not, as dcmtk and OpenJPEG show it; and decoders that are missing."""

from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders import base as decoders
from pydicom.uid import UID, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless
from tests.dicom_files import TOOLS, alike, converted, dataset, encoded, jpeg_2000, picture, rendered, run
from tests.imaging.dicom.test_read import WINDOW, colours

from cxreader.errors import ImageError, MissingDecoderError, MissingDependencyError
from cxreader.imaging.read import read, read_header

FORMS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "8 bits": ({"values": picture(8), "bits": 8}, ()),
    "12 bits": ({"values": picture(), **WINDOW}, ("+Wi", "1")),
    "16 bits": ({"values": picture(16), "bits": 16, "WindowCenter": 30000, "WindowWidth": 40000}, ("+Wi", "1")),
    "signed": ({"values": picture(signed=True), "signed": True, "WindowCenter": 0, "WindowWidth": 3000}, ("+Wi", "1")),
    "inverted": ({"values": picture(), "PhotometricInterpretation": "MONOCHROME1", **WINDOW}, ("+Wi", "1")),
    "RGB": ({"values": colours(), "bits": 8}, ()),
}
NOT_WRITTEN = {("JPEG-LS near", "signed")}
"""By dcmtk: signed values cannot be stored so."""
UIDS = {
    "implicit": "1.2.840.10008.1.2", "explicit": "1.2.840.10008.1.2.1", "big endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99", "RLE": "1.2.840.10008.1.2.5", "JPEG baseline": "1.2.840.10008.1.2.4.50",
    "JPEG extended": "1.2.840.10008.1.2.4.51", "JPEG lossless": "1.2.840.10008.1.2.4.57",
    "JPEG lossless SV1": "1.2.840.10008.1.2.4.70", "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG-LS near": "1.2.840.10008.1.2.4.81",
}  # fmt: skip
GREY_JPEG_2000 = [name for name in FORMS if name != "RGB"]


def plain(form: str) -> Dataset:
    return dataset(**FORMS[form][0])


def shower(syntax: str) -> str:
    return "dcml2pnm" if "LS" in syntax else "dcmj2pnm" if "JPEG" in syntax else "dcm2pnm"


@pytest.mark.peer
@pytest.mark.parametrize(("syntax", "form"), [pair for pair in product(TOOLS, FORMS) if pair not in NOT_WRITTEN])
def test_a_transfer_syntax_is_as_dcmtk_shows_it(syntax: str, form: str, dcmtk: Path) -> None:
    data = converted(encoded(plain(form)), dcmtk, *TOOLS[syntax])
    assert read_header(data).transfer_syntax == UIDS[syntax]
    alike(read(data).pixels, rendered(data, dcmtk, *FORMS[form][1], tool=shower(syntax)))


@pytest.mark.peer
@pytest.mark.parametrize("lossy", [False, True])
@pytest.mark.parametrize("form", GREY_JPEG_2000)
def test_jpeg_2000_is_as_openjpeg_and_dcmtk_show_it(form: str, lossy: bool, openjpeg: Path, dcmtk: Path) -> None:
    """OpenJPEG's own program gives the stored values; put into a plain file they are shown by dcmtk."""
    made = plain(form)
    data = jpeg_2000(made, lossy=lossy)
    (openjpeg / "a.j2k").write_bytes(next(generate_frames(made.PixelData, number_of_frames=1)))
    run("opj_decompress", "-i", openjpeg / "a.j2k", "-o", openjpeg / "a.rawl")
    values = FORMS[form][0]
    kind = f"<{'i' if values.get('signed') else 'u'}{1 if values.get('bits') == 8 else 2}"
    stored = np.frombuffer((openjpeg / "a.rawl").read_bytes(), kind).reshape(values["values"].shape)
    again = encoded(dataset(**{**values, "values": stored}))
    alike(read(data).pixels, rendered(again, dcmtk, *FORMS[form][1]))


@pytest.mark.peer
def test_colour_jpeg_2000_is_what_was_compressed() -> None:
    made = plain("RGB")
    plainly = read(encoded(made))
    radiograph = read(jpeg_2000(made))
    alike(radiograph.pixels, plainly.pixels.astype(np.float64))
    assert radiograph.colour == pytest.approx(plainly.colour, abs=0.01)


def colour_jpeg(frame: bytes, **more: Any) -> bytes:
    """A DICOM file that holds this JPEG of `colours()`."""
    made = dataset(colours(), bits=8, **more)
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    made.add_new(0x7FE00010, "OB", encapsulate([frame]))
    made["PixelData"].is_undefined_length = True
    return encoded(made)


def jpeg(*, subsampling: int = 0, **options: Any) -> bytes:
    buffer, image = io.BytesIO(), Image.fromarray(colours().astype(np.uint8))
    image.save(buffer, "JPEG", quality=100, subsampling=subsampling, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("syntax", ["JPEG", JPEG2000Lossless, JPEGLSLossless, RLELossless])
def test_of_compressed_colours_the_codestream_tells_the_order(syntax: str) -> None:
    """Planar Configuration is of uncompressed pixels (PS3.5 8.2): some converters leave the 1 of those they compressed."""
    if syntax == "JPEG":
        data = colour_jpeg(jpeg(), PlanarConfiguration=1, PhotometricInterpretation="YBR_FULL")
    else:
        made = plain("RGB")
        made.compress(syntax)
        made.PlanarConfiguration = 1
        data = encoded(made)
    alike(read(data).pixels, read(plain("RGB")).pixels.astype(np.float64), share=0.98)


@pytest.mark.parametrize("told", ["RGB", "YBR_RCT", "YBR_ICT", "YBR_FULL", "YBR_FULL_422"])
def test_colours_that_jpeg_2000_transformed_are_red_green_and_blue_whatever_the_header_says(told: str) -> None:
    """As of pictures that were JPEG before, whose header stayed."""
    made = plain("RGB")
    made.PhotometricInterpretation = "YBR_RCT"
    made.compress(JPEG2000Lossless)
    made.PhotometricInterpretation = told
    expected, found = read(plain("RGB")), read(encoded(made))
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert found.colour == expected.colour


def test_a_jpeg_whose_components_are_called_r_g_and_b_holds_these() -> None:
    frame = jpeg(keep_rgb=True)
    adobe = frame.index(b"\xff\xee\0\x0eAdobe")
    assert frame[frame.index(b"\xff\xc0") + 10 :][:9:3] == b"RGB"
    bare = frame[:adobe] + frame[adobe + 16 :]
    for data in (colour_jpeg(bare), colour_jpeg(bare, PhotometricInterpretation="YBR_FULL")):
        np.testing.assert_array_equal(read(data).pixels, read(colour_jpeg(frame)).pixels)
    alike(read(colour_jpeg(bare)).pixels, read(plain("RGB")).pixels.astype(np.float64), share=0.98)


def test_a_subsampled_jpeg_without_a_marker_holds_luma_and_chroma_whatever_the_header_says() -> None:
    frame = jpeg(subsampling=2)
    assert frame[2:11] == b"\xff\xe0\0\x10JFIF\0"
    for told in ("RGB", "YBR_FULL_422"):
        found, expected = (
            read(colour_jpeg(f, PhotometricInterpretation=told)) for f in (frame[:2] + frame[20:], frame)
        )
        np.testing.assert_array_equal(found.pixels, expected.pixels)
        assert found.colour == expected.colour


@pytest.mark.parametrize("form", ["8 bits", "12 bits", "16 bits", "signed"])
def test_lossless_ways_of_storing_give_the_same_array(form: str) -> None:
    first = read(encoded(plain(form))).pixels
    np.testing.assert_array_equal(read(jpeg_2000(plain(form))).pixels, first)
    for syntax in (RLELossless, JPEGLSLossless):
        made = plain(form)
        made.compress(syntax, encoding_plugin="pyjpegls" if syntax == JPEGLSLossless else "pydicom")
        np.testing.assert_array_equal(read(encoded(made)).pixels, first)
        np.testing.assert_array_equal(read(made).pixels, first)  # a data set in memory


def test_rle_is_read_by_pydicom_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plain("12 bits")
    made.compress(RLELossless, encoding_plugin="pydicom")
    expected = read(encoded(made)).pixels
    forget(monkeypatch, "RLELossless", "pylibjpeg")
    np.testing.assert_array_equal(read(encoded(made)).pixels, expected)


@pytest.mark.peer
@pytest.mark.parametrize(
    ("syntax", "decoder", "plugin", "line"),
    [
        ("JPEG extended", "JPEGExtended12Bit", "pylibjpeg", "pip install 'cxreader[dicom-gpl]'"),
        ("JPEG lossless", "JPEGLossless", "gdcm", "pip install 'cxreader[dicom]'"),
        ("JPEG lossless SV1", "JPEGLosslessSV1", "gdcm", "pip install 'cxreader[dicom]'"),
        ("JPEG-LS", "JPEGLSLossless", "pyjpegls", "pip install 'cxreader[dicom]'"),
        ("JPEG-LS near", "JPEGLSNearLossless", "pyjpegls", "pip install 'cxreader[dicom]'"),
        ("JPEG 2000", "JPEG2000Lossless", "pylibjpeg", "pip install 'cxreader[dicom]'"),
    ],
)
def test_a_missing_decoder_names_the_line_that_installs_it(
    syntax: str, decoder: str, plugin: str, line: str, dcmtk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plain("12 bits")
    data = jpeg_2000(made) if syntax == "JPEG 2000" else converted(encoded(made), dcmtk, *TOOLS[syntax])
    forget(monkeypatch, decoder, plugin)
    with pytest.raises(MissingDecoderError) as caught:
        read(data, name="a.dcm")
    assert caught.value.exit_code == MissingDependencyError.exit_code == 5
    assert isinstance(caught.value, ImageError)  # among many files it is a row
    assert line in str(caught.value)
    assert ("GPL" in str(caught.value)) == (syntax == "JPEG extended")


def forget(monkeypatch: pytest.MonkeyPatch, decoder: str, plugin: str) -> None:
    """As if a decoding package were not installed."""
    known = getattr(decoders, f"{decoder}Decoder")
    monkeypatch.setattr(known, "_available", {name: how for name, how in known._available.items() if name != plugin})


@pytest.mark.peer
def test_eight_bit_jpeg_needs_no_extra(dcmtk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch, "JPEGExtended12Bit", "pylibjpeg")
    forget(monkeypatch, "JPEGBaseline8Bit", "pylibjpeg")
    for syntax in ("JPEG baseline", "JPEG extended"):
        data = converted(encoded(plain("8 bits")), dcmtk, *TOOLS[syntax])
        alike(read(data).pixels, rendered(data, dcmtk, tool="dcmj2pnm"))


def test_pydicom_and_its_decoders_are_imported_for_dicom_alone(tmp_path: Path) -> None:
    Image.fromarray(picture(8).astype(np.uint8)).save(tmp_path / "a.png")
    code = "import sys; from cxreader.imaging.read import read; read(sys.argv[1]); print('pydicom' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.png")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


@pytest.mark.peer
def test_decoders_may_be_called_from_several_threads(dcmtk: Path) -> None:
    files = [
        converted(encoded(plain("12 bits")), dcmtk, *TOOLS[syntax]) for syntax in TOOLS if syntax != "JPEG baseline"
    ]
    files.append(jpeg_2000(plain("12 bits")))
    alone = [read(data).pixels for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: read(data).pixels, files * 20))
    assert all(np.array_equal(pixels, alone[n % len(files)]) for n, pixels in enumerate(together))


def test_other_transfer_syntaxes_are_named() -> None:
    made = plain("12 bits")
    made.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.100")  # MPEG-2
    with pytest.raises(ImageError, match=r"transfer syntax 1\.2\.840\.10008\.1\.2\.4\.100 is not read"):
        read(made)
    made.file_meta.TransferSyntaxUID = UID("1.3.46.670589.33.1.4.1")  # private
    with pytest.raises(ImageError, match="is not read"):
        read(made)
