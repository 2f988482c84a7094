from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import class_likelihood_ratios

from cxreader.errors import TableError
from cxreader.evaluation.decisions.at_threshold import DEPLOYED, RATES, AtThreshold, at_thresholds
from cxreader.records import OperatingPoint, PredictionTable

HALF = OperatingPoint("half", 0.5, "r", 1, 1)


def _two_by_two(tp: int, fn: int, fp: int, tn: int, each: int = 1) -> PredictionTable:
    """One patient an image, or `each` images of a patient, all alike."""
    label = np.repeat([1, 1, 0, 0], [tp, fn, fp, tn])
    probability = np.repeat([0.9, 0.1, 0.8, 0.2], [tp, fn, fp, tn])
    patient = np.array([f"p{k}" for k in range(len(label))])
    label, probability, patient = (np.repeat(v, each) for v in (label, probability, patient))
    return PredictionTable(np.array([f"{k}.png" for k in range(len(label))]), label, probability, patient)


def test_hand_computed_table() -> None:
    (result,) = at_thresholds(_two_by_two(80, 20, 30, 170), [HALF], prevalence=0.1, n_resamples=50)
    expected = {
        "sensitivity": 0.8,
        "specificity": 0.85,
        "ppv": 80 / 110,
        "npv": 170 / 190,
        "lr_positive": 0.8 / 0.15,
        "lr_negative": 0.2 / 0.85,
        "flagged": 110 / 300,
    }
    assert {name: e.value for name, e in result.rates.items()} == pytest.approx(expected)
    # Of 1,000 images 100 are abnormal, 80 of them flagged, with 135 of the 900 normal ones.
    deployed = {"ppv": 80 / 215, "npv": 765 / 785, "flagged": 0.215}
    assert {name: e.value for name, e in result.deployed.items()} == pytest.approx(deployed)
    assert result.confusion == {"tp": 80, "fp": 30, "tn": 170, "fn": 20}
    assert set(result.rates) == set(RATES)
    assert set(result.deployed) == set(DEPLOYED)


def test_likelihood_ratios_equal_scikit_learn() -> None:
    table = _two_by_two(31, 12, 7, 50)
    (result,) = at_thresholds(table, [HALF], n_resamples=10)
    positive, negative = class_likelihood_ratios(table.label, table.probability >= 0.5)
    assert result.rates["lr_positive"].value == pytest.approx(positive)
    assert result.rates["lr_negative"].value == pytest.approx(negative)


def test_intervals_are_those_of_the_normal_theory() -> None:
    """Sensitivity: a binomial share; log LR+: Simel et al., Journal of Clinical Epidemiology 44, 1991, 763-770."""
    tp, fn, fp, tn = 400, 100, 75, 425
    (result,) = at_thresholds(_two_by_two(tp, fn, fp, tn), [HALF], prevalence=0.1, n_resamples=2000)
    z = norm.ppf(0.975)
    sensitivity, lr = result.rates["sensitivity"], result.rates["lr_positive"]
    half = z * np.sqrt(0.8 * 0.2 / 500)
    assert (sensitivity.low, sensitivity.high) == pytest.approx((0.8 - half, 0.8 + half), abs=0.005)
    spread = np.exp(z * np.sqrt(0.2 / tp + 0.85 / fp))
    assert (lr.low, lr.high) == pytest.approx((lr.value / spread, lr.value * spread), rel=0.03)
    # The odds of an abnormal image behind a flag are those before it times LR+, so the interval goes with it.
    ppv = result.deployed["ppv"]
    for end, ratio in ((ppv.low, lr.low), (ppv.value, lr.value), (ppv.high, lr.high)):
        assert end / (1 - end) == pytest.approx(ratio / 9, rel=1e-3)


def test_a_resample_without_a_false_alarm_has_no_upper_end() -> None:
    """Of 60 normal images 2 are flagged: a resample of all 120 patients misses both with probability 0.13."""
    (result,) = at_thresholds(_two_by_two(50, 10, 2, 58), [HALF], n_resamples=2000)
    lr = result.rates["lr_positive"]
    assert lr.value == pytest.approx(25)
    assert np.isposinf(lr.high)
    # The lower end is the 2.5th centile of independent draws of the same table.
    generator = np.random.default_rng(9)
    tp, _, fp, tn = generator.multinomial(120, np.array([50, 10, 2, 58]) / 120, size=100_000).T
    drawn = np.sort(np.where(fp == 0, np.inf, (tp / (120 - fp - tn)) / (np.maximum(fp, 1) / (fp + tn))))
    assert lr.low == pytest.approx(drawn[2500], rel=0.05)
    assert str(lr.reason).startswith("infinite in ")
    assert "no upper end" in lr.interval
    assert int(str(lr.reason).split()[2]) / 2000 == pytest.approx(np.mean(fp == 0), abs=0.03)
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert np.isposinf(AtThreshold.from_dict(json.loads(text)).rates["lr_positive"].high)
    # Of 60 abnormal images 58 are found and all 60 normal ones but two flagged: the mirror of the above.
    (mirror,) = at_thresholds(_two_by_two(10, 50, 58, 2), [HALF], n_resamples=2000)
    assert np.isposinf(mirror.rates["lr_negative"].high)
    assert mirror.rates["lr_negative"].value == pytest.approx(25)


