from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sk

from cxreader.errors import TableError
from cxreader.evaluation.comparison.networks import NetworkRuns, compare
from cxreader.evaluation.comparison.records import Comparison, Difference
from cxreader.evaluation.evaluate import evaluate
from cxreader.evaluation.statistics.curves import GRID
from cxreader.evaluation.statistics.intervals import Estimate, Sample
from cxreader.evaluation.statistics.metrics import METRIC_NAMES
from cxreader.records import PredictionTable

N, PATIENTS = 240, 120


def _label() -> NDArray[np.int64]:
    return np.arange(N) // 2 % 2


def _sample(label: NDArray[np.int64] | None = None) -> Sample:
    return Sample(_label() if label is None else label, np.arange(N) % PATIENTS)


def _contender(name: str, skill: float, k: int, seed: int) -> NetworkRuns:
    noise = np.random.default_rng(seed).normal(size=(k, N))
    return NetworkRuns(name, tuple(range(k)), 1 / (1 + np.exp(-(skill * (2 * _label() - 1) + noise))))


CONTENDERS = (_contender("strong", 1.0, 3, 1), _contender("middle", 1.0, 2, 2), _contender("coin", 0.0, 3, 3))


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(_sample(), CONTENDERS, n_resamples=200)


def test_a_row_is_the_mean_of_its_trainings(comparison: Comparison) -> None:
    label, row = _label(), comparison.row("strong")
    by_hand = {
        "auc": [sk.roc_auc_score(label, p) for p in CONTENDERS[0].probability],
        "accuracy": [sk.accuracy_score(label, p >= 0.5) for p in CONTENDERS[0].probability],
        "f1": [sk.f1_score(label, p >= 0.5) for p in CONTENDERS[0].probability],
    }
    assert tuple(row.metrics) == tuple(row.by_seed) == METRIC_NAMES
    for name, values in by_hand.items():
        assert row.by_seed[name] == pytest.approx(values)
        assert row.metrics[name].value == pytest.approx(np.mean(values))
        assert row.metrics[name].low < np.mean(values) < row.metrics[name].high
    assert "mean of 3 trainings" in row.metrics["auc"].method
    assert row.metrics["auc"].n_patients == PATIENTS
    tn, fp, fn, tp = sk.confusion_matrix(label, CONTENDERS[0].probability[1] >= 0.5).ravel()
    assert row.confusion[1] == {"tp": tp, "fp": fp, "tn": tn, "fn": fn}


def test_one_training_gives_what_evaluate_gives() -> None:
    sample, p = _sample(), CONTENDERS[1].probability[:1]
    names = np.arange(N).astype(str)
    table = PredictionTable(names, sample.label, p[0], sample.groups.astype(str))
    alone = evaluate(table, 0.5, n_resamples=100)
    row = compare(Sample.of(table), [NetworkRuns("m", (4,), p)], n_resamples=100).rows[0]
    for name in METRIC_NAMES:
        expected = alone.metrics[name]
        assert replace(row.metrics[name], method="") == replace(expected, method="")
    np.testing.assert_allclose(row.roc.low, alone.roc.low)
    np.testing.assert_allclose(row.precision_recall.high, alone.precision_recall.high)


def test_the_mean_curve_is_the_vertical_average(comparison: Comparison) -> None:
    row, heights = comparison.row("middle"), []
    for p in CONTENDERS[1].probability:
        fpr, tpr, _ = sk.roc_curve(_label(), p, drop_intermediate=False)
        heights.append(np.interp(GRID, fpr, tpr))
    np.testing.assert_allclose(row.roc.mean[1:], np.mean(heights, axis=0)[1:])
    inside = (row.roc.low <= row.roc.mean + 1e-9) & (row.roc.mean <= row.roc.high + 1e-9)
    assert inside.mean() > 0.9
    assert row.precision_recall.mean[-1] == pytest.approx(
        np.mean([0.5 / np.mean(p >= p[_label() == 1].min()) for p in CONTENDERS[1].probability])
    )


def test_differences_are_paired_and_the_adjusted_interval_is_wider(comparison: Comparison) -> None:
    assert [(d.metric, d.first, d.second) for d in comparison.differences[:3]] == [
        ("auc", "strong", "middle"),
        ("auc", "strong", "coin"),
        ("auc", "middle", "coin"),
    ]
    assert comparison.adjusted_level == pytest.approx(1 - 0.05 / 3)
    for d in comparison.differences:
        first, second = comparison.row(d.first), comparison.row(d.second)
        assert d.estimate.value == pytest.approx(first.metrics[d.metric].value - second.metrics[d.metric].value)
        assert len(d.by_seed) == min(len(first.seeds), len(second.seeds))
        assert d.by_seed[1] == pytest.approx(first.by_seed[d.metric][1] - second.by_seed[d.metric][1])
        assert d.adjusted.low < d.estimate.low
        assert d.adjusted.high > d.estimate.high
        assert "98.33 % for 3 pairs" in d.adjusted.method


