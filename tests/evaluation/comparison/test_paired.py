from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import recall_score, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from cxreader.errors import TableError
from cxreader.evaluation.comparison.paired import TESTED, PairedComparison, align, compare_models
from cxreader.evaluation.statistics.delong import Placements
from cxreader.evaluation.statistics.intervals import Sample, Statistic, bootstrap
from cxreader.evaluation.statistics.metrics import METRIC_NAMES, all_metrics
from cxreader.records import PredictionTable

Floats = NDArray[np.float64]


def _minus(one: Statistic, other: Statistic) -> Statistic:
    return lambda weight: {name: value - other(weight)[name] for name, value in one(weight).items()}


def _models(seed: int = 0, patients: int = 150, each: int = 2) -> tuple[Sample, dict[str, Floats]]:
    """A good model, a worse one and a coin, on images that patients share."""
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(patients), each)
    label = generator.integers(0, 2, len(groups))
    signal = 2 * label - 1 + 0.5 * generator.normal(size=patients)[groups]
    noise = generator.normal(size=(3, len(groups)))
    scores = {"good": signal + noise[0], "worse": 0.5 * signal + noise[1], "coin": noise[2]}
    return Sample(label, groups), {name: 1 / (1 + np.exp(-score)) for name, score in scores.items()}


def _table(sample: Sample, probability: Floats, order: NDArray[np.intp], *, patients: bool = True) -> PredictionTable:
    names = np.array([f"i{k:03d}" for k in range(len(order))])
    patient = np.array([f"p{g}" for g in sample.groups])[order] if patients else None
    return PredictionTable(names[order], sample.label[order], probability[order], patient)


@pytest.fixture(scope="module")
def compared() -> tuple[Sample, dict[str, Floats], PairedComparison]:
    sample, models = _models()
    thresholds = {"good": 0.4, "worse": 0.5, "coin": 0.6}
    return sample, models, compare_models(sample, models, thresholds, n_resamples=200, seed=3)


def test_each_pair_has_what_its_methods_say_alone(compared: tuple[Sample, dict[str, Floats], PairedComparison]) -> None:
    sample, models, found = compared
    assert [(pair.first, pair.second) for pair in found.pairs] == [
        ("good", "worse"),
        ("good", "coin"),
        ("worse", "coin"),
    ]
    for pair in found.pairs:
        one, other = models[pair.first], models[pair.second]
        estimate, test = Placements.of(sample, np.stack([one, other])).difference(0, 1)
        assert repr(pair.auc) == repr(estimate)
        assert repr(pair.tests["auc"]) == repr(test)
        assert pair.auc.value == pytest.approx(roc_auc_score(sample.label, one) - roc_auc_score(sample.label, other))
        t, u = found.thresholds[pair.first], found.thresholds[pair.second]
        alone = bootstrap(
            _minus(all_metrics(sample.label, one, t), all_metrics(sample.label, other, u)),
            sample,
            n_resamples=200,
            seed=3,
        )
        assert pair.differences == {name: alone[name] for name in METRIC_NAMES}
        recalls = (recall_score(sample.label, p >= cut) for p, cut in ((one, t), (other, u)))
        assert pair.differences["recall"].value == pytest.approx(-np.diff(list(recalls))[0])


def test_each_model_alone(compared: tuple[Sample, dict[str, Floats], PairedComparison]) -> None:
    sample, models, found = compared
    assert found.thresholds == {"good": 0.4, "worse": 0.5, "coin": 0.6}
    for name, p in models.items():
        assert found.auc[name].value == pytest.approx(roc_auc_score(sample.label, p))
        assert found.metrics[name]["auc"].value == pytest.approx(found.auc[name].value)
        called = p >= found.thresholds[name]
        assert found.metrics[name]["specificity"].value == pytest.approx(
            recall_score(sample.label, called, pos_label=0)
        )


def test_holm_adjusts_over_the_pairs(compared: tuple[Sample, dict[str, Floats], PairedComparison]) -> None:
    *_, found = compared
    for what in TESTED:
        raw = [pair.tests[what].p_value for pair in found.pairs]
        expected = multipletests(raw, method="holm")[1]
        np.testing.assert_allclose([pair.adjusted_p[what] for pair in found.pairs], expected)
    assert found.pairs[0].adjusted_p["auc"] > found.pairs[0].tests["auc"].p_value or (
        found.pairs[0].tests["auc"].p_value == max(pair.tests["auc"].p_value for pair in found.pairs)
    )


