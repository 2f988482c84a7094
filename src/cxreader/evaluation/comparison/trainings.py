"""A network's figure over several trainings, with one interval: for other patients and for other trainings of it together.

Trainings are to a network what readers are to a modality: trainings and patients are both drawn at random, and a result speaks
of trainings and patients like these (N. A. Obuchowski and H. E. Rockette, Communications in Statistics: Simulation and
Computation 24, 1995, 285-308, for a single modality; degrees of freedom by S. L. Hillis, Statistics in Medicine 26, 2007,
596-619).
With r trainings whose figures have the variance S2, and a mean covariance of two trainings' figures of Cov2 (by the patients
they share), the mean has the variance S2 / r + Cov2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cxreader.counting import format_count
from cxreader.evaluation.readers.obuchowski_rockette import analyse_readers, covariance_left_out
from cxreader.evaluation.statistics.bca import jackknife
from cxreader.evaluation.statistics.intervals import Estimate, Sample, Statistic, Weights
from cxreader.evaluation.statistics.side_by_side import value_name

Floats = NDArray[np.float64]
METHOD = "trainings and patients at random (Obuchowski-Rockette, Hillis), jackknife"
ONE_TRAINING = "one training: how far another would lie is not known"


def over_trainings(
    found: Mapping[str, Estimate],
    trainings: Sequence[Statistic],
    sample: Sample,
    *,
    least: float = 0.0,
    seed: int = 0,
) -> dict[str, Estimate]:
    """`found`, means over `trainings` with intervals by patient, with the interval that holds for other trainings too.

    Each of `trainings` computes the names of `found` as one number a resample. Ends are kept within `least` and 1. The
    interval by patient stays, and its method says so, for one training, for a figure that is undefined without some patient,
    and where neither trainings nor patients make a difference.
    """
    if len(trainings) < 2:
        return {name: _fixed(estimate, ONE_TRAINING) for name, estimate in found.items()}
    each = _numbered(trainings, tuple(found))
    left_out = jackknife(each, sample.groups, seed=seed)
    whole = each(np.ones((1, len(sample.label))))
    joint = {}
    for name, estimate in found.items():
        names = [value_name(name, k) for k in range(len(trainings))]
        joint[name] = _joint(
            estimate,
            np.array([whole[own][0] for own in names]),
            np.column_stack([left_out[own] for own in names]),
            least,
            sample,
        )
    return joint


def _numbered(trainings: Sequence[Statistic], names: Sequence[str]) -> Statistic:
    def statistic(weight: Weights) -> dict[str, Floats]:
        each = [training(weight) for training in trainings]
        return {value_name(name, k): values[name] for k, values in enumerate(each) for name in names}

    return statistic


def _joint(estimate: Estimate, figures: Floats, left_out: Floats, least: float, sample: Sample) -> Estimate:
    if np.isnan(figures).any() or np.isnan(estimate.value):
        return estimate
    if np.isnan(left_out).any():
        return _fixed(estimate, "these trainings held fixed: undefined where a patient is left out")
    test, _ = analyse_readers(figures, covariance_left_out(left_out))
    if np.isnan(test.low):  # neither trainings nor patients differ: the exact bound stays
        return _fixed(estimate, f"mean of {format_count(len(figures), '[training|trainings]')}, all alike")
    who = "patient" if sample.patients_known else "image"
    return replace(
        estimate,
        low=max(least, test.low),
        high=min(1.0, test.high),
        method=f"{METHOD} by {who}; mean of {format_count(len(figures), '[training|trainings]')}",
        reason=None,
    )


def _fixed(estimate: Estimate, why: str) -> Estimate:
    return replace(estimate, method=f"{estimate.method}; {why}")
