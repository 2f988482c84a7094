"""What makes figures mean something else than they seem to, in plain words: it stands before all other warnings."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.statistics.delong import auc_delong
from cxreader.evaluation.statistics.exact import bounded_auc
from cxreader.evaluation.statistics.intervals import Estimate, Sample
from cxreader.records import LABEL_NAMES, OperatingPoint

_MISSES_LITTLE = ("screening", "rule-out", "ruleout", "sensitiv", "npv", "triage")
_CONFIRMS = ("rule-in", "rulein", "specific", "confirm")


def implausible(sample: Sample, probability: NDArray[np.floating], auc: Estimate | None = None) -> list[str]:
    """Sentences on probabilities or scores (n,) of the images of `sample`: one class, two values, reversed, quite separated.

    `auc`: its estimate where there is one; else DeLong's, or the exact one.
    """
    if len(probability) < 2:
        return []
    values = np.unique(probability)
    found = [*_one_class(sample), *_few_values(values, len(probability))]
    if min(sample.n_positive, sample.n_negative) > 0 and len(values) > 1:
        found += _of_auc(bounded_auc(auc_delong(sample, probability), sample) if auc is None else auc)
    return found


def contradictory(points: Sequence[OperatingPoint]) -> list[str]:
    """Sentences on operating points that coincide, or whose order contradicts their names or, without such, their rules."""
    found = [
        f"The operating points {a.name} and {b.name} coincide at {a.threshold:.3f}: they are one decision under two names."
        for a, b in combinations(points, 2)
        if f"{a.threshold:.3f}" == f"{b.threshold:.3f}"
    ]
    confirming = [point for point in points if _kind(point) == "confirms"]
    missing_little = [point for point in points if _kind(point) == "misses little"]
    for high, low in product(confirming, missing_little):
        if f"{high.threshold:.3f}" < f"{low.threshold:.3f}":
            found.append(
                f"The operating points contradict their names: {high.name} ({high.threshold:.3f}) lies below {low.name} "
                f"({low.threshold:.3f}), so that an image in between is called abnormal by the one that is to confirm and "
                "normal by the one that is to miss nothing. Where they were fitted, one threshold reached both targets: use one."
            )
    return found


def _one_class(sample: Sample) -> list[str]:
    for n, missing, there in (
        (sample.n_positive, *LABEL_NAMES[::-1]),
        (sample.n_negative, *LABEL_NAMES),
    ):
        if n == 0:
            rate = "sensitivity" if there == "abnormal" else "specificity"
            other = "specificity" if there == "abnormal" else "sensitivity"
            return [
                f"There is no {missing} image: AUC, {other} and whatever else compares the two classes cannot be computed. "
                f"{rate.capitalize()} can (accuracy is the same number here), and the share called abnormal."
            ]
    return []


def _few_values(values: NDArray[np.floating], n: int) -> list[str]:
    if len(values) == 1:
        return [
            f"All {n:,} images are given {values[0]:g}: nothing is ranked. An AUC of 0.5 then says nothing of the model."
        ]
    if len(values) == 2 and n > 2:
        low, high = values.tolist()
        return [
            f"Two values alone are given ({low:g} and {high:g}): these are decisions, not scores. The AUC is then "
            "the mean of sensitivity and specificity, other thresholds give nothing new, and calibration cannot be judged."
        ]
    return []


def _of_auc(auc: Estimate) -> list[str]:
    if auc.high < 0.5:
        return [
            f"The AUC is {auc.value:.3f} ({auc.interval}), below 0.5 with its whole interval: the direction is probably "
            "reversed. Check whether the column holds the probability of normal, or whether the labels are exchanged."
        ]
    if auc.value != 1:
        return []
    bound = "" if np.isnan(auc.low) else f" Its lower bound is {auc.low:.3f}, {auc.method}."
    return [
        "Perfect separation: every abnormal image is given a higher number than every normal one, so that the AUC is 1 and "
        f"resamples bound nothing.{bound} Rule out first that images or scores carry the label, or that they were trained on."
    ]


def _kind(point: OperatingPoint) -> str | None:
    """What a point is for, by its name, else by its rule."""
    for text in (point.name.lower().replace("_", "-"), point.rule.lower()):
        for kind, words in (("confirms", _CONFIRMS), ("misses little", _MISSES_LITTLE)):
            if any(word in text for word in words) and "sensitivity + specificity" not in text:
                return kind
    return None
