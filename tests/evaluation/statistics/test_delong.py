from __future__ import annotations

import csv
from itertools import chain, product
from math import fsum
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxreader.errors import TableError
from cxreader.evaluation.statistics.delong import Placements, auc_delong
from cxreader.evaluation.statistics.hypothesis_tests import HypothesisTest
from cxreader.evaluation.statistics.intervals import Estimate, Sample, bootstrap
from cxreader.evaluation.statistics.metrics import all_metrics

Floats = NDArray[np.float64]
ASAH = Path(__file__).with_name("data") / "asah.csv"

# Two patients with images of both classes, one with abnormal images alone, one with normal ones alone.
LABEL = np.array([1, 0, 1, 1, 0, 0, 0, 1])
SCORE = np.array([0.9, 0.3, 0.6, 0.4, 0.5, 0.2, 0.7, 0.8])
OTHER = np.array([0.8, 0.4, 0.3, 0.7, 0.7, 0.1, 0.2, 0.6])
PATIENT = np.array([0, 0, 1, 1, 2, 2, 3, 3])


@pytest.fixture(scope="module")
def asah() -> tuple[Sample, dict[str, Floats]]:
    with ASAH.open(newline="") as file:
        rows = list(csv.DictReader(file))
    label = np.array([int(row["outcome"] == "Poor") for row in rows])
    markers = {name: np.array([float(row[name]) for row in rows]) for name in ("s100b", "ndka", "wfns")}
    return Sample(label, np.arange(len(rows))), markers


def _clustered(seed: int, patients: int, each: int, shared: float) -> tuple[Sample, Floats, Floats]:
    """Scores of two models; of each the share `shared` of its variance lies between patients."""
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(patients), each)
    label = generator.integers(0, 2, patients * each)
    between = generator.normal(size=(2, patients))[:, groups] * np.sqrt(shared)
    scores = label + between + generator.normal(size=(2, len(label))) * np.sqrt(1 - shared)
    return Sample(label, groups), scores[0], scores[1]


def _by_definition(sample: Sample, first: Floats, second: Floats) -> float:
    """Obuchowski's covariance of two AUCs, image by image and pair by pair, as her paper writes it."""
    patients: list[int] = np.unique(sample.groups).tolist()
    x: dict[int, list[int]] = {i: np.flatnonzero((sample.groups == i) & (sample.label == 1)).tolist() for i in patients}
    y: dict[int, list[int]] = {i: np.flatnonzero((sample.groups == i) & (sample.label == 0)).tolist() for i in patients}
    positives, negatives = (list(chain.from_iterable(v.values())) for v in (x, y))
    big_m, big_n = len(positives), len(negatives)

    def psi(score: Floats, a: int, b: int) -> float:
        return float(score[a] > score[b]) + 0.5 * float(score[a] == score[b])

    def components(score: Floats) -> tuple[dict[int, float], dict[int, float]]:
        area = fmean(psi(score, a, b) for a, b in product(positives, negatives))
        ten = {i: fsum(fmean(psi(score, a, b) for b in negatives) - area for a in x[i]) for i in patients}
        one = {i: fsum(fmean(psi(score, a, b) for a in positives) - area for b in y[i]) for i in patients}
        return ten, one

    (ten, one), (ten_, one_) = components(first), components(second)
    i, i10, i01 = len(patients), sum(len(v) > 0 for v in x.values()), sum(len(v) > 0 for v in y.values())
    s10 = i10 / ((i10 - 1) * big_m) * fsum(ten[k] * ten_[k] for k in patients)
    s01 = i01 / ((i01 - 1) * big_n) * fsum(one[k] * one_[k] for k in patients)
    s11 = i / (i - 1) * fsum(ten[k] * one_[k] for k in patients)
    s11_ = i / (i - 1) * fsum(ten_[k] * one[k] for k in patients)
    return s10 / big_m + s01 / big_n + (s11 + s11_) / (big_m * big_n)


