"""From how many images of a class on calibrate there is a probability, and from how many no warning."""

from __future__ import annotations

import pytest

from cxreader.evaluation.calibration.support import CalibrationSupport


@pytest.mark.parametrize(
    ("n_positive", "n_negative", "calibrated", "words"),
    [
        (17, 8, False, "not calibrated: 17 abnormal, 8 normal"),
        (500, 19, False, "not calibrated: 500 abnormal, 19 normal"),
        (19, 1_500, False, "not calibrated: 19 abnormal, 1,500 normal"),
        (20, 20, True, "calibrated on few images: 20 abnormal, 20 normal"),
        (49, 500, True, "calibrated on few images: 49 abnormal, 500 normal"),
        (500, 49, True, "calibrated on few images: 500 abnormal, 49 normal"),
        (50, 50, True, None),
    ],
)
def test_the_two_bounds(n_positive: int, n_negative: int, calibrated: bool, words: str | None) -> None:
    support = CalibrationSupport(n_positive, n_negative)
    assert support.calibrated is calibrated
    assert (support.note is None) == (support.threshold_note is None) == (words is None)
    if words is not None:
        assert support.note is not None
        assert support.note.startswith(words)
        assert support.threshold_note is not None
        assert f"{n_positive:,} abnormal and {n_negative:,} normal" in support.threshold_note
