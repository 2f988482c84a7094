"""What cross-validation found: each fold by its own model and threshold, their mean, and all images pooled.

The AUC has two readings. The mean of the folds' compares images under one model alone, as a model in use does. The pooled one
also compares images under two models, whose scores need not have one scale: a model of one fold that scores all its images
higher than another's moves it. Sensitivity and specificity are pooled decisions, each at its own fold's threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.errors import TableError
from cxreader.evaluation.statistics.exact import bounded_auc, bounded_share
from cxreader.evaluation.statistics.intervals import (
    N_RESAMPLES,
    Estimate,
    Sample,
    Statistic,
    Weights,
    estimates,
    resample,
)
from cxreader.evaluation.statistics.metrics import Ranking, all_metrics, undefined_reasons

Floats = NDArray[np.float64]
MEASURES = ("auc", "sensitivity", "specificity")
THUMBNAIL, GAIN = "thumbnail", "auc minus thumbnail"
"""Learnt elsewhere, on the fold's training images."""
THUMBNAIL_HERE, GAIN_HERE = "thumbnail learnt here", "auc minus thumbnail learnt here"
"""Cross-fitted on the fold's test images."""
METADATA, GAIN_METADATA = "metadata", "auc minus metadata"
"""Age, sex, view, follow-up and the like, without a pixel: cross-fitted on the judged images of all folds, pooled."""
_AREAS = ("auc", THUMBNAIL, GAIN, THUMBNAIL_HERE, GAIN_HERE, METADATA, GAIN_METADATA)
_RATES = {"sensitivity": "recall", "specificity": "specificity"}


@dataclass(frozen=True, eq=False)
class FoldAnswers:
    """The test images of one fold.

    `label` (n,) 0 or 1, `groups` (n,) numbers the patients over all folds, `probability` (n,) by the fold's model, `threshold`
    by which that decides. `thumbnail` (n,): the probability by a thumbnail, learnt from the same training images; `here` (n,): by
    one that was learnt on other patients of the fold's own test images, None where it could not be. `refused` (n,): whether the
    model would not answer. `metadata` (n,): the probability by what the table tells beside the picture, learnt on other patients
    of all folds; None where it tells nothing.
    """

    label: NDArray[np.integer]
    groups: NDArray[np.integer]
    probability: Floats
    threshold: float
    thumbnail: Floats
    refused: NDArray[np.bool_]
    here: Floats | None = None
    metadata: Floats | None = None


@dataclass(frozen=True, eq=False)
class FoldsJudged(Plain):
    """By the names of `MEASURES`, `thumbnail` (its AUC), `auc minus thumbnail` (paired) and `refused`, 95 % by patient.

    `thumbnail learnt here` and `metadata`, and the differences from them, besides: of each fold that has one, and of all folds
    where all have.

    `folds`: of each fold. `mean`: the mean over the folds, of the AUCs and the difference alone. `pooled`: all images together.
    `confusion` counts tp, fp, tn, fn over all images, each at its fold's threshold.
    """

    folds: tuple[dict[str, Estimate], ...]
    mean: dict[str, Estimate]
    pooled: dict[str, Estimate]
    confusion: dict[str, int]
    n_resamples: int
    seed: int


