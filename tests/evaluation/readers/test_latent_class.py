from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from cxreader.errors import DataError
from cxreader.evaluation.readers import latent_class as latent_class_file
from cxreader.evaluation.readers.latent_class import Fitted, fit_latent_class, latent_class
from cxreader.evaluation.statistics.intervals import Sample

PREVALENCE = 0.3
SENSITIVITY, SPECIFICITY = np.array([0.9, 0.8, 0.7, 0.85]), np.array([0.85, 0.95, 0.9, 0.6])


def patterns() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every pattern of four votes (4, 16), its probability, and the posterior of abnormal by Bayes' rule."""
    votes = np.array(list(product((0, 1), repeat=4)), np.int8).T
    abnormal = PREVALENCE * np.where(votes == 1, SENSITIVITY[:, None], 1 - SENSITIVITY[:, None]).prod(axis=0)
    normal = (1 - PREVALENCE) * np.where(votes == 1, 1 - SPECIFICITY[:, None], SPECIFICITY[:, None]).prod(axis=0)
    return votes, abnormal + normal, abnormal / (abnormal + normal)


def test_the_exact_distribution_gives_the_parameters_back() -> None:
    votes, share, posterior = patterns()
    found = fit_latent_class(votes, share[None] * 1000)
    assert found.prevalence[0] == pytest.approx(PREVALENCE, abs=1e-5)
    assert found.sensitivity[0] == pytest.approx(SENSITIVITY, abs=1e-5)
    assert found.specificity[0] == pytest.approx(SPECIFICITY, abs=1e-5)
    assert found.posterior[0] == pytest.approx(posterior, abs=1e-5)


def test_three_raters_agree_with_the_closed_form() -> None:
    """Three raters, 2^3 - 1 frequencies for 7 parameters: the moments determine them, whatever the frequencies."""
    votes, share, _ = patterns()
    three = votes[:3]
    found = fit_latent_class(three, share[None])
    s1, s2, s3 = found.sensitivity[0]
    f1, f2, f3 = 1 - found.specificity[0]
    p = found.prevalence[0]
    for chosen, product_of in (
        ((0,), (s1, f1)),
        ((0, 1), (s1 * s2, f1 * f2)),
        ((1, 2), (s2 * s3, f2 * f3)),
        ((0, 1, 2), (s1 * s2 * s3, f1 * f2 * f3)),
    ):
        wanted = share[(three[list(chosen)] == 1).all(axis=0)].sum()
        assert p * product_of[0] + (1 - p) * product_of[1] == pytest.approx(wanted, abs=1e-5)


def test_each_step_of_em_raises_the_likelihood_to_its_maximum() -> None:
    """At the answer every small move lowers the likelihood of random votes with gaps."""
    random = np.random.default_rng(0)
    truth = random.random(400) < 0.4
    votes = np.stack([np.where(random.random(400) < 0.85, truth, ~truth) for _ in range(4)]).astype(np.int8)
    votes[random.random(votes.shape) < 0.15] = -1
    found = fit_latent_class(votes, np.ones((1, 400)))
    values = np.concatenate([found.prevalence, found.sensitivity[0], found.specificity[0]])

    def likelihood(at: np.ndarray) -> float:
        p, se, sp = at[0], at[1:5, None], at[5:, None]
        one = np.where(votes == 1, se, np.where(votes == 0, 1 - se, 1)).prod(axis=0)
        zero = np.where(votes == 1, 1 - sp, np.where(votes == 0, sp, 1)).prod(axis=0)
        return float(np.log(p * one + (1 - p) * zero).sum())

    best = likelihood(values)
    assert all(likelihood(values + sign * step) < best for step in np.eye(9) * 0.005 for sign in (-1, 1))


def test_raters_are_taken_for_better_than_chance_and_resamples_are_rows() -> None:
    votes, share, _ = patterns()
    found = fit_latent_class(1 - votes, share[None] * 1000)  # all votes turned: abnormal is now called normal
    assert found.prevalence[0] == pytest.approx(1 - PREVALENCE, abs=1e-5)
    assert found.sensitivity[0] == pytest.approx(SPECIFICITY, abs=1e-5)
    twice = fit_latent_class(votes, np.stack([share, np.ones(16)]))
    assert twice.sensitivity[1] != pytest.approx(twice.sensitivity[0])
    assert twice.sensitivity[0] == pytest.approx(SENSITIVITY, abs=1e-4)


def test_what_does_not_stand_still_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    votes, share, _ = patterns()
    monkeypatch.setattr(latent_class_file, "MAX_STEPS", 3)
    assert np.isnan(fit_latent_class(votes, share[None]).prevalence).all()


def test_of_two_mirrored_solutions_the_better_than_chance_is_given() -> None:
    votes, share, posterior = patterns()
    values = np.concatenate([[1 - PREVALENCE], 1 - SPECIFICITY, 1 - SENSITIVITY])[None]
    found = fit_latent_class(votes, share[None], Fitted(values, 1 - posterior[None]))
    assert found.sensitivity[0] == pytest.approx(SENSITIVITY, abs=1e-5)
    assert found.prevalence[0] == pytest.approx(PREVALENCE, abs=1e-5)
    assert found.posterior[0] == pytest.approx(posterior, abs=1e-5)


def test_the_record_counts_votes_and_what_the_majority_says_otherwise() -> None:
    votes, share, posterior = patterns()
    times = np.round(share * 2000).astype(int)
    many = np.repeat(votes, times, axis=1)
    many[3, 0] = -1
    names = ("a", "b", "c", "text")
    sample = Sample(np.zeros(many.shape[1], int), np.arange(many.shape[1]) // 2)
    found = latent_class(dict(zip(names, many, strict=True)), sample, n_resamples=40)
    assert [rater.rater for rater in found.raters] == list(names)
    assert found.raters[3].votes == many.shape[1] - 1
    assert found.raters[1].sensitivity.value == pytest.approx(0.8, abs=0.02)
    assert found.raters[1].sensitivity.low < 0.8 < found.raters[1].sensitivity.high
    majority = np.sign(votes.sum(axis=0) - 2)
    otherwise = (majority != 0) & ((majority > 0) != (posterior > 0.5))
    assert found.n_other == pytest.approx(times[otherwise].sum(), abs=1)
    assert found.n_abnormal == pytest.approx(times[posterior > 0.5].sum(), abs=1)


def test_two_raters_determine_nothing() -> None:
    with pytest.raises(DataError, match="2 raters do not determine a latent class"):
        fit_latent_class(np.zeros((2, 5), np.int8), np.ones((1, 5)))