def _difference(sample: Sample, first: Floats, second: Floats) -> tuple[Estimate, HypothesisTest]:
    return Placements.of(sample, np.stack([first, second])).difference(0, 1)


@pytest.mark.parametrize(
    ("marker", "auc", "low", "high"),
    [
        ("s100b", 0.7313685636856369, 0.6301182117616226, 0.8326189156096511),
        ("ndka", 0.6119579945799458, 0.5012449992717026, 0.7226709898881890),
        ("wfns", 0.8236788617886179, 0.7485348878194529, 0.8988228357577830),
    ],
)
def test_interval_is_that_of_proc(
    asah: tuple[Sample, dict[str, Floats]], marker: str, auc: float, low: float, high: float
) -> None:
    sample, markers = asah
    estimate = auc_delong(sample, markers[marker])
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((auc, low, high), abs=1e-14)
    assert (estimate.n_positive, estimate.n_negative, estimate.n_patients) == (41, 72, 113)


def test_published_example_as_printed(asah: tuple[Sample, dict[str, Floats]]) -> None:
    """Robin et al. 2011: AUC 0.7314, 95 % 0.6301-0.8326 (DeLong)."""
    estimate = auc_delong(asah[0], asah[1]["s100b"])
    assert [f"{v:.4f}" for v in (estimate.value, estimate.low, estimate.high)] == ["0.7314", "0.6301", "0.8326"]


@pytest.mark.parametrize(
    ("other", "z", "p", "low", "high"),
    [
        ("ndka", 1.3907700257355771, 0.1642951752230545, -0.0488706064228094, 0.2876917446341914),
        ("wfns", -2.20898359144090772, 0.02717578222918815, -0.1742144192494776, -0.0104061769564846),
    ],
)
def test_difference_is_that_of_proc(
    asah: tuple[Sample, dict[str, Floats]], other: str, z: float, p: float, low: float, high: float
) -> None:
    sample, markers = asah
    estimate, test = _difference(sample, markers["s100b"], markers[other])
    assert (test.statistic, test.p_value) == pytest.approx((z, p), abs=1e-12)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=1e-14)


def test_clustered_variance_by_hand() -> None:
    """Placements of the abnormal 1, 3/4, 1/2, 1 and of the normal 1, 3/4, 1, 1/2, AUC 13/16; summed by patient."""
    placed = Placements.of(Sample(LABEL, PATIENT), SCORE)
    assert placed.auc[0] == 13 / 16
    s10 = 3 / (2 * 4) * ((3 / 16) ** 2 + (-6 / 16) ** 2 + (3 / 16) ** 2)
    s01 = 3 / (2 * 4) * ((3 / 16) ** 2 + (2 / 16) ** 2 + (-5 / 16) ** 2)
    s11 = 4 / 3 * ((3 / 16) * (3 / 16) + (3 / 16) * (-5 / 16))
    assert s10 / 4 + s01 / 4 + 2 * s11 / 16 == 0.02978515625
    assert placed.variance(np.ones(1)) == pytest.approx(0.02978515625, abs=1e-16)
    estimate = auc_delong(Sample(LABEL, PATIENT), SCORE)
    assert estimate.low == pytest.approx(0.8125 - 1.959963984540054 * 0.02978515625**0.5)
    assert estimate.high == 1.0  # clipped
    turned = auc_delong(Sample(LABEL, PATIENT), -SCORE)
    assert (turned.low, turned.high) == pytest.approx((0.0, 1 - estimate.low))
    assert "Obuchowski 1997" in estimate.method


