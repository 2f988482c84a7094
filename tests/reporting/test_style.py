"""The visual language: which colour says what, and how a figure is kept."""

from __future__ import annotations

import base64
import io
from math import nan
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation
from PIL import Image

from cxreader.errors import StorageError
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.reporting.style import (
    BLUE,
    VERMILION,
    headline,
    interval_bars,
    interval_line,
    outcome_patch,
    save_figure,
    single_axes,
    to_data_uri,
    unit_square,
)


def _figure() -> Figure:
    figure, axes = unit_square("x", "y")
    axes.plot([0, 1], [0, 1])
    return figure


def test_right_is_blue_wrong_is_vermilion_and_the_larger_share_is_darker() -> None:
    _, axes = single_axes(3, 3)
    for column, name in enumerate(("tp", "tn", "fp", "fn")):
        outcome_patch(axes, 0, column, name, 0.2 * column)
    assert [to_hex(patch.get_facecolor()).upper() for patch in axes.patches] == [BLUE, BLUE, VERMILION, VERMILION]
    assert [patch.get_alpha() for patch in axes.patches] == pytest.approx([0.08, 0.18, 0.28, 0.38])


def test_a_bar_ends_at_its_number_and_its_line_spans_the_interval() -> None:
    _, axes = single_axes(3, 3)
    known, unsure = (Estimate(v, *ends, 3, 4, 5, "m", "one") for v, ends in ((0.6, (0.5, 0.7)), (0.4, (nan, nan))))
    undefined = Estimate(nan, nan, nan, 3, 4, 5, "m", "none")
    interval_bars(axes, [known, undefined, unsure], shift=0.2, colour=BLUE, digits=2)
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [bar.get_width() for bar in bars] == pytest.approx([0.6, 0.4])
    assert [bar.get_y() + bar.get_height() / 2 for bar in bars] == pytest.approx([0.2, 2.2])
    assert np.array_equal(axes.lines[0].get_xdata(), [0.5, 0.7])
    notes = [text for text in axes.texts if isinstance(text, Annotation)]
    assert [(note.get_text(), note.xy) for note in notes] == [("0.60", (0.7, 0.2)), ("0.40", (0.4, 2.2))]


def test_a_dot_without_an_interval_has_no_line() -> None:
    _, axes = single_axes(3, 3)
    interval_line(axes, Estimate(0.6, 0.5, 0.7, 3, 4, 5, "m"), 1, BLUE)
    interval_line(axes, Estimate(0.4, nan, nan, 3, 4, 5, "m", "one"), 2, BLUE)
    assert [np.asarray(line.get_xdata()).tolist() for line in axes.lines] == [[0.5, 0.7], [0.6], [0.4]]


def test_the_headline_counts_abnormal_before_normal() -> None:
    _, axes = unit_square("x", "y")
    headline(axes, "AUC", Estimate(0.9, 0.8, 0.95, 30, 1200, 400, "m"))
    headline(axes, "AUC", Estimate(nan, nan, nan, 0, 9, None, "m", "no abnormal image"))
    assert [text.get_text() for text in axes.texts] == [
        "AUC 0.900 (0.800-0.950)",
        "95 % interval; 30 abnormal, 1,200 normal, 400 patients",
        "AUC undefined",
        "no abnormal image; 0 abnormal, 9 normal, patients unknown",
    ]


def test_the_same_figure_gives_the_same_bytes() -> None:
    one, other = (to_data_uri(_figure()) for _ in range(2))
    assert one == other
    assert one.startswith("data:image/svg+xml;base64,")


def test_pictures_of_all_kinds_become_png() -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    uri = to_data_uri(pixels)
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)
    assert to_data_uri(data) == uri
    assert to_data_uri(pixels[..., 0]).startswith("data:image/png")


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file: is a file, not a folder"):
        save_figure(_figure(), tmp_path / "file" / "roc")