def judge_folds(
    folds: Sequence[FoldAnswers], *, patients_known: bool, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> FoldsJudged:
    """Judge the folds, whose `groups` number patients over all of them. Mean and pooled share their resamples of patients.

    Raises TableError where a patient stands in two folds.
    """
    groups = np.concatenate([fold.groups for fold in folds])
    if sum(len(np.unique(fold.groups)) for fold in folds) != len(np.unique(groups)):
        raise TableError("a patient stands in two folds", mend="make the folds again")
    whole = _joined(folds)
    sample = Sample(whole.label, groups, patients_known)
    points, draws = resample(_mean_and_pooled(folds, whole), sample, n_resamples=n_resamples, seed=seed)
    reasons = {f"{kind} {name}": "a fold lacks a class" for kind in ("mean", "pooled") for name in points}
    found = estimates(points, draws, sample, reasons=reasons)
    pooled = {name.removeprefix("pooled "): e for name, e in found.items() if name.startswith("pooled ")}
    mean = {name.removeprefix("mean "): e for name, e in found.items() if name.startswith("mean ")}
    called = np.concatenate([fold.probability >= fold.threshold for fold in folds])
    truth = whole.label == 1
    counts = {"tp": called & truth, "fp": called & ~truth, "tn": ~called & ~truth, "fn": ~called & truth}
    return FoldsJudged(
        tuple(_judged(fold, patients_known, n_resamples, seed) for fold in folds),
        mean,
        _bounded(pooled, whole, sample),
        {name: int(np.count_nonzero(who)) for name, who in counts.items()},
        n_resamples,
        seed,
    )


def _judged(fold: FoldAnswers, patients_known: bool, n_resamples: int, seed: int) -> dict[str, Estimate]:
    sample = Sample(fold.label, fold.groups, patients_known)
    points, draws = resample(_everything(fold), sample, n_resamples=n_resamples, seed=seed)
    why = undefined_reasons(fold.label)
    reasons = {"sensitivity": why["recall"], "specificity": why["specificity"]}
    reasons |= dict.fromkeys(_AREAS, why["auc"])
    return _bounded(estimates(points, draws, sample, reasons=reasons), fold, sample)


def _joined(folds: Sequence[FoldAnswers]) -> FoldAnswers:
    """All folds as one; its decisions are those of `_everything`'s folds, so it has no threshold of its own."""
    columns = {
        name: np.concatenate([getattr(fold, name) for fold in folds])
        for name in ("label", "groups", "probability", "thumbnail", "refused")
    }
    return FoldAnswers(
        threshold=float("nan"),
        here=_of_all([fold.here for fold in folds]),
        metadata=_of_all([fold.metadata for fold in folds]),
        **columns,
    )


def _of_all(parts: Sequence[Floats | None]) -> Floats | None:
    """All folds' values, None where a fold has none."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


def _everything(fold: FoldAnswers) -> Statistic:
    own = all_metrics(fold.label, fold.probability, fold.threshold)
    thumbnail, refused = all_metrics(fold.label, fold.thumbnail), fold.refused.astype(np.float64)
    more = {(THUMBNAIL_HERE, GAIN_HERE): fold.here, (METADATA, GAIN_METADATA): fold.metadata}
    ranked = {names: Ranking.of(fold.label, found) for names, found in more.items() if found is not None}

    def statistic(weight: Weights) -> dict[str, Floats]:
        values, baseline = own(weight), thumbnail(weight)["auc"]
        rates = {name: values[metric] for name, metric in _RATES.items()}
        gain = {"auc": values["auc"], THUMBNAIL: baseline, GAIN: values["auc"] - baseline}
        for (name, lead), ranking in ranked.items():
            area = ranking.areas(weight)[0]
            gain |= {name: area, lead: values["auc"] - area}
        total = weight.sum(1)
        share = np.divide(weight @ refused, total, out=np.full(len(weight), np.nan), where=total > 0)
        return gain | rates | {"refused": share}

    return statistic


def _mean_and_pooled(folds: Sequence[FoldAnswers], whole: FoldAnswers) -> Statistic:
    """Means over the folds, and everything pooled with the decisions that each fold's threshold made."""
    each = [_everything(fold) for fold in folds]
    ends = np.cumsum([0, *(len(fold.label) for fold in folds)])
    called = np.concatenate([fold.probability >= fold.threshold for fold in folds]).astype(np.float64)
    decided = FoldAnswers(whole.label, whole.groups, called, 0.5, whole.thumbnail, whole.refused)
    absent = {THUMBNAIL_HERE, GAIN_HERE} if whole.here is None else set()
    absent |= {METADATA, GAIN_METADATA} if whole.metadata is None else set()
    shared = [name for name in _AREAS if name not in absent]
    ranked, decisions = _everything(whole), _everything(decided)

    def statistic(weight: Weights) -> dict[str, Floats]:
        parts = [one(weight[:, a:b]) for one, a, b in zip(each, ends, ends[1:], strict=False)]
        means = {f"mean {name}": np.mean([part[name] for part in parts], 0) for name in shared}
        pooled = ranked(weight) | {name: value for name, value in decisions(weight).items() if name in _RATES}
        return means | {f"pooled {name}": value for name, value in pooled.items()}

    return statistic


def _bounded(found: Mapping[str, Estimate], fold: FoldAnswers, sample: Sample) -> dict[str, Estimate]:
    """The estimates, with exact bounds for shares of 0 and 1."""
    own = {"sensitivity": fold.label == 1, "specificity": fold.label == 0, "refused": np.ones(len(fold.label), bool)}
    shares = {name: bounded_share(found[name], who, sample) for name, who in own.items()}
    areas = {
        name: bounded_auc(found[name], sample) for name in ("auc", THUMBNAIL, THUMBNAIL_HERE, METADATA) if name in found
    }
    return {**found, **areas, **shares}
