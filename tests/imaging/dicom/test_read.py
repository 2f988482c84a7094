"""From stored values to grey: each step by hand, each picture as dcmtk shows it."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import UID
from tests.dicom_files import HEIGHT, WIDTH, alike, converted, dataset, encoded, picture, rendered, table

from cxreader.errors import ImageError, UsageError
from cxreader.imaging.dicom.read import FOR_PROCESSING
from cxreader.imaging.read import read, size
from cxreader.imaging.stored import StoredPicture

WINDOW: dict[str, Any] = {"WindowCenter": 2000, "WindowWidth": 3000}
CURVE = np.linspace(0, 1, 4096) ** 2
RAMP = np.tile(np.arange(WIDTH), (HEIGHT, 1))


def colours() -> NDArray[np.uint8]:
    """(HEIGHT, WIDTH, 3), three different bands."""
    bands = np.stack([picture(8, seed=seed) for seed in (1, 2, 3)], axis=-1)
    bands[..., 1] = bands[::-1, :, 1]
    return bands.astype(np.uint8)


def ybr() -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(colours()).convert("YCbCr"))


def halved(full: NDArray[np.uint8]) -> bytes:
    """YBR_FULL_422: Y Y Cb Cr for each two pixels."""
    parts = (full[:, ::2, 0], full[:, 1::2, 0], full[:, ::2, 1], full[:, ::2, 2])
    return np.stack(parts, axis=-1).tobytes()


def palette() -> dict[str, Any]:
    found: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for band, curve in (("Red", 0.9), ("Green", 1), ("Blue", 0.5)):
        found[f"{band}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        entries = np.linspace(0, 1, 256) ** curve * 65535
        found[f"{band}PaletteColorLookupTableData"] = entries.astype("<u2").tobytes()
    return found


def twelve(**more: Any) -> Dataset:
    return dataset(picture(), **{**WINDOW, **more})


def eight(**more: Any) -> Dataset:
    return dataset(picture(8), bits=8, **more)


LIKE_DCMTK: dict[str, tuple[Dataset, tuple[str, ...], int]] = {
    "MONOCHROME2": (twelve(), ("+Wi", "1"), 0),
    "MONOCHROME1": (twelve(PhotometricInterpretation="MONOCHROME1"), ("+Wi", "1"), 0),
    "MONOCHROME1, shape inverse": (
        twelve(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"),
        ("+Wi", "1"),
        0,
    ),
    "MONOCHROME2, shape inverse": (twelve(PresentationLUTShape="INVERSE"), ("+Wi", "1"), 0),
    "MONOCHROME2, shape identity": (twelve(PresentationLUTShape="IDENTITY"), ("+Wi", "1"), 0),
    "8 bits, no window": (eight(), (), 0),
    "8 bits, no window, slope": (eight(RescaleSlope=2, RescaleIntercept=-7), (), 0),
    "8 bits": (eight(WindowCenter=100, WindowWidth=120), ("+Wi", "1"), 0),
    "10 bits": (dataset(picture(10), bits=10, WindowCenter=500, WindowWidth=800), ("+Wi", "1"), 0),
    "16 bits": (dataset(picture(16), bits=16, WindowCenter=30000, WindowWidth=40000), ("+Wi", "1"), 0),
    "16 signed bits": (
        dataset(picture(16, signed=True), bits=16, signed=True, WindowCenter=0, WindowWidth=40000),
        ("+Wi", "1"),
        0,
    ),
    "12 signed bits, slope": (
        dataset(
            picture(signed=True),
            signed=True,
            RescaleSlope=0.5,
            RescaleIntercept=-100,
            WindowCenter=-100,
            WindowWidth=1500,
        ),
        ("+Wi", "1"),
        0,
    ),
    "sigmoid": (twelve(VOILUTFunction="SIGMOID"), ("+Wi", "1"), 0),
    "window of one value": (twelve(WindowWidth=1), ("+Wi", "1"), 0),
    "second window": (twelve(WindowCenter=[2000, 1500], WindowWidth=[3000, 500]), ("+Wi", "2"), 1),
    "VOI LUT": (twelve(VOILUTSequence=[table(CURVE * 4095, 0, 12)]), ("+Wl", "1"), 0),
    "VOI LUT of part of the values": (twelve(VOILUTSequence=[table(CURVE[::4] * 65535, 1000, 16)]), ("+Wl", "1"), 0),
    "VOI LUT of 8 bits": (twelve(VOILUTSequence=[table(CURVE * 255, 0, 8)]), ("+Wl", "1"), 0),
    "window behind a VOI LUT": (twelve(VOILUTSequence=[table(CURVE * 255, 0, 8)]), ("+Wi", "1"), 1),
    "VOI LUT of signed values": (
        dataset(picture(signed=True), signed=True, VOILUTSequence=[table(CURVE * 4095, -2048, 12, signed_first=True)]),
        ("+Wl", "1"),
        0,
    ),
    "modality LUT before rescale": (
        twelve(ModalityLUTSequence=[table(CURVE * 4095, 0, 12)], RescaleSlope=1, RescaleIntercept=0),
        ("+Wi", "1"),
        0,
    ),
    "modality and VOI LUT": (
        dataset(
            picture(),
            ModalityLUTSequence=[table(CURVE * 4095, 0, 12)],
            VOILUTSequence=[table(CURVE**0.25 * 1023, 0, 10)],
        ),
        ("+Wl", "1"),
        0,
    ),
    "stored in the high bits": (dataset(picture() << 4, bits=16, BitsStored=12, HighBit=15, **WINDOW), ("+Wi", "1"), 0),
    "other things in the high bits": (
        dataset(picture() | 0xA000, bits=16, BitsStored=12, HighBit=11, **WINDOW),
        ("+Wi", "1"),
        0,
    ),
    "RGB": (dataset(colours(), bits=8), (), 0),
    "RGB by plane": (
        dataset(colours().transpose(2, 0, 1).reshape(HEIGHT, WIDTH, 3), bits=8, PlanarConfiguration=1),
        (),
        0,
    ),
    "YBR_FULL": (dataset(ybr(), bits=8, PhotometricInterpretation="YBR_FULL"), (), 0),
    "YBR_FULL_422": (
        dataset(ybr(), bits=8, PhotometricInterpretation="YBR_FULL_422", PixelData=halved(ybr())),
        (),
        0,
    ),
    "palette": (eight(**palette()), (), 0),
}


@pytest.mark.peer
@pytest.mark.parametrize("name", LIKE_DCMTK)
def test_a_picture_is_as_dcmtk_shows_it(name: str, dcmtk: Path) -> None:
    made, options, window = LIKE_DCMTK[name]
    data = encoded(made)
    alike(read(data, window=window).pixels, rendered(data, dcmtk, *options))


@pytest.mark.peer
@pytest.mark.real
@pytest.mark.parametrize("name", [f"test{n}.dcm" for n in range(1, 7)] + ["1.2.276*.dcm", "CR-ModalitySequenceLUT.dcm"])
def test_real_files_are_as_dcmtk_shows_them(name: str, images_root: Path, dcmtk: Path) -> None:
    path = next((images_root / "dicom").glob(name))
    radiograph = read(path)
    options: tuple[str, ...] = ()  # none of them has a window
    if "CR-" in name:  # no window, a modality LUT: dcmtk is told the percentiles that stand in the note
        words = radiograph.notes[0].split()
        low, high = float(words[words.index("from") + 1]), float(words[words.index("to") + 1])
        options = ("+Ww", str((low + high) / 2 + 0.5), str(high - low + 1))
    alike(radiograph.pixels, rendered(path.read_bytes(), dcmtk, *options, tool="dcmj2pnm"))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # PS3.3 C.11.2.1.2.1, its own example: center 2048, width 4096 maps 0 to 0 and 4095 to 1, exactly.
        ("LINEAR", lambda x: x / 4095),
        ("LINEAR_EXACT", lambda x: x / 4096),  # C.11.2.1.3.2
        ("SIGMOID", lambda x: 1 / (1 + np.exp(-4 * (x - 2048) / 4096))),  # C.11.2.1.3.1
    ],
)
def test_window_functions_by_their_formulas(function: str, expected: Any) -> None:
    values = picture()
    made = dataset(values, WindowCenter=2048, WindowWidth=4096, VOILUTFunction=function)
    np.testing.assert_allclose(read(encoded(made)).pixels, expected(values), atol=1e-6)


def test_what_is_outside_a_window_is_black_or_white() -> None:
    made = dataset(picture(), WindowCenter=2000, WindowWidth=101, VOILUTFunction="LINEAR_EXACT")
    pixels, values = read(encoded(made)).pixels, picture()
    assert pixels[values <= 1949].max() == 0
    assert pixels[values >= 2051].min() == 1


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_same_picture_as_png_and_as_dicom_is_the_same_array(bits: int, photometric: str) -> None:
    values = picture(bits)
    buffer = io.BytesIO()
    Image.fromarray(values.astype(np.uint8 if bits == 8 else np.uint16)).save(buffer, "PNG")
    stored = 2**bits - 1 - values if photometric == "MONOCHROME1" else values
    window: dict[str, Any] = {} if bits == 8 else {"WindowCenter": 32768, "WindowWidth": 65536}
    made = dataset(stored, bits=bits, PhotometricInterpretation=photometric, **window)
    np.testing.assert_allclose(read(encoded(made)).pixels, read(buffer.getvalue()).pixels, atol=1 / 255)


def test_colour_as_png_and_as_dicom_is_the_same() -> None:
    buffer = io.BytesIO()
    Image.fromarray(colours()).save(buffer, "PNG")
    png = read(buffer.getvalue())
    for made in (dataset(colours(), bits=8), dataset(ybr(), bits=8, PhotometricInterpretation="YBR_FULL")):
        dicom = read(encoded(made))
        np.testing.assert_allclose(dicom.pixels, png.pixels, atol=1.5 / 255)
        assert dicom.colour == pytest.approx(png.colour, abs=0.01)
    full = colours().astype(float)
    assert png.colour == pytest.approx((full.max(-1) - full.min(-1)).mean() / 255, abs=0.01)


def test_grey_stored_as_colour_is_not_colourful() -> None:
    grey = picture(8)
    for photometric, rest in (("RGB", grey), ("YBR_FULL", np.full_like(grey, 128))):
        made = dataset(np.stack([grey, rest, rest], axis=-1), bits=8, PhotometricInterpretation=photometric)
        radiograph = read(encoded(made))
        assert radiograph.colour < 0.005
        np.testing.assert_allclose(radiograph.pixels, grey / 255, atol=1.5 / 255)
    buffer = io.BytesIO()
    Image.fromarray(grey.astype(np.uint8)).convert("RGB").save(buffer, "JPEG")
    assert read(buffer.getvalue()).colour < 0.01
    assert read(encoded(eight(**palette()))).colour > 0.1


def test_without_a_window_robust_percentiles_are_shown_and_it_says_so() -> None:
    values = picture()
    values[0, :8] = 4095  # a few dead pixels do not count
    values[1, :8] = 0
    radiograph = read(encoded(dataset(values)))
    low, high = np.quantile(values, [0.005, 0.995], method="inverted_cdf")
    np.testing.assert_allclose(radiograph.pixels, np.clip((values - low) / (high - low), 0, 1), atol=1e-6)
    assert radiograph.notes == (
        f"no window in the header: values from {low} to {high} are shown (percentiles 0.5 and 99.5)",
    )


def test_eight_bits_behind_a_modality_lut_are_shown_between_percentiles_too() -> None:
    curve = np.rint(CURVE[::16] * 60000)
    values = curve[picture(8)]
    low, high = np.quantile(values, [0.005, 0.995], method="inverted_cdf")
    radiograph = read(encoded(eight(ModalityLUTSequence=[table(curve, 0, 16)])))
    np.testing.assert_allclose(radiograph.pixels, np.clip((values - low) / (high - low), 0, 1), atol=1e-6)
    assert radiograph.notes[0].startswith(f"no window in the header: values from {low:g} to {high:g}")


def test_percentiles_are_of_what_the_modality_lut_gives() -> None:
    values = picture(signed=True)
    made = dataset(values, signed=True, RescaleSlope=-2, RescaleIntercept=1000)
    low, high = np.quantile(1000 - 2 * values, [0.005, 0.995], method="inverted_cdf")
    expected = np.clip((1000 - 2 * values - low) / (high - low), 0, 1)
    np.testing.assert_allclose(read(encoded(made)).pixels, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("bits", "signed", "value", "limit"),
    [
        (12, False, 4000, None),
        (12, True, -2048, None),
        (12, False, 0, 9),
        (12, True, -2000, -2047),
        (16, True, -32768, None),
    ],
)
def test_padding_is_black_and_counts_for_nothing(bits: int, signed: bool, value: int, limit: int | None) -> None:
    values = np.clip(picture(bits, signed=signed), -1500 if signed else 100, 3000)
    border = np.zeros(values.shape, bool)
    border[:, :30] = True
    padded = np.where(border, value if limit is None else (value + limit) // 2, values)
    more = (
        {"PixelPaddingValue": value} if limit is None else {"PixelPaddingValue": value, "PixelPaddingRangeLimit": limit}
    )
    made = dataset(padded, bits=bits, signed=signed, PhotometricInterpretation="MONOCHROME1", **more)
    for tag in (0x00280120, 0x00280121):
        if tag in made:
            made[tag].VR = "SS" if signed else "US"
    pixels = read(encoded(made)).pixels
    assert pixels[border].max() == 0
    low, high = np.quantile(values[~border], [0.005, 0.995], method="inverted_cdf")
    np.testing.assert_allclose(pixels[~border], 1 - np.clip((values[~border] - low) / (high - low), 0, 1), atol=1e-6)


def test_padding_that_needs_more_bits_than_are_stored() -> None:
    values = picture()
    padded = values.copy()
    padded[:, :30] = 0xF830  # -2000 in 16 bits, beside 12-bit pixels
    made = dataset(padded, bits=16, BitsStored=12, HighBit=11, **WINDOW)
    made.add_new(0x00280120, "US", 0xF830)
    pixels = read(encoded(made)).pixels
    assert pixels[:, :30].max() == 0
    np.testing.assert_array_equal(pixels[:, 30:], read(encoded(twelve())).pixels[:, 30:])


def test_padding_beyond_the_stored_bits_counts_for_nothing_either() -> None:
    values = picture()
    padded = values.copy()
    padded[:, :30] = 0xF830
    made = dataset(padded, bits=16, BitsStored=12, HighBit=11)
    made.add_new(0x00280120, "US", 0xF830)
    low, high = np.quantile(values[:, 30:], [0.005, 0.995], method="inverted_cdf")
    expected = np.clip((values[:, 30:] - low) / (high - low), 0, 1)
    np.testing.assert_allclose(read(encoded(made)).pixels[:, 30:], expected, atol=1e-6)


def test_a_padding_value_of_too_many_bits_means_no_cell_of_pixels_in_the_high_bits() -> None:
    values = picture()
    values[0, :5] = 0xF83  # in the high bits it reads 0xF830, and is a pixel all the same
    high: dict[str, Any] = {"bits": 16, "BitsStored": 12, "HighBit": 15, **WINDOW}
    made = dataset(values << 4, **high)
    made.add_new(0x00280120, "US", 0xF830)
    pixels = read(encoded(made)).pixels
    np.testing.assert_array_equal(pixels, read(encoded(dataset(values << 4, **high))).pixels)
    assert pixels[0, 0] == 1


def test_a_for_processing_image_is_named_in_the_notes() -> None:
    assert FOR_PROCESSING in read(encoded(twelve(PresentationIntentType="FOR PROCESSING"))).notes
    assert FOR_PROCESSING in read(encoded(twelve(SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1.1"))).notes
    assert read(encoded(twelve(PresentationIntentType="FOR PRESENTATION"))).notes == ()


@pytest.mark.parametrize(
    ("more", "shape", "spacing"),
    [
        ({"PixelSpacing": [0.2, 0.1]}, (2 * HEIGHT, WIDTH), (0.1, 0.1)),
        ({"ImagerPixelSpacing": [0.1, 0.15]}, (HEIGHT, WIDTH * 3 // 2), (0.1, 0.1)),
        ({"PixelAspectRatio": [3, 4]}, (HEIGHT, WIDTH * 4 // 3), None),
        ({"PixelSpacing": [0.1, 0.1], "PixelAspectRatio": [3, 4]}, (HEIGHT, WIDTH), (0.1, 0.1)),
        ({"PixelSpacing": [0.143, 0.1435]}, (HEIGHT, WIDTH), (0.1435, 0.143)),  # rounded, not oblong
    ],
)
def test_pixels_that_are_not_square_are_made_square(
    more: dict[str, Any], shape: tuple[int, int], spacing: tuple[float, float] | None, tmp_path: Path
) -> None:
    radiograph = read(encoded(twelve(**more)))
    assert radiograph.pixels.shape == shape
    assert radiograph.spacing == (None if spacing is None else pytest.approx(spacing))
    assert len(radiograph.notes) == (shape != (HEIGHT, WIDTH))
    peer = cv2.resize(read(encoded(twelve())).pixels, shape[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(radiograph.pixels, peer, atol=1 / 255)
    (tmp_path / "a").write_bytes(encoded(twelve(**more)))
    assert size(tmp_path / "a") == shape[::-1]


@pytest.mark.parametrize("ratio", [[4, 1], [1, 4]])
def test_pixels_up_to_four_times_as_long_as_wide_are_read_and_longer_ones_refused(ratio: list[int]) -> None:
    assert read(encoded(twelve(PixelAspectRatio=ratio))).pixels.size == 4 * HEIGHT * WIDTH
    with pytest.raises(ImageError, match=r"pixels (4\.1|0\.243902) times as high as wide"):
        read(encoded(twelve(PixelAspectRatio=[10 * side + (side == 4) for side in ratio])))


@pytest.mark.parametrize("high", [None, 3, 10, 16, 200])
def test_a_high_bit_that_cannot_be_is_the_highest_of_the_stored_ones(high: int | None) -> None:
    found = read(encoded(twelve(HighBit=high)))
    np.testing.assert_array_equal(found.pixels, read(encoded(twelve())).pixels)
    why = "no High Bit in the header" if high is None else "the header's High Bit is impossible"
    assert found.notes == (f"{why}: taken as 11",)
    assert read(encoded(twelve())).notes == ()


def test_bits_that_are_not_said_to_be_stored_are_those_allocated() -> None:
    more: dict[str, Any] = {"bits": 16, "WindowCenter": 30000, "WindowWidth": 40000}
    silent = read(encoded(dataset(picture(16), BitsStored=None, HighBit=None, **more)))
    np.testing.assert_array_equal(silent.pixels, read(encoded(dataset(picture(16), **more))).pixels)
    assert silent.notes == ("no Bits Stored in the header: all 16 bits are taken",)


def test_a_slope_of_0_is_1_and_said() -> None:
    found = read(encoded(twelve(RescaleSlope=0)))
    np.testing.assert_array_equal(found.pixels, read(encoded(twelve())).pixels)
    assert found.notes == ("the header's Rescale Slope is 0: taken as 1",)


BESIDE = [{"WindowCenter": 60000, "WindowWidth": 10}, {"WindowCenter": 40, "WindowWidth": 9}]


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("window", BESIDE)
def test_a_window_beside_the_picture_gives_way_to_the_percentiles(window: dict[str, Any], photometric: str) -> None:
    bare: dict[str, Any] = {"PhotometricInterpretation": photometric, "PixelPaddingValue": 0}
    pixels = np.maximum(picture(), 100)
    pixels[:5] = 0  # the second window shows this alone
    found, without = read(encoded(dataset(pixels, **bare, **window))), read(encoded(dataset(pixels, **bare)))
    np.testing.assert_array_equal(found.pixels, without.pixels)
    kept: list[StoredPicture] = []
    read(encoded(dataset(pixels, **bare, **window)), keep=kept.append)
    assert kept[0].windows == ()  # a viewer opens on what was read
    note = without.notes[0].removeprefix("no window in the header: ")
    assert found.notes == ("the header's window shows nothing of this picture", note)


def test_a_window_that_shows_but_letters_gives_way_and_one_that_leaves_a_blank_exposure_blank_does_not() -> None:
    pixels = np.minimum(picture(), 3000)
    pixels[0, :3] = 4095
    lettered = read(encoded(dataset(pixels, WindowCenter=3900, WindowWidth=200)))
    assert lettered.notes[0] == "the header's window shows nothing of this picture"
    blank = read(encoded(dataset(100 + picture() % 7, WindowCenter=3000, WindowWidth=200)))
    assert (blank.notes, float(blank.pixels.max())) == ((), 0.0)


def test_window_selection_and_its_mistakes() -> None:
    data = encoded(twelve(WindowCenter=[2000, 1500], WindowWidth=[3000, 500]))
    assert not np.array_equal(read(data).pixels, read(data, window=1).pixels)
    with pytest.raises(ImageError, match="has 2 windows; choose one below 2"):
        read(data, window=2)
    with pytest.raises(UsageError, match="negative"):
        read(data, window=-1)
    with pytest.raises(ImageError, match="has 0 windows"):
        read(encoded(dataset(picture())), window=1)


@pytest.mark.parametrize(
    ("more", "note"),
    [
        ({"WindowWidth": 0}, "the header's window has no width"),
        ({"WindowWidth": -5}, "the header's window has no width"),
        ({"VOILUTFunction": "SMITH"}, "an unknown window function in the header: taken as LINEAR"),
    ],
)
def test_a_window_that_makes_no_sense_is_told(more: dict[str, Any], note: str) -> None:
    assert note in read(encoded(twelve(**more))).notes


def test_a_first_window_without_a_width_gives_way_to_the_next_that_has_one() -> None:
    second = read(encoded(twelve(WindowCenter=1500, WindowWidth=500)))
    found = read(encoded(twelve(WindowCenter=[2000, 0, 1500], WindowWidth=[0, -1, 500])))
    assert np.array_equal(found.pixels, second.pixels)
    assert found.notes == ("the header's first window has no width: the next one that has is taken",)
    asked = read(encoded(twelve(WindowCenter=[2000, 0, 1500], WindowWidth=[300, -1, 500])), window=1)
    assert "the header's window has no width" in asked.notes


BAD: dict[str, tuple[Dataset, str]] = {
    "frames": (twelve(NumberOfFrames=2), "holds 2 frames"),
    "no pixels": (twelve(PixelData=None), "without pixels"),
    "no size": (twelve(Rows=None), "without a picture"),
    "short": (twelve(PixelData=b"\0" * 100), "cut short: 100 bytes of 13,824"),
    "huge": (twelve(Rows=65535, Columns=65535), "promises 65535 x 65535"),
    "no bits": (twelve(BitsAllocated=None), "does not say how many bits"),
    "32 bits": (twelve(BitsAllocated=32, BitsStored=32), "pixels of 32 bits"),
    "four samples": (twelve(SamplesPerPixel=4), "4 samples"),
    "strange colours": (dataset(colours(), bits=8, PhotometricInterpretation="HSV"), "colours stored as HSV"),
    "odd pairs": (
        dataset(ybr()[:, 1:], bits=8, PhotometricInterpretation="YBR_FULL_422"),
        "YBR_FULL_422 with an odd number of columns",
    ),
    "oblong": (twelve(PixelSpacing=[1, 0.01]), "100 times as high as wide"),
    "cut table": (twelve(ModalityLUTSequence=[table(CURVE[:10], 0, 12)]), ""),
}
BAD["cut table"][0].ModalityLUTSequence[0].add_new(0x00283002, "US", [4096, 0, 12])
BAD["cut table"] = (BAD["cut table"][0], "lookup table that is cut short")


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_single_picture_is_refused_in_one_line(name: str) -> None:
    made, what = BAD[name]
    with pytest.raises(ImageError, match=what) as caught:
        read(encoded(made), name="a.dcm")
    assert str(caught.value).startswith("a.dcm: ")
    assert caught.value.mend


def test_path_bytes_and_data_set_give_the_same(tmp_path: Path) -> None:
    made = twelve(PixelSpacing=[0.1, 0.1])
    data = encoded(made)
    (tmp_path / "named.png").write_bytes(data)  # by content, not by name
    first = read(data)
    for other in (read(tmp_path / "named.png"), read(made), read(made, name="network")):
        np.testing.assert_array_equal(other.pixels, first.pixels)
        assert (other.view, other.spacing, other.header) == ("PA", (0.1, 0.1), first.header)
    assert read(made, name="network").source == "network"
    with pytest.raises(UsageError, match="cannot read a int"):
        read(3)  # type: ignore[arg-type]


def test_pixels_without_a_vr_in_an_explicit_file_are_found() -> None:
    data = encoded(twelve())
    at = data.rindex(b"\xe0\x7f\x10\0OW\0\0")
    implicit = data[: at + 4] + data[at + 8 :]  # tag, length and value: no VR, and no two bytes behind it
    np.testing.assert_array_equal(read(implicit).pixels, read(data).pixels)


@pytest.mark.parametrize("vr", ["OB", "OW"])
def test_eight_bits_in_big_endian_words_are_swapped_in_a_data_set_too(vr: str) -> None:
    made, expected = eight(), read(encoded(eight())).pixels
    made.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.2")
    octets = np.frombuffer(made.PixelData, np.uint8)
    made.add_new(0x7FE00010, vr, octets.tobytes() if vr == "OB" else octets.reshape(-1, 2)[:, ::-1].tobytes())
    np.testing.assert_array_equal(read(made).pixels, expected)


@pytest.mark.peer
@pytest.mark.parametrize("syntax", ["+te", "+ti", "+tb"])
@pytest.mark.parametrize("form", ["whole", "no preamble", "no meta information"])
def test_files_without_preamble_or_meta_information(syntax: str, form: str, dcmtk: Path) -> None:
    whole = encoded(twelve())
    data = converted(whole, dcmtk, "dcmconv", syntax, *(["-F"] if form == "no meta information" else []))
    if form == "no preamble":
        data = data[132:]
    (dcmtk / "bare").write_bytes(data)
    np.testing.assert_array_equal(read(dcmtk / "bare").pixels, read(whole).pixels)
    assert size(dcmtk / "bare") == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    "data",
    [
        b"\x08\0\x05\0",
        b"patient,label\nx,y\n" * 20,
        bytes(4096),
        b"\x02\0\0\0UL" + b"\xff" * 200,
        b"II*\0" + bytes(200),
        struct.pack("<HHL", 8, 5, 2000)
        + bytes(2000)
        + struct.pack("<HHL", 8, 8, 4)
        + bytes(200),  # too long for a first
        struct.pack("<HHL", 8, 0x1030, 4)
        + bytes(4)
        + struct.pack("<HHL", 8, 0x1032, 4)
        + bytes(200),  # no first element
    ],
)
def test_what_only_begins_like_dicom_is_none(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"not a PNG, JPEG or DICOM|nothing but zeros"):
        read(data)


@pytest.mark.parametrize(("keyword", "value"), [("VOILUTFunction", "sigmoid"), ("PresentationLUTShape", "inverse")])
def test_codes_in_lower_case_mean_the_same(keyword: str, value: str) -> None:
    lower = twelve()
    lower.add_new(keyword, "LO", value)  # a code by the dictionary; pydicom would refuse to write it as one
    upper = twelve(**{keyword: value.upper()})
    np.testing.assert_array_equal(read(encoded(lower)).pixels, read(encoded(upper)).pixels)
    assert not np.array_equal(read(encoded(lower)).pixels, read(encoded(twelve())).pixels)


def test_an_absent_photometric_interpretation_is_noted_and_an_unknown_one_refused() -> None:
    radiograph = read(encoded(twelve(PhotometricInterpretation=None)))
    assert radiograph.notes == ("no photometric interpretation in the header: taken as MONOCHROME2",)
    np.testing.assert_array_equal(radiograph.pixels, read(encoded(twelve())).pixels)
    with pytest.raises(ImageError, match="no known term; correct it: MONOCHROME1 and MONOCHROME2"):
        read(encoded(twelve(PhotometricInterpretation="MONOCHROME 1")))


def with_window(center: str | None, width: str | None) -> bytes:
    made = dataset(picture())
    for keyword, value in (("WindowCenter", center), ("WindowWidth", width)):
        if value is not None:
            made.add_new(keyword, "LO", value)
    return encoded(made)


def test_the_numbers_before_an_unreadable_one_are_the_window() -> None:
    expected = read(encoded(dataset(picture(), WindowCenter="2040.5", WindowWidth="3000"))).pixels
    for center, width in (("2040.5\\", "3000\\"), ("2040.5\\x", "3000\\500"), ("2040.5\\1,5", "3000")):
        radiograph = read(with_window(center, width))
        np.testing.assert_array_equal(radiograph.pixels, expected)
        assert radiograph.notes == ()


@pytest.mark.parametrize(("center", "width"), [("2040,5", "3000"), ("2040.5", None), (None, "3000"), ("nan", "1")])
def test_a_window_that_cannot_be_read_is_not_called_absent(center: str | None, width: str | None) -> None:
    first, second = read(with_window(center, width)).notes
    assert first == "the header's window cannot be read"
    assert second.startswith("values from ")


def test_a_header_that_is_cut_short_says_so() -> None:
    import pydicom

    data = encoded(twelve())
    whole = pydicom.dcmread(io.BytesIO(data))
    elements: list[Any] = [whole.get_item(tag) for tag in list(whole.keys())]
    cuts = [e.value_tell + 1 for e in elements if e.length > 1 and e.tag < 0x7FE00010]
    assert len(cuts) > 20
    for cut in (200, 260, *cuts):
        with pytest.raises(ImageError, match="the file is cut short within its header; copy the file again"):
            read(data[:cut])


@pytest.mark.parametrize("first", [-1000, 0])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_the_first_value_of_a_voi_lut_may_be_negative_beside_unsigned_pixels(first: int, syntax: str) -> None:
    curve = table(CURVE * 4095, first, 12, signed_first=True)
    made = dataset(picture(), RescaleSlope=1, RescaleIntercept=first, VOILUTSequence=[curve])
    made.file_meta.TransferSyntaxUID = UID(syntax)
    np.testing.assert_allclose(read(encoded(made)).pixels, np.rint(CURVE * 4095)[picture()] / 4095, atol=1 / 4095)