@pytest.mark.parametrize("seed", range(4))
def test_clustered_covariance_by_definition(seed: int) -> None:
    """Unequal clusters and ties; fails when a factor or a cross term is lost."""
    generator = np.random.default_rng(seed)
    groups = generator.integers(0, 12, 40)
    sample = Sample(generator.integers(0, 2, 40), groups)
    one, other = np.round(generator.random((2, 40)) + 0.3 * sample.label, 1)
    placed = Placements.of(sample, np.stack([one, other]))
    assert placed.auc == pytest.approx([roc_auc_score(sample.label, s) for s in (one, other)])
    expected = [_by_definition(sample, a, b) for a, b in ((one, one), (other, other), (one, other))]
    assert placed.variance(np.array([1, 0])) == pytest.approx(expected[0], rel=1e-12)
    assert placed.variance(np.array([0, 1])) == pytest.approx(expected[1], rel=1e-12)
    apart = expected[0] + expected[1] - 2 * expected[2]
    assert placed.variance(np.array([1, -1])) == pytest.approx(apart, rel=1e-12)
    estimate, test = _difference(sample, one, other)
    assert test.statistic == pytest.approx((placed.auc[0] - placed.auc[1]) / apart**0.5)
    assert estimate.high - estimate.low == pytest.approx(2 * 1.959963984540054 * apart**0.5)


def test_one_image_a_patient_is_plain_delong_exactly() -> None:
    """The textbook form: sample variances of the placements over their number, no factor beside them."""
    above = np.array([[float(p > q) for q in SCORE[LABEL == 0]] for p in SCORE[LABEL == 1]])
    plain = above.mean(axis=1).var(ddof=1) / 4 + above.mean(axis=0).var(ddof=1) / 4
    patients = np.array([3, 1, 7, 5, 2, 0, 6, 4])
    for sample in (Sample(LABEL, patients), Sample(LABEL, np.arange(8), False)):
        assert Placements.of(sample, SCORE).variance(np.ones(1)) == pytest.approx(plain, abs=1e-16)
    assert "no patient known" in auc_delong(Sample(LABEL, np.arange(8), False), SCORE).method


def test_copies_of_every_image_change_nothing_by_patient_and_too_much_by_image() -> None:
    """Nine copies know no more than one; DeLong by image would believe in a third of the width."""
    sample, one, other = _clustered(0, 200, 2, 0.3)
    many = Sample(np.repeat(sample.label, 9), np.repeat(sample.groups, 9))
    by_image = Sample(many.label, np.arange(len(many.label)))
    ninefold = np.repeat(one, 9)
    base, same = auc_delong(sample, one), auc_delong(many, ninefold)
    assert (same.low, same.high) == pytest.approx((base.low, base.high), abs=1e-12)
    plain, narrow = auc_delong(Sample(sample.label, np.arange(400)), one), auc_delong(by_image, ninefold)
    assert (narrow.high - narrow.low) / (plain.high - plain.low) == pytest.approx(1 / 3, rel=0.01)
    test, again = _difference(sample, one, other)[1], _difference(many, ninefold, np.repeat(other, 9))[1]
    assert again.p_value == pytest.approx(test.p_value, abs=1e-12)


def test_agrees_with_the_bootstrap_by_patient() -> None:
    sample, one, other = _clustered(3, 300, 4, 0.8)
    p, q = 1 / (1 + np.exp(-one)), 1 / (1 + np.exp(-other))
    drawn = bootstrap(all_metrics(sample.label, p), sample, n_resamples=1500)["auc"]
    estimate = auc_delong(sample, p)
    assert estimate.value == pytest.approx(drawn.value, abs=1e-12)
    assert (estimate.low, estimate.high) == pytest.approx((drawn.low, drawn.high), abs=0.004)
    assert _difference(sample, p, q)[0].value == pytest.approx(drawn.value - auc_delong(sample, q).value)


