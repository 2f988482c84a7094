"""A rate of 0 or 1 has Clopper and Pearson's bound by patient, 0.025 ** (1 / n), wherever a rate is told."""

from __future__ import annotations

import numpy as np
import pytest

from cxreader.evaluation.calibration.report import calibration_report
from cxreader.evaluation.comparison.networks import NetworkRuns, compare
from cxreader.evaluation.decisions.conformal import ConformalRule, judge_conformal
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.evaluation.subgroups.performance import subgroups
from cxreader.records import OperatingPoint, PredictionTable

N = 80
LABEL = (np.arange(N) // 2 % 2).astype(np.int8)  # two images each of 40 patients, 20 of them abnormal
PATIENT = np.arange(N) // 2
PROBABILITY = np.where(LABEL == 1, 0.9, 0.1)
PROBABILITY[:6] = 0.7  # the only mistakes: normal images of two patients; those of the one between are abnormal
SAMPLE = Sample(LABEL, PATIENT)
LOWER = 0.025 ** (1 / 20)


def test_of_a_subgroup() -> None:
    sex = np.where(PATIENT % 4 < 2, "F", "M")
    table = PredictionTable(np.arange(N).astype(str), LABEL, PROBABILITY, PATIENT.astype(str), {"sex": sex})
    found = {group.name: group for group in subgroups(table, OperatingPoint.given(0.5), n_resamples=50).groups}
    for group in found.values():
        sensitivity = group.metrics["sensitivity"]
        people = len(np.unique(PATIENT[(sex == group.name[0].upper()) & (LABEL == 1)])) or 10
        assert (sensitivity.value, sensitivity.high) == (1.0, 1.0)
        assert sensitivity.low == pytest.approx(0.025 ** (1 / people))


def test_of_a_bin_of_the_reliability_diagram() -> None:
    bins = calibration_report(SAMPLE, PROBABILITY, n_bins=4, n_resamples=50).reliability.bins
    lowest = bins[0].observed
    people = len(np.unique(PATIENT[PROBABILITY == 0.1]))
    assert (lowest.value, lowest.low) == (0.0, 0.0)
    assert lowest.high == pytest.approx(1 - 0.025 ** (1 / people))


def test_of_a_conformal_rule() -> None:
    found = judge_conformal(ConformalRule(0.1, 0.8, 0.75, 50, 50), SAMPLE, PROBABILITY, n_resamples=50)
    assert found.measures["coverage_normal"].value == 1.0
    assert found.measures["coverage_normal"].low == pytest.approx(0.025 ** (1 / len(np.unique(PATIENT[LABEL == 0]))))
    assert found.measures["referred"].value == 0.0
    assert found.measures["referred"].high == pytest.approx(1 - 0.025 ** (1 / 40))


def test_of_a_network_of_a_study() -> None:
    runs = NetworkRuns("a", (0, 1), np.stack([PROBABILITY, PROBABILITY]))
    recall = compare(SAMPLE, [runs], n_resamples=50).rows[0].metrics["recall"]
    assert (recall.value, recall.high) == (1.0, 1.0)
    assert recall.low == pytest.approx(LOWER)
    assert "exact (Clopper-Pearson) by patient, 20 of them" in recall.method
