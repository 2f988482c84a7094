from __future__ import annotations

import json
import time

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from cxreader.errors import TableError
from cxreader.evaluation.calibration.line import CalibrationLine, line_reasons, line_statistic
from cxreader.evaluation.calibration.reliability import equal_mass_bins, reliability_from, reliability_statistic
from cxreader.evaluation.calibration.report import CalibrationReport, calibration_report
from cxreader.evaluation.statistics.intervals import Sample, bootstrap, resample

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


def _sample(n: int, patients: int, seed: int = 0) -> tuple[Sample, Floats]:
    generator = np.random.default_rng(seed)
    score = generator.normal(0, 1.5, n)
    label = (generator.random(n) < expit(score)).astype(np.int64)
    return Sample(label, generator.integers(0, patients, n)), expit(score)


def test_the_parts_are_those_computed_alone_from_the_same_resamples() -> None:
    sample, p = _sample(400, 120)
    found = calibration_report(sample, p, seed=3, n_resamples=60, n_bins=6)
    bins = equal_mass_bins(p, 6)
    drawn = resample(reliability_statistic(sample.label, p, bins), sample, n_resamples=60, seed=3)
    alone = reliability_from(*drawn, sample, p, bins, 6)
    statistic, reasons = line_statistic(sample.label, p), line_reasons(sample.label, p)
    line = CalibrationLine(**bootstrap(statistic, sample, n_resamples=60, seed=3, reasons=reasons), bounded=0)
    assert found.reliability.to_dict() == alone.to_dict()
    assert found.line.to_dict() == line.to_dict()
    assert len(found.reliability.bins) == 6


def test_a_calibrated_model_is_said_to_be_so() -> None:
    found = calibration_report(*_sample(6000, 2000, seed=1), n_resamples=300)
    assert found.line.slope.low < 1 < found.line.slope.high
    assert found.line.intercept.low < 0 < found.line.intercept.high
    assert found.reliability.ece.value < 2 * found.reliability.ece_if_calibrated


@pytest.mark.parametrize(
    ("label", "p", "groups"),
    [
        ([], [], []),
        ([1], [0.3], [0]),
        ([0, 1], [0.0, 1.0], [0, 1]),
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], [0, 0, 1, 2]),
        ([0, 1, 0, 1], [0.5] * 4, [0, 1, 2, 3]),
    ],
)
def test_round_trip_is_exact_and_tiny_samples_have_reasons(label: list[int], p: list[float], groups: list[int]) -> None:
    sample = Sample(np.array(label, dtype=int), np.array(groups, dtype=int))
    found = calibration_report(sample, np.array(p, dtype=float), n_resamples=10)
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert json.dumps(CalibrationReport.from_dict(json.loads(text)).to_dict()) == text
    assert np.isnan(found.line.slope.value)
    assert found.line.slope.reason


def test_unknown_patients_are_said_and_no_patients_counted() -> None:
    sample, p = _sample(100, 1)
    found = calibration_report(Sample(sample.label, np.arange(100), False), p, n_resamples=10)
    for estimate in (found.line.slope, found.reliability.ece, found.reliability.bins[0].observed):
        assert estimate.n_patients is None
        assert estimate.method.startswith("bootstrap by image: no patient known")


def test_the_order_of_the_images_does_not_matter() -> None:
    sample, p = _sample(300, 90)
    mixed = np.random.default_rng(1).permutation(300)
    one = calibration_report(sample, p, n_resamples=20)
    other = calibration_report(Sample(sample.label[mixed], sample.groups[mixed]), p[mixed], n_resamples=20)
    assert other.line.slope.low == pytest.approx(one.line.slope.low, abs=1e-9)
    assert other.reliability.ece.high == pytest.approx(one.reliability.ece.high, abs=1e-12)


def test_two_thousand_resamples_of_many_images_are_a_matter_of_seconds() -> None:
    """22,000 images of 6,000 patients: a fiftieth of the resamples within a fiftieth of half a minute, ten times the need."""
    sample, p = _sample(22_000, 6000)
    began = time.process_time()
    calibration_report(sample, p, n_resamples=40)
    assert time.process_time() - began < 0.6


def test_other_lengths_and_damage_are_refused() -> None:
    with pytest.raises(TableError, match="2 probabilities for 3 labels"):
        calibration_report(Sample(np.array([0, 1, 0]), np.arange(3)), np.array([0.1, 0.2]))
    with pytest.raises(KeyError, match="reliability"):
        CalibrationReport.from_dict({"line": {}})