def test_coverage_by_patient_and_by_image() -> None:
    """A patient's images of one class are alike: 95 % intervals hold the true AUC that often by patient alone."""
    true = 0.7602499389  # Phi(1 / sqrt 2)
    hits = {True: 0, False: 0}
    for seed in range(300):
        generator = np.random.default_rng(seed)
        label = np.repeat(generator.integers(0, 2, 80), 4)
        score = label + np.repeat(generator.normal(size=80), 4) * 0.9**0.5 + generator.normal(size=320) * 0.1**0.5
        for by_patient, groups in ((True, np.repeat(np.arange(80), 4)), (False, np.arange(320))):
            estimate = auc_delong(Sample(label, groups), score)
            hits[by_patient] += estimate.low <= true <= estimate.high
    assert 0.91 <= hits[True] / 300 <= 0.98
    assert hits[False] / 300 < 0.75


def test_turned_round_the_difference_changes_its_sign_alone() -> None:
    sample, one, other = _clustered(5, 50, 3, 0.4)
    (forth, test), (back, turned) = _difference(sample, one, other), _difference(sample, other, one)
    assert (back.value, back.low, back.high) == pytest.approx((-forth.value, -forth.high, -forth.low))
    assert (turned.statistic, turned.p_value) == pytest.approx((-test.statistic, test.p_value))


def test_any_rising_scale_gives_the_same() -> None:
    assert auc_delong(Sample(LABEL, PATIENT), np.log(SCORE)) == auc_delong(Sample(LABEL, PATIENT), SCORE)


@pytest.mark.parametrize(
    ("label", "score", "groups", "value", "reason"),
    [
        ([1, 1, 1], [0.1, 0.2, 0.3], [0, 1, 2], np.nan, "no normal image"),
        ([0, 0, 0], [0.1, 0.2, 0.3], [0, 1, 2], np.nan, "no abnormal image"),
        ([], [], [], np.nan, "no image"),
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], [0, 1, 2, 3], 1.0, "the variance is 0, which bounds nothing"),
        ([0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5], [0, 1, 2, 3], 0.5, "the variance is 0, which bounds nothing"),
        ([0, 0, 1, 1], [0.1, 0.9, 0.8, 0.2], [0, 1, 2, 2], 0.5, "only one patient with abnormal images"),
        ([0, 0, 1, 1], [0.1, 0.9, 0.8, 0.2], [0, 0, 0, 0], 0.5, "only one patient with abnormal images"),
        ([0, 1, 1, 1], [0.3, 0.9, 0.8, 0.2], [0, 1, 2, 3], 2 / 3, "only one patient with normal images"),
    ],
)
def test_where_there_is_no_interval_it_says_why(
    label: list[int], score: list[float], groups: list[int], value: float, reason: str
) -> None:
    sample = Sample(np.array(label, dtype=int), np.array(groups, dtype=int))
    estimate = auc_delong(sample, np.array(score))
    assert estimate.value == pytest.approx(value, nan_ok=True)
    assert np.isnan([estimate.low, estimate.high]).all()
    assert estimate.reason is not None
    assert estimate.reason.startswith(reason)
    difference, test = _difference(sample, np.array(score), np.array(score)[::-1])
    assert np.isnan([difference.low, difference.high, test.statistic, test.p_value]).all()
    assert test.reason == difference.reason


def test_the_same_ranking_twice_has_no_p_value() -> None:
    estimate, test = _difference(Sample(LABEL, PATIENT), SCORE, SCORE**2)
    assert estimate.value == 0.0
    assert test.reason == "the variance is 0, which bounds nothing: no patient tells them apart"
    assert str(test) == f"DeLong: no p-value ({test.reason})"


def test_one_image_of_a_class_without_patients_is_called_an_image() -> None:
    estimate = auc_delong(Sample(np.array([0, 1, 1]), np.arange(3), False), np.array([0.1, 0.05, 0.3]))
    assert estimate.reason == "only one normal image: no spread to measure"


def test_other_lengths_and_nan_are_refused() -> None:
    with pytest.raises(TableError, match="7 scores for 8 labels"):
        auc_delong(Sample(LABEL, PATIENT), SCORE[1:])
    with pytest.raises(TableError, match="NaN"):
        _difference(Sample(LABEL, PATIENT), SCORE, np.where(SCORE > 0.8, np.nan, SCORE))
