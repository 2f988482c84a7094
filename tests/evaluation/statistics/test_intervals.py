from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxreader.errors import TableError
from cxreader.evaluation.decisions.at_threshold import at_thresholds
from cxreader.evaluation.statistics.intervals import (
    Estimate,
    Sample,
    Statistic,
    Weights,
    bootstrap,
    bootstrap_weights,
    resample,
)
from cxreader.evaluation.statistics.metrics import all_metrics
from cxreader.records import ImageRecord, OperatingPoint, PredictionTable


def _mean_of(values: NDArray[np.float64]) -> Statistic:
    def statistic(weight: Weights) -> dict[str, NDArray[np.float64]]:
        return {"mean": weight @ values / weight.sum(axis=1)}

    return statistic


def _clustered(seed: int, patients: int, each: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """One label and one probability a patient, the same on each of their images."""
    generator = np.random.default_rng(seed)
    label = (generator.random(patients) < 0.5).astype(np.int64)
    probability = 1 / (1 + np.exp(-(label - 0.5 + generator.normal(size=patients))))
    return np.repeat(label, each), np.repeat(probability, each), np.repeat(np.arange(patients), each)


def test_weights_draw_whole_patients_as_many_as_there_are() -> None:
    groups = np.array([7, 7, 3, 9, 9, 9])
    weight = np.concatenate(list(bootstrap_weights(groups, 50, seed=1)))
    assert weight.shape == (50, 6)
    assert (weight[:, 0] == weight[:, 1]).all()
    assert (weight[:, 3] == weight[:, 5]).all()
    assert (weight[:, 0] + weight[:, 2] + weight[:, 3] == 3).all()
    assert len(np.unique(weight, axis=0)) > 5


def test_weights_do_not_depend_on_the_block() -> None:
    groups = np.arange(40) // 3
    one, other = (np.concatenate(list(bootstrap_weights(groups, 23, seed=5, block=b))) for b in (1, 10))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, np.concatenate(list(bootstrap_weights(groups, 23, seed=6))))


def test_drawn_counts_have_the_moments_of_the_multinomial() -> None:
    weight = np.concatenate(list(bootstrap_weights(np.arange(10), 20_000, seed=0)))
    np.testing.assert_allclose(weight.mean(axis=0), 1.0, atol=0.03)
    np.testing.assert_allclose(weight.var(axis=0), 0.9, atol=0.04)  # n p (1 - p)


def test_duplicating_every_image_leaves_the_interval_by_patient_alone() -> None:
    """Fails if images were resampled: nine copies would then shrink the interval to a third."""
    once, ninefold = (
        bootstrap(all_metrics(label, p, 0.5), Sample(label, groups), n_resamples=400, seed=3)
        for label, p, groups in (_clustered(2, 60, 1), _clustered(2, 60, 9))
    )
    for name, estimate in once.items():
        assert (ninefold[name].low, ninefold[name].high) == pytest.approx((estimate.low, estimate.high), abs=1e-9)
    label, p, _ = _clustered(2, 60, 9)
    by_image = bootstrap(all_metrics(label, p, 0.5), Sample(label, np.arange(540), False), n_resamples=400, seed=3)
    width = once["auc"].high - once["auc"].low
    assert by_image["auc"].high - by_image["auc"].low < 0.5 * width
    assert "by patient" in once["auc"].method
    assert "by image: no patient known" in by_image["auc"].method
    assert once["auc"].n_patients == 60
    assert by_image["auc"].n_patients is None


def test_interval_of_a_mean_is_that_of_the_normal_theory() -> None:
    values = np.random.default_rng(4).normal(2.0, 1.0, 400)
    label = np.arange(400) % 2
    estimate = bootstrap(_mean_of(values), Sample(label, np.arange(400)), n_resamples=4000)["mean"]
    half = 1.96 * values.std() / 20
    assert estimate.value == pytest.approx(values.mean())
    assert (estimate.low, estimate.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)


def test_coverage_of_the_auc_by_patient() -> None:
    """Over 120 clustered samples the 95 % interval holds the true AUC about that often; by image it would not."""
    true = 0.7602  # normal scores one standard deviation apart: Phi(1 / sqrt 2)
    hit_patient = hit_image = 0
    for seed in range(120):
        generator = np.random.default_rng(seed)
        label = np.repeat(generator.integers(0, 2, 80), 4)
        shared = np.repeat(generator.normal(size=80), 4) * np.sqrt(0.9)
        score = label + shared + generator.normal(size=320) * np.sqrt(0.1)
        statistic = all_metrics(label, 1 / (1 + np.exp(-score)))
        for groups, by_patient in ((np.repeat(np.arange(80), 4), True), (np.arange(320), False)):
            estimate = bootstrap(statistic, Sample(label, groups), n_resamples=200, seed=seed)["auc"]
            inside = estimate.low <= true <= estimate.high
            hit_patient += inside and by_patient
            hit_image += inside and not by_patient
    assert 0.88 <= hit_patient / 120 <= 0.99
    assert hit_image / 120 < 0.75


