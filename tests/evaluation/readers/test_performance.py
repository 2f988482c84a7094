from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, recall_score, roc_curve

from cxreader.evaluation.readers.agreement import agreements_of
from cxreader.evaluation.readers.performance import ModelAnswers, ReaderResult, judge_reader
from cxreader.evaluation.statistics.intervals import Sample

N = 240


def world(seed: int = 0) -> tuple[np.ndarray, np.ndarray, ModelAnswers, Sample]:
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, N).astype(np.int8)
    votes = np.where(random.random(N) < 0.8, truth, 1 - truth).astype(np.int8)
    probability = np.round(1 / (1 + np.exp(-random.normal(2 * truth - 1, 1.3))), 1)  # with ties
    groups = random.integers(0, N // 2, N)
    return truth, votes, ModelAnswers(probability, probability >= 0.5), Sample(truth.astype(np.int64), groups)


def judged(votes: np.ndarray, truth: np.ndarray, sample: Sample, model: ModelAnswers | None = None) -> ReaderResult:
    return judge_reader("r", votes, truth, sample, model, n_resamples=60)


def test_rates_and_kappa_equal_scikit_learn_and_unread_images_do_not_count() -> None:
    truth, votes, _, sample = world()
    gaps, told = votes.copy(), truth.copy()
    gaps[:30], told[20:50] = -1, -1
    found = judged(gaps, told, sample)
    keep = (gaps >= 0) & (told >= 0)
    assert found.rates["sensitivity"].value == pytest.approx(recall_score(truth[keep], votes[keep]))
    assert found.rates["specificity"].value == pytest.approx(recall_score(truth[keep], votes[keep], pos_label=0))
    assert found.kappa.value == pytest.approx(cohen_kappa_score(truth[keep], votes[keep]))
    assert found.left_out == 20
    assert found.rates["sensitivity"].n_positive + found.rates["sensitivity"].n_negative == keep.sum() == 190
    assert found.model is None


def test_the_model_at_the_readers_point_is_on_scikit_learns_curve() -> None:
    truth, votes, model, sample = world()
    found = judged(votes, truth, sample, model).model
    assert found is not None
    false, true, _ = roc_curve(truth, model.probability, drop_intermediate=False)
    sensitivity, specificity = recall_score(truth, votes), recall_score(truth, votes, pos_label=0)
    assert found.matched["sensitivity"].value == pytest.approx(
        np.interp(1 - specificity, false, true) - sensitivity, abs=1e-12
    )
    assert found.matched["specificity"].value == pytest.approx(
        1 - np.interp(sensitivity, true, false) - specificity, abs=1e-12
    )
    assert found.rates["sensitivity"].value == pytest.approx(recall_score(truth, model.called))
    assert found.change["specificity"].value == pytest.approx(
        recall_score(truth, model.called, pos_label=0) - specificity
    )


def test_a_model_that_is_the_reader_differs_in_nothing() -> None:
    """Its curve passes through his point in every resample: the difference is 0 always, so the pairing holds."""
    truth, votes, _, sample = world()
    found = judged(votes, truth, sample, ModelAnswers(votes.astype(np.float64), votes == 1)).model
    assert found is not None
    for estimate in (*found.matched.values(), *found.change.values()):
        assert estimate.value == pytest.approx(0, abs=1e-12)
        assert estimate.reason == "every resample gives the same value, which bounds nothing"


def test_of_points_on_an_edge_the_better_one_is_taken() -> None:
    # The reader calls no normal image abnormal: there the model's curve rises from 0 to 2/3.
    truth = np.array([1, 1, 1, 0, 0, 0], np.int8)
    votes = np.array([1, 0, 0, 0, 0, 0], np.int8)
    probability = np.array([0.9, 0.8, 0.3, 0.6, 0.2, 0.1])
    sample = Sample(truth.astype(np.int64), np.arange(6))
    found = judged(votes, truth, sample, ModelAnswers(probability, probability >= 0.5)).model
    assert found is not None
    assert found.matched["sensitivity"].value == pytest.approx(2 / 3 - 1 / 3)
    # At a sensitivity of 2/3 it spares all three normal images or two of them: the curve runs level there.
    another = np.array([1, 1, 0, 0, 0, 1], np.int8)
    found = judged(another, truth, sample, ModelAnswers(probability, probability >= 0.5)).model
    assert found is not None
    assert found.matched["specificity"].value == pytest.approx(1 - 2 / 3)


def test_images_of_one_patient_are_resampled_together() -> None:
    truth, votes, _, _ = world()
    alone = judged(votes, truth, Sample(truth.astype(np.int64), np.arange(N))).rates["sensitivity"]
    eight = np.repeat(np.arange(N // 8), 8)
    order = np.argsort(votes * 2 + truth, kind="stable")  # patients whose images are all alike
    together = judged(votes[order], truth[order], Sample(truth[order].astype(np.int64), eight)).rates["sensitivity"]
    assert together.value == pytest.approx(alone.value)
    assert together.high - together.low > 1.8 * (alone.high - alone.low)


def test_without_a_class_the_reason_is_told() -> None:
    votes, truth = np.array([1, 0, 1], np.int8), np.array([1, 1, 1], np.int8)
    probability = np.array([0.9, 0.2, 0.7])
    sample = Sample(truth.astype(np.int64), np.arange(3))
    found = judged(votes, truth, sample, ModelAnswers(probability, probability > 0.5))
    assert found.rates["specificity"].reason == "no normal image"
    assert found.model is not None
    assert found.model.matched["sensitivity"].reason == "no normal image"


def test_agreement_of_every_two_on_what_both_read() -> None:
    truth, votes, model, sample = world()
    gaps = votes.copy()
    gaps[::3] = -1
    found = agreements_of({"a": gaps, "b": truth, "m": model.called.astype(np.int8)}, sample, n_resamples=60)
    assert [(one.first, one.second) for one in found] == [("a", "b"), ("a", "m"), ("b", "m")]
    read = gaps >= 0
    assert found[0].kappa.value == pytest.approx(cohen_kappa_score(gaps[read], truth[read]))
    assert found[0].agreement.value == pytest.approx((gaps[read] == truth[read]).mean())
    assert found[2].kappa.value == pytest.approx(cohen_kappa_score(truth, model.called))
