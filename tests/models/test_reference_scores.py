"""Quantiles of scores, counted by hand."""

from __future__ import annotations

import numpy as np

from cxreader.models.reference_scores import LEVELS, ReferenceScores, ScoreQuantiles


def test_a_quantile_is_the_smallest_score_with_its_share_at_or_below_it() -> None:
    label = np.array([0] * 10 + [1] * 3)
    score = np.array([*range(10), 30.0, 10.0, 20.0])[[3, 1, 4, 0, 5, 9, 2, 6, 8, 7, 10, 11, 12]]
    found = ScoreQuantiles.of(score, label)
    assert (len(LEVELS), LEVELS[0], LEVELS[8], LEVELS[-1]) == (17, 0.0, 0.5, 1.0)
    # Ten normal scores 0 ... 9: 0.01 to 0.1 of them is the first, 0.2 the second, ..., 0.9 the ninth, more the tenth.
    assert found.normal == (*[0.0] * 5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, *[9.0] * 4)
    # Three abnormal ones: up to a third the first, up to two thirds the second.
    assert found.abnormal == (*[10.0] * 7, *[20.0] * 3, *[30.0] * 7)
    # Thirteen of both: 0.1 of them is 1.3 and so the second, 0.5 is 6.5 and so the seventh, 0.9 is 11.7 and so the twelfth.
    assert found.all == (*[0.0] * 4, 1.0, 2.0, 3.0, 5.0, 6.0, 7.0, 9.0, 10.0, 20.0, *[30.0] * 4)


def test_counts_and_plain_values() -> None:
    label, probability = np.array([0, 1, 1]), np.array([0.1, 0.8, 0.9])
    found = ReferenceScores.of(label, probability, np.array([0.2, 0.4, 1.5]))
    assert (found.n_positive, found.n_negative, found.levels) == (2, 1, LEVELS)
    assert found.ood_score is not None
    assert (found.probability.abnormal[0], found.probability.normal[0], found.ood_score.all[-1]) == (0.8, 0.1, 1.5)
    assert ReferenceScores.from_dict(found.to_dict()) == found
    bare = ReferenceScores.of(label, probability, None)
    assert bare.ood_score is None
    assert ReferenceScores.from_dict(bare.to_dict()) == bare
