"""Which settings mattered in a search: main effects over matched pairs, and Optuna's importances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import optuna
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import create_trial
from scipy import stats

from cxreader.counting import format_count
from cxreader.evaluation.statistics.intervals import LEVEL
from cxreader.reporting.search.records import Effect
from cxreader.study.search.optuna_study import distributions
from cxreader.study.search.record import Trial
from cxreader.study.search.space import Space, key_of

_FEWEST = 4
"""Complete trials below which a forest over them describes nothing."""


def main_effects(space: Space, trials: Sequence[Trial]) -> tuple[Effect, ...]:
    """For each setting with two levels: score at the second minus at the first, over pairs equal in all else.

    In a full factorial the mean over pairs is the classical main effect (Box, Hunter and Hunter, Statistics for
    Experimenters, 2005, chapter 5). The interval is Student's for the mean of the pairs' differences.
    """
    # The metric is a float32: digits behind the sixth are no difference.
    scores = {key_of(trial.point): round(trial.score, 6) for trial in trials if trial.score is not None}
    points = [trial.point for trial in trials if trial.score is not None]
    found = []
    for key, given in space.values.items():
        if isinstance(given, tuple) and len(given) == 2:
            partners = ((point, {**point, key: given[1]}) for point in points if point[key] == given[0])
            gains = [scores[key_of(b)] - scores[key_of(a)] for a, b in partners if key_of(b) in scores]
            found.append(_effect(key, (given[0], given[1]), gains))
    return tuple(found)


def _effect(key: str, levels: tuple[object, object], gains: Sequence[float]) -> Effect:
    n = len(gains)
    mean = round(float(np.mean(gains)), 9) + 0.0 if n else float("nan")
    if n < 2:
        reason = format_count(n, "matched [pair|pairs]")
    elif np.ptp(gains) <= 1e-12:
        reason = f"all {n} pairs differ by the same"
    else:
        half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * np.std(gains, ddof=1) / np.sqrt(n))
        return Effect(key, levels, mean, mean - half, mean + half, n)
    return Effect(key, levels, mean, float("nan"), float("nan"), n, reason)


def importances(space: Space, trials: Iterable[Trial], seed: int) -> tuple[Mapping[str, float], str]:
    """Shares of the scores' variance by setting, summing to 1, and in words how they were found or why there are none.

    fANOVA (Hutter et al., ICML 2014): a random forest fitted to the complete ones of `trials`, in the order of the points.
    """
    complete = sorted((trial for trial in trials if trial.score is not None), key=lambda trial: trial.number)
    if len(complete) < _FEWEST:
        return {}, f"not computed: {len(complete)} complete trials are too few to describe"
    if len({trial.score for trial in complete}) == 1:
        return {}, "not computed: every trial has the same score"
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study, given = optuna.create_study(), distributions(space)
    study.add_trials([create_trial(params=dict(t.point), distributions=given, value=t.score) for t in complete])
    shares = optuna.importance.get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
    how = (
        f"fANOVA over {len(complete)} complete trials (Hutter et al. 2014, Optuna's forest): shares of the variance "
        "among these runs. It has no interval: it describes these runs and infers nothing"
    )
    return {key: float(share) for key, share in shares.items()}, how