def test_the_same_network_twice_differs_by_nothing() -> None:
    twin = replace(CONTENDERS[0], name="twin")
    found = compare(_sample(), [CONTENDERS[0], twin], n_resamples=50)
    difference = found.of("auc")[0]
    assert difference.estimate.value == 0
    assert np.isnan(difference.adjusted.low)
    assert "same value" in (difference.adjusted.reason or "")
    assert difference.better is None
    assert found.agreements[0].kappa.value == 1
    assert found.all_agree.value == 1


def test_the_adjusted_interval_covers_as_often_as_it_says() -> None:
    """Two equal coins: in 200 samples an interval at 95 % excludes 0 about 10 times, rarely more than 20."""
    excluded = 0
    for seed in range(200):
        noise = np.random.default_rng(seed)
        pair = [NetworkRuns(name, (0,), noise.random((1, 80))) for name in "ab"]
        sample = Sample(np.arange(80) % 2, np.arange(80))
        excluded += compare(sample, pair, n_resamples=60, seed=seed).of("auc")[0].better is not None
    assert excluded <= 20


@pytest.mark.parametrize(
    ("low", "high", "by_seed", "better"),
    [
        (0.01, 0.1, (0.02, 0.05), "a"),
        (0.01, 0.1, (0.02, 0.0), None),  # in one pair of trainings there is no lead
        (0.0, 0.1, (0.02, 0.05), None),
        (-0.1, -0.01, (-0.02, -0.05), "b"),
        (-0.1, -0.01, (-0.02, 0.01), None),
        (-0.1, 0.0, (-0.02, -0.05), None),
    ],
)
def test_a_lead_must_hold_for_other_patients_and_in_every_pair_of_trainings(
    low: float, high: float, by_seed: tuple[float, float], better: str | None
) -> None:
    adjusted = Estimate((low + high) / 2, low, high, 50, 50, 100, "m")
    difference = Difference("auc", "a", "b", adjusted, adjusted, by_seed)
    assert difference.better == better
    assert difference.worse == {"a": "b", "b": "a", None: None}[better]


def test_at_prevalence_reweights_the_classes(comparison: Comparison) -> None:
    row = comparison.row("middle")
    expected = [0.2 * r + 0.8 * s for r, s in zip(row.by_seed["recall"], row.by_seed["specificity"], strict=True)]
    assert row.at_prevalence["accuracy"].value == pytest.approx(np.mean(expected))
    weight = np.where(_label() == 1, 0.2, 0.8)
    precisions = [sk.precision_score(_label(), p >= 0.5, sample_weight=weight) for p in CONTENDERS[1].probability]
    assert row.at_prevalence["precision"].value == pytest.approx(np.mean(precisions))
    assert row.at_prevalence["precision"].low < np.mean(precisions) < row.at_prevalence["precision"].high


def test_kappa_pairs_trainings_in_order(comparison: Comparison) -> None:
    pair = comparison.agreements[0]
    a, b = (c.probability >= 0.5 for c in CONTENDERS[:2])
    assert (pair.first, pair.second, pair.n_paired) == ("strong", "middle", 2)
    assert pair.kappa.value == pytest.approx(np.mean([sk.cohen_kappa_score(a[i], b[i]) for i in (0, 1)]))
    assert pair.kappa.low < pair.kappa.value < pair.kappa.high


def test_statements_claim_only_what_the_adjusted_intervals_hold(comparison: Comparison) -> None:
    # strong and middle beat the coin, and do not differ.
    assert comparison.headline() == "No winner: some networks are worse than others, none is better than all."
    best, other = sorted(comparison.rows[:2], key=lambda row: -row.metrics["auc"].value)
    auc = best.metrics["auc"]
    told = (
        f"The highest AUC is {auc.value:.3f} ({auc.interval}), {best.name}; its lead does not hold over {other.name}."
    )
    assert comparison.statement().endswith(f"2 of 3 differences hold. {told}")
    alone = compare(_sample(), CONTENDERS[:2], n_resamples=200)
    assert alone.headline() == "No winner: no difference of AUC between the networks holds."
    assert "Adjusted for 1 pair (95.00 % intervals" in alone.detail()
    won = compare(_sample(), [CONTENDERS[2], CONTENDERS[0]], n_resamples=200)
    assert won.headline() == "strong had a higher AUC, in these trainings, than the other."
    lead = won.of("auc")[0]
    shown = f"{-lead.estimate.value:.3f} ({-lead.adjusted.high:.3f}-{-lead.adjusted.low:.3f}), over coin."
    assert won.detail().endswith(shown)
    assert compare(_sample(), CONTENDERS[:1], n_resamples=20).statement().startswith("One network alone")


@pytest.mark.parametrize("value", [0, 1])
def test_one_class_is_undefined_with_its_reason(value: int) -> None:
    found = compare(_sample(np.full(N, value)), CONTENDERS, n_resamples=40)
    missing = "no abnormal image" if value == 0 else "no normal image"
    assert found.rows[0].metrics["auc"].reason == missing
    assert found.rows[0].at_prevalence["accuracy"].reason == missing
    assert found.rows[0].metrics["accuracy"].value > 0
    assert found.of("auc")[0].adjusted.reason == missing
    assert found.statement() == f"No network can be compared by AUC: {missing}."
    assert np.isnan(found.rows[0].roc.mean).all()
    assert found.agreements[0].kappa.value > -1


