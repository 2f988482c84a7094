"""The picture as its file stores it: by its table it is the Radiograph; a viewer's windows mean what the header's do."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.sequence import Sequence
from tests.dicom_files import dataset, encoded, picture, table

from cxreader.imaging.read import read
from cxreader.imaging.stored import StoredPicture, Window

BLACK = 1.01 / 255


def both(data: bytes) -> tuple[NDArray[np.float32], StoredPicture]:
    kept: list[StoredPicture] = []
    return read(data, keep=kept.append).pixels, kept[0]


def shown(kept: StoredPicture) -> NDArray[np.float64]:
    return kept.shown[kept.values] / 255.0


CASES: dict[str, dict[str, Any]] = {
    "no window": {},
    "a window": {"WindowCenter": 2000, "WindowWidth": 1500},
    "MONOCHROME1": {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": 2000, "WindowWidth": 1500},
    "slope": {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 3000, "WindowWidth": 3000},
    "negative slope": {"RescaleSlope": -1, "RescaleIntercept": 4095, "WindowCenter": 2000, "WindowWidth": 3000},
    "sigmoid": {"VOILUTFunction": "SIGMOID", "WindowCenter": 2000, "WindowWidth": 900},
    "modality table": {
        "ModalityLUTSequence": Sequence([table(np.arange(4096)[::-1] // 2, 0, 11)]),
        "WindowCenter": 1000,
        "WindowWidth": 900,
    },
    "VOI table": {"VOILUTSequence": Sequence([table((np.arange(4096) ** 2) >> 12, 0, 12)])},
    "padding": {"PixelPaddingValue": 4095},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("signed", [False, True])
def test_shown_by_its_table_it_is_the_radiograph(case: str, signed: bool) -> None:
    signed &= "table" not in case  # their inputs here are unsigned
    ours, kept = both(encoded(dataset(picture(signed=signed), signed=signed, **CASES[case])))
    assert kept.values.shape == ours.shape
    assert int(kept.values.max()) < len(kept.shown) == 1 << kept.bits
    assert np.abs(shown(kept) - ours).max() <= BLACK


@pytest.mark.parametrize(
    ("signed", "slope", "intercept"),
    [(False, 1, 0), (True, 1, 0), (False, 2, -1000), (True, 0.5, 7), (False, -1, 4095)],
)
def test_values_are_in_the_order_of_what_they_measure_and_give_it(signed: bool, slope: float, intercept: float) -> None:
    stored = picture(signed=signed)
    _, kept = both(encoded(dataset(stored, signed=signed, RescaleSlope=slope, RescaleIntercept=intercept)))
    np.testing.assert_allclose(kept.values * kept.slope + kept.intercept, stored * slope + intercept)
    assert kept.slope > 0


def test_windows_of_the_header_that_can_be_used() -> None:
    given: dict[str, Any] = {
        "WindowCenter": [100, 200, 300],
        "WindowWidth": [50, 0, 70],
        "VOILUTFunction": "LINEAR_EXACT",
    }
    _, kept = both(encoded(dataset(picture(), **given)))
    assert kept.windows == (Window(100, 50, "LINEAR_EXACT"), Window(300, 70, "LINEAR_EXACT"))


def test_a_viewers_linear_window_is_the_headers() -> None:
    """By the formula of PS3.3 C.11.2.1.2, computed here from values, slope and intercept alone."""
    center, width = 900.0, 700.0
    given: dict[str, Any] = {"RescaleSlope": 0.5, "RescaleIntercept": -20, "WindowCenter": center, "WindowWidth": width}
    ours, kept = both(encoded(dataset(picture(), **given)))
    measured = kept.values * kept.slope + kept.intercept
    by_hand = np.clip((measured - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
    np.testing.assert_allclose(by_hand, ours, atol=1e-5)


def test_oblong_pixels_are_told_and_what_was_not_wished_for_costs_nothing() -> None:
    data = encoded(dataset(picture(), PixelSpacing=[0.4, 0.2]))
    ours, kept = both(data)
    assert kept.aspect == 2.0
    assert ours.shape == (2 * kept.values.shape[0], kept.values.shape[1])
    np.testing.assert_array_equal(read(data).pixels, ours)


def test_pictures_of_8_and_of_16_bits() -> None:
    random = np.random.default_rng(0)
    for dtype, bits in ((np.uint8, 8), (np.uint16, 16)):
        values = random.integers(0, np.iinfo(dtype).max + 1, (40, 50)).astype(dtype)
        buffer = io.BytesIO()
        Image.fromarray(values).save(buffer, "PNG")
        ours, kept = both(buffer.getvalue())
        assert kept.bits == bits
        np.testing.assert_array_equal(kept.values, values)
        assert np.abs(shown(kept) - ours).max() <= BLACK


def test_colours_are_kept_as_grey() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (40, 50, 3))
    ours, kept = both(encoded(dataset(colours, bits=8)))
    assert kept.bits == 8
    assert np.abs(shown(kept) - ours).max() <= BLACK


def test_what_a_shutter_hides_is_dark() -> None:
    given: dict[str, Any] = {
        "ShutterShape": "RECTANGULAR",
        "ShutterLeftVerticalEdge": 20,
        "ShutterRightVerticalEdge": 60,
    }
    given |= {"ShutterUpperHorizontalEdge": 10, "ShutterLowerHorizontalEdge": 40}
    for photometric, dark in (("MONOCHROME2", 0), ("MONOCHROME1", 4095)):
        ours, kept = both(encoded(dataset(picture(), PhotometricInterpretation=photometric, **given)))
        assert (kept.values[0] == dark).all()
        assert np.abs(shown(kept) - ours).max() <= BLACK
