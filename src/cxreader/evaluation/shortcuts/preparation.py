"""Whether judged images are of the preparation that a model learnt from: class by class, told apart by a thumbnail.

Within one class nobody looks for disease, so that what tells the judged images from the learnt ones is how they came to be:
another device, another crop, another hand that chose them. Where one class alone differs, sensitivity or specificity falls for
that reason, and the AUC with it, though the classes are no harder to tell apart. The idea is that of a classifier two-sample
test (Lopez-Paz and Oquab, ICLR 2017), here with patients kept together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import DataError
from cxreader.evaluation.shortcuts.cross_fit import cross_fit
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Statistic, bootstrap
from cxreader.evaluation.statistics.metrics import Ranking
from cxreader.records import ABNORMAL, NORMAL

Floats = NDArray[np.float64]
OTHER = 0.75
"""From here on, by the lower bound of the AUC, images are said to be of another preparation."""
_RATES = {NORMAL: "specificity", ABNORMAL: "sensitivity"}


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """Thumbnails (n, 256) of images, and their `sample`: labels and patients."""

    values: Floats
    sample: Sample


def told_apart(
    learnt: Thumbnails, judged: Thumbnails, *, seed: int = 0, n_resamples: int = N_RESAMPLES
) -> dict[int, Estimate]:
    """By label the AUC of a thumbnail that tells judged images of this class from learnt ones, cross-fitted by patient.

    `n_positive` of an estimate counts the judged images, `n_negative` the learnt ones. A class with fewer than two patients on
    either side is left out.
    """
    found = {}
    for label in (NORMAL, ABNORMAL):
        parts = [
            (one.values[rows], one.sample.part(rows))
            for one in (learnt, judged)
            for rows in [one.sample.label == label]
        ]
        features = np.concatenate([values for values, _ in parts])
        side = np.repeat(np.array([0, 1], np.int8), [len(values) for values, _ in parts])
        first, second = (part.groups for _, part in parts)
        groups = np.concatenate([first, second + (first.max() + 1 if len(first) else 0)])
        sample = Sample(side, groups, all(part.patients_known for _, part in parts))
        try:
            ranking = Ranking.of(side, cross_fit(features, side, groups, seed=seed))
        except DataError:
            continue

        found[label] = bootstrap(_auc_of(ranking), sample, n_resamples=n_resamples, seed=seed)["auc"]
    return found


def _auc_of(ranking: Ranking) -> Statistic:
    return lambda weight: {"auc": ranking.areas(weight)[0]}


def preparation_warning(found: Mapping[int, Estimate]) -> str | None:
    """A sentence where judged images of a class are of another preparation than those learnt from; None where none are."""
    other = [label for label in found if found[label].low > OTHER]
    if not other:
        return None
    names = {NORMAL: "normal", ABNORMAL: "abnormal"}
    told = " and ".join(
        f"of the {names[label]} ones at AUC {auc.value:.2f} ({auc.interval}; {auc.n_positive:,} judged, "
        f"{auc.n_negative:,} learnt)"
        for label, auc in found.items()
    )
    which, rates = (" and ".join(words[label] for label in other) for words in (names, _RATES))
    return (
        f"The judged {which} images are of another preparation than those it learnt from: a 16 x 16 thumbnail tells both apart, "
        f"{told}. So the {rates} here {'is' if len(other) == 1 else 'are'} of other images than its thresholds were set on."
    )