def test_a_training_that_calls_nothing_abnormal_leaves_the_mean_precision_undefined() -> None:
    silent = NetworkRuns("silent", (0, 1), np.stack([np.full(N, 0.2), CONTENDERS[0].probability[0]]))
    row = compare(_sample(), [silent], n_resamples=40).rows[0]
    assert np.isnan(row.metrics["precision"].value)
    assert row.metrics["precision"].reason == "no image was called abnormal in 1 of 2 trainings"
    assert row.at_prevalence["precision"].reason == row.metrics["precision"].reason
    assert np.isnan(row.by_seed["precision"][0])
    assert row.by_seed["precision"][1] > 0.5
    assert row.metrics["auc"].value == pytest.approx((0.5 + row.by_seed["auc"][1]) / 2)


def test_to_dict_is_strict_json(comparison: Comparison) -> None:
    one_class = compare(_sample(np.zeros(N, dtype=int)), CONTENDERS, n_resamples=20)
    for record in (comparison, one_class):
        values = json.loads(json.dumps(record.to_dict(), allow_nan=False))
        assert len(values["rows"][0]["roc"]["mean"]) == 101
        assert values["statement"]["auc"] == record.statement()
    assert json.loads(json.dumps(comparison.to_dict()))["rows"][0]["metrics"]["auc"]["n_patients"] == PATIENTS
    assert one_class.to_dict()["rows"][0]["metrics"]["auc"]["value"] is None


def test_the_order_of_the_rows_changes_no_number(comparison: Comparison) -> None:
    turned = compare(_sample(), CONTENDERS[::-1], n_resamples=200)
    assert turned.row("coin").metrics == comparison.row("coin").metrics
    assert turned.of("auc")[-1].estimate.low == pytest.approx(-comparison.of("auc")[0].estimate.high)


def test_what_does_not_fit_is_refused() -> None:
    good = CONTENDERS[0]
    with pytest.raises(TableError, match="at least one"):
        compare(_sample(), [])
    with pytest.raises(TableError, match="twice"):
        compare(_sample(), [good, good])
    with pytest.raises(TableError, match="240 images"):
        compare(_sample(), [NetworkRuns("short", (0,), np.full((1, 3), 0.5))])
    with pytest.raises(TableError, match="3 seeds"):
        NetworkRuns("x", (1, 2, 3), np.full((2, 4), 0.5))
    with pytest.raises(TableError, match="outside 0 to 1"):
        NetworkRuns("x", (1,), np.array([[0.5, np.nan]]))


def _constant(name: str, value: float) -> NetworkRuns:
    return NetworkRuns(name, (0, 1), np.full((2, N), value))


def test_differences_against_networks_that_did_not_learn_give_no_winner() -> None:
    """Two that rank alike beside two that call one class for every image: every difference that holds is against these."""
    good = _contender("good", 1.0, 2, 5)
    twin = NetworkRuns("twin", (0, 1), good.probability**1.001)
    found = compare(_sample(), [good, twin, _constant("flat", 0.4), _constant("stuck", 0.6)], n_resamples=200)
    assert found.unlearned == ("flat", "stuck")
    assert found.headline() == "No winner: no difference of AUC between the networks that learned holds."
    assert "4 of 6 differences hold, all against networks that did not learn (flat; stuck)." in found.detail()
    assert found.row("flat").one_class == "calls every image normal"
    assert found.row("stuck").one_class == "calls every image abnormal"
    assert [line.split(":")[0] for line in found.cautions] == [
        "flat calls every image normal",
        "stuck calls every image abnormal",
    ]
    assert "it did not learn" in found.cautions[0]


def test_one_that_learned_among_those_that_did_not_is_no_winner_and_none_at_all_is_said() -> None:
    alone = compare(_sample(), [_contender("good", 1.0, 2, 5), _constant("flat", 0.4)], n_resamples=100)
    assert alone.headline() == "No winner: good alone learned, the other called one class for every image."
    none = compare(_sample(), [_constant("flat", 0.4), _constant("stuck", 0.6)], n_resamples=100)
    assert none.headline() == "No network learned: each calls one class for every image."


def test_a_network_whose_order_tells_learned_though_its_threshold_lies_beyond_all_images() -> None:
    good = _contender("good", 2.0, 2, 5)
    low = NetworkRuns("low", (0, 1), good.probability * 0.4)
    found = compare(_sample(), [good, low], n_resamples=100)
    assert found.row("low").one_class == "calls every image normal"
    assert found.unlearned == ()
    assert found.cautions == ("low calls every image normal: its figures at this threshold are those of no network.",)


def test_a_winner_over_those_that_learned_stays_the_winner() -> None:
    found = compare(
        _sample(),
        [_contender("good", 2.0, 2, 5), _contender("coin", -0.5, 2, 6), _constant("flat", 0.4)],
        n_resamples=200,
    )
    assert found.headline() == "good had a higher AUC, in these trainings, than each of the 2 others."
    assert "over coin" in found.detail()