def test_of_two_models_the_p_value_stays_and_mcnemar_sees_the_classes_apart() -> None:
    """One image a patient, so that the tables below are the test's."""
    sample, models = _models(2, 300, 1)
    found = compare_models(sample, {k: models[k] for k in ("good", "coin")}, n_resamples=20)
    (pair,) = found.pairs
    assert pair.adjusted_p == {what: test.p_value for what, test in pair.tests.items()}
    right = [(models[k] >= 0.5) == (sample.label == 1) for k in ("good", "coin")]
    parts = {"accuracy": sample.label >= 0, "recall": sample.label == 1, "specificity": sample.label == 0}
    for what, part in parts.items():
        one, other = right[0][part], right[1][part]
        table = [[np.sum(one & other), np.sum(one & ~other)], [np.sum(~one & other), np.sum(~one & ~other)]]
        assert pair.tests[what].p_value == pytest.approx(statsmodels_mcnemar(table, exact=False).pvalue, rel=1e-12)
    assert (pair.tests["recall"].n_negative, pair.tests["specificity"].n_positive) == (0, 0)


def test_what_is_undefined_says_why_and_leaves_the_other_pairs_alone() -> None:
    sample, models = _models(1, 60)
    found = compare_models(sample, {**models, "good again": models["good"]}, n_resamples=50)
    same = next(pair for pair in found.pairs if (pair.first, pair.second) == ("good", "good again"))
    assert np.isnan(same.tests["auc"].p_value)
    assert np.isnan(same.adjusted_p["auc"])
    assert same.tests["accuracy"].p_value == 1.0
    others = [pair for pair in found.pairs if pair is not same]
    expected = multipletests([pair.tests["auc"].p_value for pair in others], method="holm")[1]
    np.testing.assert_allclose([pair.adjusted_p["auc"] for pair in others], expected)


def test_one_class_alone_is_undefined_with_its_reason() -> None:
    sample, models = _models(1, 30)
    normal = Sample(np.zeros(60, dtype=int), sample.groups)
    (pair,) = compare_models(normal, {k: models[k] for k in ("good", "coin")}, n_resamples=20).pairs
    assert pair.auc.reason == pair.tests["auc"].reason == pair.differences["auc"].reason == "no abnormal image"
    assert pair.tests["recall"].reason == "no image"
    assert not np.isnan(pair.tests["specificity"].p_value)


def test_json_round_trip() -> None:
    sample, models = _models(1, 20)
    found = compare_models(sample, {**models, "good again": models["good"]}, n_resamples=20)
    back = PairedComparison.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert repr(back) == repr(found)


def test_tables_in_any_order_are_aligned() -> None:
    sample, models = _models(4, 25)
    generator = np.random.default_rng(0)
    first, second = generator.permutation(50), generator.permutation(50)
    tables = {"good": _table(sample, models["good"], first), "coin": _table(sample, models["coin"], second)}
    aligned, probabilities = align(tables)
    np.testing.assert_array_equal(aligned.label, sample.label[first])
    np.testing.assert_array_equal(probabilities["coin"], models["coin"][first])
    found = compare_models(aligned, probabilities, n_resamples=20).pairs[0]
    expected = compare_models(sample, {k: models[k] for k in ("good", "coin")}, n_resamples=20).pairs[0]
    assert found.auc.value == pytest.approx(expected.auc.value)
    assert found.tests["auc"].p_value == pytest.approx(expected.tests["auc"].p_value)
    without = {name: _table(sample, models[name], first, patients=False) for name in ("good", "coin")}
    assert align(without)[0].n_patients is None


def test_tables_that_do_not_fit_are_refused() -> None:
    sample, models = _models(4, 25)
    order = np.arange(50)
    table = _table(sample, models["good"], order)
    with pytest.raises(
        TableError,
        match=r"^model b: 41 of a's 50 images are missing, such as \S+; keep the images that all models have",
    ):
        align({"a": table, "b": PredictionTable(table.image[:9], table.label[:9], table.probability[:9])})
    flipped = Sample(1 - sample.label, sample.groups)
    with pytest.raises(
        TableError,
        match=r"^model b: 50 images have another label than with a, such as \S+; agree on one label an image",
    ):
        align({"a": table, "b": _table(flipped, models["good"], order)})
    for other in (
        _table(Sample(sample.label, sample.groups[::-1]), models["good"], order),
        _table(sample, models["good"], order, patients=False),
    ):
        with pytest.raises(TableError, match=r"^model b: \d+ images have another patient than with a"):
            align({"a": table, "b": other})
    with pytest.raises(TableError, match="no model"):
        align({})


def test_wrong_arguments_are_refused() -> None:
    sample, models = _models(4, 25)
    with pytest.raises(TableError, match="fewer than two models"):
        compare_models(sample, {"good": models["good"]})
    with pytest.raises(TableError, match="'coin' has 49 probabilities for 50 images"):
        compare_models(sample, {"good": models["good"], "coin": models["coin"][1:]})
    with pytest.raises(TableError, match="'coin' has no threshold"):
        compare_models(sample, {k: models[k] for k in ("good", "coin")}, {"good": 0.5})
