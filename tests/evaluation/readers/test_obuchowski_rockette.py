from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from tests.evaluation.readers.world import readings_of

from cxreader.errors import DataError
from cxreader.evaluation.readers.multi_reader import AUC_OF_POINT, AUC_OF_RATINGS, MODEL, READERS, compare_readers
from cxreader.evaluation.readers.obuchowski_rockette import (
    WaldTest,
    analyse_modalities,
    analyse_readers,
    jackknife_covariance,
)
from cxreader.evaluation.readers.performance import ModelAnswers
from cxreader.evaluation.readers.readings import read_readings
from cxreader.evaluation.readers.truths import truths_of
from cxreader.evaluation.statistics.delong import Placements
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.evaluation.statistics.metrics import Ranking

M, R, N = 3, 4, 60


def made(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Ratings (M, R, N) of 0 to 9 that share what is hard about a case, and the truth (N,)."""
    random = np.random.default_rng(seed)
    truth = np.arange(N) % 2
    case = random.normal(1.2 * truth, 1, N)
    seen = random.normal(0, 0.6, (M, 1, N))  # what a modality shows of a case, to every reader
    noise = seen + random.normal(0, 0.7, (M, R, N)) + random.normal(0, 0.3, (M, R, 1)) * truth
    return np.clip(np.round(3 + 2 * (case + noise + 0.3 * np.arange(M)[:, None, None] * truth)), 0, 9), truth


def plain_jackknife(ratings: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Leave one case out, scikit-learn's AUC, one loop."""
    rows = ratings.reshape(-1, N)
    left = np.array([[roc_auc_score(np.delete(truth, k), np.delete(row, k)) for row in rows] for k in range(N)])
    return np.asarray((N - 1) ** 2 / N * np.cov(left.T))


def figures_of(ratings: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rankings = [Ranking.of(truth, row) for row in ratings.reshape(-1, N)]
    return jackknife_covariance(lambda w: np.stack([r.areas(w)[0] for r in rankings], axis=1), np.arange(N))


def test_the_jackknife_is_the_plain_one() -> None:
    ratings, truth = made()
    figures, covariance = figures_of(ratings, truth)
    assert figures == pytest.approx([roc_auc_score(truth, row) for row in ratings.reshape(-1, N)])
    assert covariance == pytest.approx(plain_jackknife(ratings, truth), abs=1e-12)


def test_patients_are_left_out_whole() -> None:
    ratings, truth = made()
    groups = np.repeat(np.arange(N // 2), 2)
    ranking = Ranking.of(truth, ratings[0, 0])
    _, covariance = jackknife_covariance(lambda w: ranking.areas(w)[0][:, None], groups)
    left = [roc_auc_score(truth[groups != k], ratings[0, 0][groups != k]) for k in range(N // 2)]
    assert covariance[0, 0] == pytest.approx((N / 2 - 1) ** 2 / (N / 2) * np.var(left, ddof=1))


def test_mean_squares_components_and_degrees_of_freedom_written_out() -> None:
    """Hillis 2007: F = MS(T) / (MS(TR) + max(r (Cov2 - Cov3), 0)), loops in the place of arrays."""
    ratings, truth = made()
    figures, covariance = figures_of(ratings, truth)
    theta = figures.reshape(M, R)
    found = analyse_modalities(theta, covariance)
    parts: dict[tuple[bool, bool], list[float]] = {}
    for (i, j), (k, n) in product(product(range(M), range(R)), repeat=2):
        parts.setdefault((i == k, j == n), []).append(covariance[i * R + j, k * R + n])
    variance, cov1, cov2, cov3 = (
        np.mean(parts[key]) for key in ((True, True), (False, True), (True, False), (False, False))
    )
    ms_t = R * sum((theta[i].mean() - theta.mean()) ** 2 for i in range(M)) / (M - 1)
    ms_tr = sum(
        (theta[i, j] - theta[i].mean() - theta[:, j].mean() + theta.mean()) ** 2 for i in range(M) for j in range(R)
    ) / ((M - 1) * (R - 1))
    assert cov2 > cov3  # else the term would not be tested
    below = ms_tr + R * (cov2 - cov3)
    df = below**2 / (ms_tr**2 / ((M - 1) * (R - 1)))
    assert found.f == pytest.approx(ms_t / below)
    assert found.df == pytest.approx((M - 1, df))
    assert found.p_value == pytest.approx(stats.f.sf(ms_t / below, M - 1, df))
    assert found.pairs == ((0, 1), (0, 2), (1, 2))
    difference = theta[0].mean() - theta[2].mean()
    half = stats.t.ppf(0.975, df) * np.sqrt(2 / R * below)
    assert (found.random[1].low, found.random[1].high) == pytest.approx((difference - half, difference + half))
    fixed = np.sqrt(2 / R * (variance - cov1 + (R - 1) * (cov2 - cov3)))
    assert found.fixed[1].p_value == pytest.approx(2 * stats.norm.sf(abs(difference) / fixed))


def test_of_two_modalities_t_squared_is_f() -> None:
    ratings, truth = made(1)
    figures, covariance = figures_of(ratings[:2], truth)
    found = analyse_modalities(figures.reshape(2, R), covariance)
    assert found.random[0].statistic ** 2 == pytest.approx(found.f)
    assert found.random[0].p_value == pytest.approx(found.p_value)


def test_readers_against_a_known_value_are_the_one_sample_analysis() -> None:
    """Without covariance it is Student's t test of the readers' figures; with it, the error and the freedom grow."""
    figures = np.array([0.1, 0.3, 0.2, 0.15])
    random, fixed = analyse_readers(figures, np.diag(np.full(4, 0.01)))
    student = stats.ttest_1samp(figures, 0)
    assert (random.statistic, random.p_value, random.df) == pytest.approx((student.statistic, student.pvalue, 3))
    assert fixed.error == pytest.approx(np.sqrt(0.01 / 4))
    random, fixed = analyse_readers(figures, np.full((4, 4), 0.004) + np.diag(np.full(4, 0.006)))
    spread = np.var(figures, ddof=1)
    assert random.error == pytest.approx(np.sqrt((spread + 4 * 0.004) / 4))
    assert random.df == pytest.approx((spread + 0.016) ** 2 / (spread**2 / 3))
    assert fixed.error == pytest.approx(np.sqrt((0.01 + 3 * 0.004) / 4))


def test_no_spread_bounds_nothing() -> None:
    assert np.isnan(WaldTest.of(0.2, 0.0, 3).low)
    with pytest.raises(DataError, match="random readers are compared by at least two readers"):
        analyse_modalities(np.ones((2, 1)), np.ones((2, 2)))
    with pytest.raises(DataError, match="one reader says nothing of other readers"):
        analyse_readers(np.ones(1), np.ones((1, 1)))


def test_ratings_of_one_truth_take_delongs_covariance() -> None:
    ratings, truth = made()
    readings, sample = readings_of(scores=ratings[:2], truth=truth), Sample(truth, np.arange(N), patients_known=False)
    (found,) = compare_readers(readings, truths_of(readings, (), readings.truth), sample)
    placements = Placements.of(sample, ratings[:2].reshape(-1, N))
    wanted = analyse_modalities(placements.auc.reshape(2, R), placements.covariance())
    assert (found.figure, found.first, found.second, found.n_readers) == (AUC_OF_RATINGS, "x", "y", R)
    assert (found.random.low, found.p_random) == pytest.approx((wanted.random[0].low, wanted.random[0].p_value))
    assert (found.f, found.f_df_between, found.f_df) == pytest.approx((wanted.f, *wanted.df))
    model = ModelAnswers(ratings[2, 0], ratings[2, 0] >= 4)
    one = readings_of(scores=ratings[:1], truth=truth)
    (beside,) = compare_readers(one, truths_of(one, (), one.truth), sample, model)
    own = roc_auc_score(truth, ratings[2, 0])
    assert beside.first == MODEL
    assert beside.mean_first.value == pytest.approx(own)
    assert beside.random.value == pytest.approx(own - np.mean([roc_auc_score(truth, row) for row in ratings[0]]))
    assert "DeLong by image; t with" in found.random.method


def test_delongs_covariance_is_numpys_of_the_placements() -> None:
    ratings, truth = made()
    rows, positive = ratings[0], truth == 1
    wins = (rows[:, positive, None] > rows[:, None, ~positive]) + (
        rows[:, positive, None] == rows[:, None, ~positive]
    ) / 2
    wanted = np.cov(wins.mean(axis=2)) / positive.sum() + np.cov(wins.mean(axis=1)) / (~positive).sum()
    found = Placements.of(Sample(truth, np.arange(N)), rows)
    assert found.covariance() == pytest.approx(wanted)
    assert found.covariance()[1, 1] == pytest.approx(found.variance(np.eye(R)[1]))


def test_readers_against_the_model_by_calls_and_by_panel() -> None:
    ratings, truth = made()
    label, model = (ratings[:1] >= 4), ratings[2, 0] / 9
    readings = readings_of(label, truth=truth)
    sample, answers = Sample(truth, np.arange(N)), ModelAnswers(model, model >= 0.5)
    found = compare_readers(readings, truths_of(readings, (), readings.truth), sample, answers)
    assert [one.figure for one in found] == [AUC_OF_POINT, "sensitivity", "specificity"]
    rates = [[(row[truth == value] == value).mean() for row in label[0]] for value in (1, 0)]
    of_model = [(answers.called[truth == value] == value).mean() for value in (1, 0)]
    assert {(one.first, one.second) for one in found} == {(MODEL, READERS)}
    assert found[1].random.value == pytest.approx(of_model[0] - np.mean(rates[0]))
    assert found[0].random.value == pytest.approx(np.mean(of_model) - np.mean(rates))
    assert found[0].random.low < found[0].random.value < found[0].random.high
    assert found[0].mean_first.value == pytest.approx(np.mean(of_model))
    assert found[0].mean_second.value == pytest.approx(np.mean(rates))
    # The jackknife of the differences themselves, one loop.
    left = [
        [(np.delete(row, k)[np.delete(truth, k) == 1]).mean() for row in (*label[0], answers.called)] for k in range(N)
    ]
    differences = np.array(left)[:, :R] - np.array(left)[:, R:]
    wanted = analyse_readers(np.array(rates[0]) - of_model[0], (N - 1) ** 2 / N * np.cov(differences.T))
    assert found[1].p_random == pytest.approx(wanted[0].p_value)
    assert found[1].p_fixed == pytest.approx(wanted[1].p_value)
    # By a panel each member has his own truth, and the model is judged by the same one beside him.
    panel = compare_readers(readings, truths_of(readings, ("a", "b", "c"), None), sample, answers)
    assert "jackknife by patient" in panel[0].random.method
    assert panel[1].random.value != found[1].random.value


@pytest.mark.real
@pytest.mark.parametrize(("name", "f", "p", "interval"), [
    ("vandyke", None, 0.05123303, (-0.0878672, 0.0002666)),
    ("franken", 4.694, 0.119, None),
])  # fmt: skip
def test_published_examples(
    images_root: Path, name: str, f: float | None, p: float, interval: tuple[float, float] | None
) -> None:
    path = images_root.parent / "cases" / "mrmc" / f"{name}.csv"
    if not path.is_file():
        pytest.skip("no ratings of reader studies here")
    readings = read_readings(path)
    sample = Sample(readings.truth.astype(np.int64), np.arange(len(readings.truth)), patients_known=False)
    (found,) = compare_readers(readings, truths_of(readings, (), readings.truth), sample)
    assert found.p_random == pytest.approx(p, abs=5e-9 if interval else 5e-4)
    if f is not None:
        assert found.f == pytest.approx(f, abs=5e-4)
    if interval is not None:
        assert (found.random.low, found.random.high) == pytest.approx(interval, abs=5e-8)