def test_one_patient_has_a_value_and_no_interval() -> None:
    label = np.array([0, 1, 1])
    found = bootstrap(all_metrics(label, np.array([0.1, 0.9, 0.8]), 0.5), Sample(label, np.zeros(3, dtype=int)))
    assert found["auc"].value == 1.0
    assert np.isnan(found["auc"].low)
    assert found["auc"].reason == "one patient: nothing to resample"
    assert "no interval: one patient" in str(found["auc"])


def test_one_class_is_undefined_with_its_reason() -> None:
    label = np.zeros(30, dtype=int)
    statistic = all_metrics(label, np.linspace(0, 1, 30), 0.5)
    found = bootstrap(statistic, Sample(label, np.arange(30)), n_resamples=50, reasons={"auc": "no abnormal image"})
    assert np.isnan([found["auc"].value, found["auc"].low, found["auc"].high]).all()
    assert str(found["auc"]) == "undefined (no abnormal image; 0 abnormal, 30 normal, 30 patients)"
    assert found["specificity"].reason is None


def test_undefined_resamples_are_left_out_and_counted_until_they_are_too_many() -> None:
    label = np.zeros(60, dtype=int)
    label[:5] = 1
    p = np.random.default_rng(0).random(60)
    some = bootstrap(all_metrics(label, p), Sample(label, np.arange(60)), n_resamples=2000)["auc"]
    assert "undefined left out" in some.method  # about exp(-5) of them
    assert some.reason is None
    label[1:5] = 0
    many = bootstrap(all_metrics(label, p), Sample(label, np.arange(60)), n_resamples=2000)["auc"]
    assert np.isnan(many.low)
    assert many.reason is not None
    assert "too few patients" in many.reason


def test_what_hangs_on_decisions_is_undefined_for_want_of_them_and_not_of_patients() -> None:
    label = np.tile([0, 1], 400)
    p = np.full(800, 0.9)
    p[:2] = 0.1  # the two images that are called normal, one of them rightly: both left out of one resample in exp(2)
    names = np.arange(800).astype(str)
    rates = at_thresholds(PredictionTable(names, label, p, names), [OperatingPoint.given(0.5)])[0].rates
    assert rates["npv"].reason is not None
    assert re.fullmatch(r"undefined in \d+ of 2000 resamples: in these no image was called normal", rates["npv"].reason)


def test_resample_keeps_further_dimensions_and_order() -> None:
    def statistic(weight: Weights) -> dict[str, NDArray[np.float64]]:
        return {"rows": weight[:, :2], "sum": weight.sum(axis=1)}

    points, draws = resample(statistic, Sample(np.zeros(5, dtype=int), np.arange(5)), n_resamples=7, seed=0)
    assert points["rows"].tolist() == [[1, 1]]
    assert draws["rows"].shape == (7, 2)
    np.testing.assert_array_equal(draws["sum"], 5.0)


def test_groups_and_labels_of_other_lengths_are_refused() -> None:
    with pytest.raises(TableError, match="2 groups for 3 labels"):
        Sample(np.zeros(3, dtype=int), np.zeros(2, dtype=int))


def test_sample_of_a_table_without_patients() -> None:
    table = PredictionTable(np.array(["a", "b"]), np.array([0, 1]), np.array([0.2, 0.7]))
    sample = Sample.of(table)
    assert (sample.n_groups, sample.n_patients, sample.patients_known) == (2, None, False)


def test_sample_of_records_where_some_patients_are_known() -> None:
    """By hand: patient 1 of a twice, patient 1 of b, an image without a patient in each source; none known, no patient."""
    who = [("a", "1"), ("a", "1"), ("b", "1"), ("a", None), ("b", None)]
    records = [ImageRecord(f"{n}.png", n % 2, patient=own, source=source) for n, (source, own) in enumerate(who)]
    sample = Sample.of_records(records)
    assert sample.label.tolist() == [0, 1, 0, 1, 0]
    assert sample.groups[0] == sample.groups[1]
    assert (sample.n_groups, sample.n_patients) == (4, 4)
    assert Sample.of_records(records[3:]).n_patients is None


def test_text_of_an_estimate() -> None:
    estimate = Estimate(0.9123, 0.8801, 0.9402, 120, 133, 98, "m")
    assert str(estimate) == "0.912 (0.880-0.940; 120 abnormal, 133 normal, 98 patients)"
    assert Estimate(0.01, -0.02, 0.03, 1, 1, None, "m").interval == "-0.020 to 0.030"
    assert (
        str(Estimate(0.5, 0.4, 0.6, 1, 2, None, "m")) == "0.500 (0.400-0.600; 1 abnormal, 2 normal, patients unknown)"
    )


number = st.floats(-1, 1) | st.just(float("nan"))


@settings(max_examples=30, deadline=None)
@given(value=number, low=number, high=number, patients=st.none() | st.integers(0, 99), reason=st.none() | st.text())
def test_json_round_trip(value: float, low: float, high: float, patients: int | None, reason: str | None) -> None:
    estimate = Estimate(value, low, high, 3, 4, patients, "method", reason)
    text = json.dumps(estimate.to_dict(), allow_nan=False)
    back = Estimate.from_dict(json.loads(text))
    assert repr(back) == repr(estimate)
