"""What pretrained weights gain on the test part: every artifact reads it once, and all intervals come from the same resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Weights, bootstrap
from cxreader.evaluation.statistics.metrics import all_metrics, undefined_reasons
from cxreader.evaluation.statistics.side_by_side import mean_of, side_by_side, value_name
from cxreader.reporting.study.learning_curve import ARMS, Arm, ArmResult

CHANGE = "auc change"
METRICS = ("auc", "accuracy")
Key = tuple[float, Arm]
Answers = Mapping[Key, Sequence[tuple[NDArray[np.floating], float]]]
"""Of each share and arm, seed by seed: probabilities of abnormal (n,) and the threshold."""


def compare(sample: Sample, answers: Answers, *, seed: int = 0, n_resamples: int = N_RESAMPLES) -> dict[str, Estimate]:
    """AUC and accuracy of every share and arm, and their differences, each a mean over the seeds; named by `name_of`.

    `CHANGE` is the gain in AUC at the smallest share minus that at the largest; it is missing when there is one share.
    """
    keys, shares = list(answers), sorted({share for share, _ in answers})
    rows = [mean_of([all_metrics(sample.label, p, t) for p, t in seeds]) for seeds in answers.values()]
    scratch, pretrained = ([keys.index((share, arm)) for share in shares] for arm in ARMS)
    gains = list(zip(pretrained, scratch, strict=True))
    alone = side_by_side(rows, gains, METRICS)

    def statistic(weight: Weights) -> dict[str, NDArray[np.float64]]:
        values = alone(weight)
        first, last = (values[value_name("auc", *gains[at])] for at in (0, -1))
        return values | {CHANGE: first - last}

    names = {value_name(m, k): name_of(m, *key) for k, key in enumerate(keys) for m in METRICS}
    names |= {
        value_name(m, *pair): name_of(m, share) for share, pair in zip(shares, gains, strict=True) for m in METRICS
    }
    names |= {CHANGE: CHANGE} if len(shares) > 1 else {}
    why = undefined_reasons(sample.label)["auc"]
    reasons = {name: why for name in names if name.startswith("auc")}
    found = bootstrap(statistic, sample, n_resamples=n_resamples, seed=seed, reasons=reasons)
    return {title: found[name] for name, title in names.items()}


def name_of(metric: str, share: float, arm: Arm | None = None) -> str:
    """The name of a metric in `compare`: of an arm, or of the difference pretrained minus scratch."""
    return f"{metric} {share:g} {arm or 'gain'}"


def arm_results(sample: Sample, answers: Answers, found: Mapping[str, Estimate]) -> dict[Key, ArmResult]:
    """The estimates in `found` of every share and arm beside the values of the single seeds."""
    whole = np.ones((1, len(sample.label)))
    results = {}
    for (share, arm), seeds in answers.items():
        each = [all_metrics(sample.label, p, t)(whole) for p, t in seeds]
        auc, accuracy = (tuple(float(values[metric][0]) for values in each) for metric in METRICS)
        of = {metric: found[name_of(metric, share, arm)] for metric in METRICS}
        results[share, arm] = ArmResult(of["auc"], of["accuracy"], auc, accuracy)
    return results
