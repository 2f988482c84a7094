from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from cxreader.errors import TableError
from cxreader.evaluation.decisions.decision_curve import THRESHOLDS, DecisionCurve, decision_curve
from cxreader.evaluation.statistics.intervals import Sample


def _sample(n: int = 300, seed: int = 0) -> tuple[Sample, np.ndarray]:
    generator = np.random.default_rng(seed)
    probability = np.round(generator.random(n), 2)  # ties, some of them on a threshold
    label = (generator.random(n) < probability).astype(int)
    return Sample(label, generator.integers(0, n // 2, n)), probability


def test_hand_computed() -> None:
    # From 0.25 on: 2 of 2 abnormal and 1 of 3 normal images, a false alarm costing a third: (2 - 1/3) / 5.
    sample = Sample(np.array([1, 1, 0, 0, 0]), np.arange(5))
    curve = decision_curve(
        sample, np.array([0.9, 0.25, 0.6, 0.2, 0.1]), thresholds=np.array([0.25, 0.5]), n_resamples=10
    )
    assert curve.net_benefit == pytest.approx([(2 - 1 / 3) / 5, (1 - 1) / 5])
    assert curve.treat_all == pytest.approx([(2 - 3 / 3) / 5, (2 - 3) / 5])
    assert curve.advantage == pytest.approx([(2 - 1 / 3 - 1) / 5, 0.0])
    assert (curve.prevalence, curve.deployed) == (0.4, False)


def test_equals_the_definition_at_every_threshold() -> None:
    sample, probability = _sample()
    curve = decision_curve(sample, probability, n_resamples=20)
    for k, t in enumerate(THRESHOLDS):
        flagged = probability >= t
        tp, fp = (np.sum(flagged & (sample.label == value)) for value in (1, 0))
        assert curve.net_benefit[k] == pytest.approx((tp - fp * t / (1 - t)) / 300)
        share = sample.label.mean()
        assert curve.treat_all[k] == pytest.approx(share - (1 - share) * t / (1 - t))


def test_a_perfect_reading_is_worth_the_prevalence() -> None:
    label = np.repeat([1, 0], [30, 70])
    curve = decision_curve(Sample(label, np.arange(100)), label.astype(float), n_resamples=10)
    np.testing.assert_allclose(curve.net_benefit, 0.3)


def test_a_stated_prevalence_is_that_of_a_sample_with_more_normal_images() -> None:
    sample, probability = _sample()
    times = np.where(sample.label == 1, 1, 9)
    grown = Sample(np.repeat(sample.label, times), np.repeat(sample.groups, times))
    there = decision_curve(grown, np.repeat(probability, times), n_resamples=5)
    stated = decision_curve(sample, probability, prevalence=there.prevalence, n_resamples=5)
    assert stated.deployed
    np.testing.assert_allclose(stated.net_benefit, there.net_benefit)
    np.testing.assert_allclose(stated.treat_all, there.treat_all)
    np.testing.assert_allclose(stated.advantage, there.advantage)


def test_bands_resample_patients_and_hold_the_curve() -> None:
    sample, probability = _sample()
    once = decision_curve(sample, probability, n_resamples=300)
    ninefold = Sample(np.repeat(sample.label, 9), np.repeat(sample.groups, 9))
    again = decision_curve(ninefold, np.repeat(probability, 9), n_resamples=300)
    np.testing.assert_allclose(again.low, once.low, atol=1e-12)
    np.testing.assert_allclose(again.advantage_high, once.advantage_high, atol=1e-12)
    assert (once.low <= once.net_benefit).all()
    assert (once.net_benefit <= once.high).all()
    # At 0.5 a flag found counts 1, a false alarm -1: the band is that of a mean over images.
    alone = Sample(sample.label, np.arange(300))
    plain = decision_curve(alone, probability, n_resamples=2000)
    worth = np.where(probability >= 0.5, np.where(sample.label == 1, 1, -1), 0)
    half = 1.96 * worth.std() / np.sqrt(300)
    assert plain.high[49] - plain.low[49] == pytest.approx(2 * half, rel=0.08)


def test_a_single_threshold_above_is_no_useful_stretch() -> None:
    sample, probability = _sample()
    curve = decision_curve(sample, probability, thresholds=np.linspace(0.1, 0.7, 7), n_resamples=0)
    above = replace(curve, advantage_low=np.array([0.1, 0, 0.1, 0.2, -0.1, np.nan, 0.1]))
    assert above.useful == ((curve.threshold[2], curve.threshold[3]),)


def test_useful_stretches_are_where_the_advantage_is_sure() -> None:
    sample, probability = _sample(3000)
    curve = decision_curve(sample, probability, n_resamples=200)
    assert curve.useful[0][0] < 0.3
    assert curve.useful[-1][1] > 0.7
    told = [t for t in THRESHOLDS if any(first <= t <= last for first, last in curve.useful)]
    assert told == [t for t, low in zip(THRESHOLDS, curve.advantage_low, strict=True) if low > 0]
    noise = decision_curve(sample, np.full(3000, 0.5), n_resamples=200)
    assert noise.useful == ()


@pytest.mark.parametrize(
    ("label", "prevalence", "reason"),
    [
        ([], None, "no image"),
        ([1], None, "one patient: nothing to resample"),
        ([1, 1], 0.1, "no normal image"),
        ([0, 0], 0.1, "no abnormal image"),
        ([1, 0], 0.1, "undefined in too many resamples: too few patients of a class"),
    ],
)
def test_undefined_is_said(label: list[int], prevalence: float | None, reason: str) -> None:
    sample = Sample(np.array(label, dtype=int), np.arange(len(label)))
    curve = decision_curve(sample, np.full(len(label), 0.4), prevalence=prevalence, n_resamples=20)
    assert curve.reason == reason
    assert np.isnan(curve.low).all()
    text = json.dumps(curve.to_dict(), allow_nan=False)
    assert json.dumps(DecisionCurve.from_dict(json.loads(text)).to_dict(), allow_nan=False) == text


def test_round_trip() -> None:
    curve = decision_curve(*_sample(), prevalence=0.1, n_resamples=20)
    again = DecisionCurve.from_dict(json.loads(json.dumps(curve.to_dict(), allow_nan=False)))
    assert again.to_dict() == curve.to_dict()
    np.testing.assert_array_equal(again.advantage_low, curve.advantage_low)


def test_wrong_arguments_are_refused() -> None:
    sample, probability = _sample()
    with pytest.raises(TableError, match="299 probabilities for 300 labels"):
        decision_curve(sample, probability[1:])
    with pytest.raises(TableError, match="prevalence 0 lies not between"):
        decision_curve(sample, probability, prevalence=0)
    with pytest.raises(TableError, match="leave 0 and 1 themselves out"):
        decision_curve(sample, probability, thresholds=np.array([0.5, 1.0]))