def test_nine_images_of_each_patient_leave_the_intervals_alone() -> None:
    once, ninefold = (
        at_thresholds(_two_by_two(20, 10, 8, 30, each), [HALF], prevalence=0.2, n_resamples=300)[0] for each in (1, 9)
    )
    for part in ("rates", "deployed"):
        for name, estimate in getattr(once, part).items():
            other = getattr(ninefold, part)[name]
            assert (other.low, other.high) == pytest.approx((estimate.low, estimate.high), abs=1e-9)


def test_several_points_share_their_resamples_with_each_alone() -> None:
    table = _two_by_two(20, 10, 8, 30)
    points = [HALF, OperatingPoint("high", 0.85, "r", 1, 1)]
    both = at_thresholds(table, points, prevalence=0.3, n_resamples=100, seed=4)
    alone = [at_thresholds(table, [point], prevalence=0.3, n_resamples=100, seed=4)[0] for point in points]
    assert [b.to_dict() for b in both] == [a.to_dict() for a in alone]
    assert both[1].confusion == {"tp": 20, "fp": 0, "tn": 38, "fn": 10}
    with pytest.raises(TableError, match="share a name: half, half"):
        at_thresholds(table, [HALF, HALF])


@pytest.mark.parametrize(
    ("counts", "name", "reason"),
    [
        ((0, 0, 3, 9), "sensitivity", "no abnormal image"),
        ((3, 9, 0, 0), "specificity", "no normal image"),
        ((0, 5, 0, 5), "ppv", "no image was called abnormal"),
        ((5, 0, 5, 0), "npv", "no image was called normal"),
        ((5, 2, 0, 5), "lr_positive", "no normal image was called abnormal: the ratio has no bound"),
        ((5, 2, 5, 0), "lr_negative", "no normal image was called normal: the ratio has no bound"),
        ((0, 0, 3, 9), "lr_positive", "no abnormal image"),
        ((0, 0, 0, 0), "flagged", "no image"),
    ],
)
def test_undefined_is_said(counts: tuple[int, int, int, int], name: str, reason: str) -> None:
    (result,) = at_thresholds(_two_by_two(*counts), [HALF], n_resamples=20)
    assert np.isnan(result.rates[name].value)
    assert result.rates[name].reason == reason


def test_what_bayes_needs_is_said_at_a_prevalence() -> None:
    for counts, reason in (((0, 0, 3, 9), "no abnormal image"), ((3, 9, 0, 0), "no normal image")):
        (result,) = at_thresholds(_two_by_two(*counts), [HALF], prevalence=0.1, n_resamples=20)
        assert [e.reason for e in result.deployed.values()] == [reason] * 3
    with pytest.raises(TableError, match=r"prevalence 1\.5 lies not between"):
        at_thresholds(_two_by_two(1, 1, 1, 1), [HALF], prevalence=1.5)


@pytest.mark.parametrize("counts", [(20, 10, 8, 30), (5, 2, 0, 5), (0, 0, 0, 0)])
def test_round_trip(counts: tuple[int, int, int, int]) -> None:
    for result in at_thresholds(_two_by_two(*counts), [HALF], prevalence=0.1, n_resamples=20):
        text = json.dumps(result.to_dict(), allow_nan=False)
        assert json.dumps(AtThreshold.from_dict(json.loads(text)).to_dict(), allow_nan=False) == text


def test_of_a_thousand_patients_by_hand() -> None:
    """At 10 % abnormal: 100 abnormal, 80 of them found; of 900 normal ones 15 % are flagged."""
    (result,) = at_thresholds(_two_by_two(80, 20, 30, 170), [HALF], n_resamples=200)
    found = result.of_thousand(0.1)
    assert {name: e.value for name, e in found.items()} == pytest.approx(
        {"found": 80, "missed": 20, "false_alarms": 135}
    )
    sensitivity, specificity = result.rates["sensitivity"], result.rates["specificity"]
    assert (found["found"].low, found["found"].high) == pytest.approx((100 * sensitivity.low, 100 * sensitivity.high))
    assert found["missed"].low == pytest.approx(100 - found["found"].high)
    assert found["false_alarms"].high == pytest.approx(900 * (1 - specificity.low))


def test_of_a_thousand_patients_with_nobody_missed_the_bound_is_the_exact_one() -> None:
    """Clopper and Pearson: of 50 patients none missed, at most 1 - 0.025 ** (1 / 50) of them."""
    (result,) = at_thresholds(_two_by_two(50, 0, 10, 40), [HALF], n_resamples=50)
    assert result.of_thousand(0.5)["missed"].high == pytest.approx(500 * (1 - 0.025 ** (1 / 50)))
