"""Lookup tables, slopes and percentiles, each by hand: what real files get wrong, and what must then be shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from tests.dicom_files import dataset, encoded, picture, table

from cxreader.errors import ImageError
from cxreader.imaging.dicom.elements import Elements
from cxreader.imaging.dicom.lut import Lut, by_percentiles, lut
from cxreader.imaging.read import read

TAGS = {"LUTDescriptor": 0x00283002, "LUTData": 0x00283006}


def made(entries: Any, first: int = 0, bits: int = 16, *, signed: bool = False, count: int | None = None) -> Lut:
    item = table(np.asarray(entries), first, bits)
    if count is not None:
        item.add_new(TAGS["LUTDescriptor"], "US", [count, first, bits])
    return lut(Elements(item, TAGS), signed, "a.dcm")


def test_inputs_beyond_a_table_have_its_ends() -> None:
    found = made([7, 8, 9], first=100)
    np.testing.assert_array_equal(found.apply(np.array([-5.0, 99, 100, 100.6, 102, 103, 9000])), [7, 7, 7, 8, 9, 9, 9])


@pytest.mark.parametrize(
    ("entries", "bits", "top"),
    [
        ([0, 255], 8, 255),
        ([0, 100], 8, 255),
        ([0, 256], 8, 511),  # a depth that is told too small: the least that holds the greatest entry
        ([0, 300], 8, 511),
        ([0, 4095], 10, 4095),
        ([0, 65535], 99, 65535),
    ],
)
def test_full_scale_is_the_depth_or_what_the_entries_need(entries: list[int], bits: int, top: int) -> None:
    assert made(entries, bits=bits).top == top


def test_a_length_of_0_means_65536() -> None:
    entries = np.arange(65536)[::-1]
    found = made(entries)
    np.testing.assert_array_equal(found.entries, entries)


def test_entries_may_be_packed_as_bytes() -> None:
    item = Dataset()
    item.add_new(TAGS["LUTDescriptor"], "US", [6, 0, 8])
    item.add_new(TAGS["LUTData"], "OW", bytes((1, 2, 3, 250, 251, 252)))
    found = lut(Elements(item, TAGS), False, "a.dcm")
    np.testing.assert_array_equal(found.entries, [1, 2, 3, 250, 251, 252])
    assert found.top == 255


def test_entries_behind_the_described_ones_count_for_nothing() -> None:
    found = made([0, 100, 200, 60000, 60000], bits=8, count=3)
    np.testing.assert_array_equal(found.entries, [0, 100, 200])
    assert found.top == 255


@pytest.mark.parametrize(
    ("first", "signed", "expected"),
    [(32767, True, 32767), (32768, True, -32768), (65535, True, -1), (32768, False, 32768)],
)
def test_the_first_input_of_signed_values_is_its_twos_complement(first: int, signed: bool, expected: int) -> None:
    assert made([1, 2], first=first, signed=signed).first == expected


def test_a_table_without_its_description_or_its_entries_is_refused() -> None:
    item = Dataset()
    item.add_new(TAGS["LUTDescriptor"], "US", [2, 0])
    with pytest.raises(ImageError, match=r"^a\.dcm: a lookup table without a description; export"):
        lut(Elements(item, TAGS), False, "a.dcm")
    with pytest.raises(ImageError, match="a lookup table that is cut short"):
        made([1, 2], count=5)
    assert len(made([1, 2], count=4).entries) == 4  # four bytes


@pytest.mark.parametrize("slope", [0, None])
def test_a_slope_of_0_or_none_leaves_the_values(slope: int | None) -> None:
    more: dict[str, Any] = {} if slope is None else {"RescaleSlope": slope, "RescaleIntercept": 0}
    pixels = read(encoded(dataset(picture(), WindowCenter=2048, WindowWidth=4096, **more))).pixels
    np.testing.assert_allclose(pixels, picture() / 4095, atol=1e-6)


def counts(of: dict[int, int]) -> NDArray[np.int64]:
    found = np.zeros(10, np.int64)
    found[list(of)] = list(of.values())
    return found


def test_a_picture_nearly_all_of_one_value_is_shown_over_all_it_has() -> None:
    grey, ends = by_percentiles(np.arange(10.0), counts({5: 10_000, 7: 1, 9: 1}))
    assert ends == (5.0, 9.0)
    np.testing.assert_allclose(grey[[5, 7, 9]], [0, 0.5, 1])


@pytest.mark.parametrize(("of", "at"), [({5: 100}, 5.0), ({}, 0.0)])
def test_a_picture_of_one_value_or_of_none_is_black(of: dict[int, int], at: float) -> None:
    grey, ends = by_percentiles(np.arange(10.0), counts(of))
    assert ends == (at, at)
    assert grey[5 if of else 9] == 0
