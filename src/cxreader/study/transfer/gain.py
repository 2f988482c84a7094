"""What pretrained weights gain on the test part: every artifact reads it once, and all intervals come from the same resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Weights, bootstrap
from cxreader.evaluation.statistics.metrics import all_metrics, undefined_reasons
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
    shares = sorted({share for share, _ in answers})
    metrics = {key: [all_metrics(sample.label, p, t) for p, t in seeds] for key, seeds in answers.items()}

    def statistic(weight: Weights) -> dict[str, NDArray[np.float64]]:
        values: dict[str, NDArray[np.float64]] = {}
        for (share, arm), seeds in metrics.items():
            each = [one(weight) for one in seeds]
            values |= {name_of(metric, share, arm): np.mean([v[metric] for v in each], axis=0) for metric in METRICS}
        for share in shares:
            for metric in METRICS:
                scratch, pretrained = (values[name_of(metric, share, arm)] for arm in ARMS)
                values[name_of(metric, share)] = pretrained - scratch
        if len(shares) > 1:
            values[CHANGE] = values[name_of("auc", shares[0])] - values[name_of("auc", shares[-1])]
        return values

    why = undefined_reasons(sample.label)
    reasons = {name_of("auc", share, arm): why["auc"] for share in shares for arm in (*ARMS, None)}
    return bootstrap(statistic, sample, n_resamples=n_resamples, seed=seed, reasons={**reasons, CHANGE: why["auc"]})


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
