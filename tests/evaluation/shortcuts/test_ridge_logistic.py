"""The ridge path is scikit-learn's optimum at every strength, whether images or features are more."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cxreader.evaluation.shortcuts.cross_fit import STRENGTHS
from cxreader.evaluation.shortcuts.ridge_logistic import fit_ridge_logistic


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize(("n", "k"), [(200, 14), (60, 144)])
def test_every_strength_is_scikit_learns_optimum(n: int, k: int, balanced: bool) -> None:
    generator = np.random.default_rng(n)
    label = (generator.random(n) < 0.3).astype(np.int64)
    features = generator.normal(size=(n, k)) * np.linspace(0.1, 40, k) + 100
    features[:, :3] += 2 * label[:, None] * features[:, :3].std(axis=0)
    features[:, -1] = 7.0  # nothing to standardise by
    asked = generator.normal(100, 20, (9, k))
    found = fit_ridge_logistic(features, label, STRENGTHS, balanced=balanced)
    assert len(found) == len(STRENGTHS)
    for strength, own in zip(STRENGTHS, found, strict=True):
        logistic = LogisticRegression(
            C=strength, class_weight="balanced" if balanced else None, tol=1e-9, max_iter=20_000
        )
        model = make_pipeline(StandardScaler(), logistic).fit(features, label)
        for images in (features, asked):
            np.testing.assert_allclose(own.log_odds(images), model.decision_function(images), atol=2e-5)
        np.testing.assert_allclose(own.probability(asked), expit(own.log_odds(asked)))


def test_classes_that_do_not_overlap_are_reached_with_almost_no_penalty() -> None:
    """The penalty alone keeps the log odds, of hundreds, finite."""
    label = np.arange(40) % 2
    features = (label + np.linspace(0, 0.5, 40))[:, None]
    own = fit_ridge_logistic(features, label, (1e6,))[0]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e6, tol=1e-10, max_iter=100_000)).fit(features, label)
    np.testing.assert_allclose(own.log_odds(features), model.decision_function(features), rtol=1e-3)
    assert np.array_equal(own.log_odds(features) > 0, label == 1)
