"""Anybody's models side by side on the same patients: whether one is better, and whether that is more than luck.

Beside `comparison`, which judges networks that were trained several times, this needs one column of probabilities a
model, each with its own threshold, and gives p-values. Every pair is judged in three ways: the AUC by DeLong's covariance,
the decisions by McNemar's test (both clustered by patient), every metric by the bootstrap of its difference. With more
than one pair the p-values are adjusted by Holm over the pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.counting import format_count
from cxreader.errors import TableError
from cxreader.evaluation.statistics.delong import Placements
from cxreader.evaluation.statistics.hypothesis_tests import HypothesisTest, holm, mcnemar
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, estimates, resample
from cxreader.evaluation.statistics.metrics import METRIC_NAMES, all_metrics, undefined_reasons
from cxreader.evaluation.statistics.side_by_side import side_by_side, value_name
from cxreader.records import PredictionTable

Floats = NDArray[np.float64]
TESTED = ("auc", "accuracy", "recall", "specificity")


@dataclass(frozen=True, eq=False)
class ModelPair(Plain):
    """`first` minus `second` on the same patients.

    `auc` by DeLong; `differences` by the names of METRIC_NAMES, percentile bootstrap. `tests` by the names of `TESTED`:
    DeLong's of the AUC, McNemar's of accuracy (all images), recall (the abnormal) and specificity (the normal).
    `adjusted_p`, by the same names, is Holm's over all pairs in that quantity; NaN where its test is undefined.
    """

    first: str
    second: str
    auc: Estimate
    differences: dict[str, Estimate]
    tests: dict[str, HypothesisTest]
    adjusted_p: dict[str, float]


@dataclass(frozen=True, eq=False)
class PairedComparison(Plain):
    """Several models on the same patients, each alone and every pair; all bootstrap intervals share their resamples.

    By model: `auc` with DeLong's interval, `metrics` by the names of METRIC_NAMES with percentile intervals,
    `thresholds` at which its decisions were taken.
    """

    auc: dict[str, Estimate]
    metrics: dict[str, dict[str, Estimate]]
    pairs: tuple[ModelPair, ...]
    thresholds: dict[str, float]
    n_resamples: int
    seed: int


def align(
    tables: Mapping[str, PredictionTable], where: Mapping[str, str] | None = None
) -> tuple[Sample, dict[str, Floats]]:
    """The sample that several tables share, and each one's probabilities (n,) in the order of the first table's images.

    `where`: the place of each table, for messages; its model's name when left out. Raises TableError for no table, and naming the
    table whose images, labels or patients are not the first one's, with how many and one of them.
    """
    if not tables:
        raise TableError("no model to compare", mend="give at least one table of predictions")
    subject, first = next(iter(tables.items()))
    probabilities = {}
    for name, table in tables.items():
        place = (where or {}).get(name, f"model {name}")
        _require_images(table, first, subject, place)
        # Both sorted alike, so that row `order[i]` is the i-th image of the first table.
        order = np.argsort(table.image)[np.argsort(np.argsort(first.image))]
        _require_alike("label", table.label[order] != first.label, first, subject, place)
        _require_alike("patient", _other_patients(table, first, order), first, subject, place)
        probabilities[name] = np.asarray(table.probability, dtype=np.float64)[order]
    return Sample.of(first), probabilities


def _require_images(table: PredictionTable, first: PredictionTable, subject: str, place: str) -> None:
    missing, further = np.setdiff1d(first.image, table.image), np.setdiff1d(table.image, first.image)
    of = f"{subject}'s {format_count(len(first.image), '[image|images]')}"
    found = []
    if len(missing):
        found.append(f"{len(missing):,} of {of} {'is' if len(missing) == 1 else 'are'} missing, such as {missing[0]}")
    if len(further):
        found.append(f"{format_count(len(further), '[image is|images are]')} none of {of}, such as {further[0]}")
    if found:
        raise TableError(" and ".join(found), where=place, mend="keep the images that all models have")


def _require_alike(what: str, other: NDArray[np.bool_], first: PredictionTable, subject: str, place: str) -> None:
    if other.any():
        counted = format_count(
            int(np.count_nonzero(other)), f"[image has|images have] another {what} than with {subject}"
        )
        raise TableError(
            f"{counted}, such as {first.image[other][0]}", where=place, mend=f"agree on one {what} an image"
        )


def _other_patients(table: PredictionTable, first: PredictionTable, order: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which images have another patient (n,); all of them where one table alone knows patients."""
    if table.patient is None or first.patient is None:
        return np.full(len(order), table.patient is not first.patient)
    return np.asarray(table.patient[order] != first.patient)


def compare_models(
    sample: Sample,
    probabilities: Mapping[str, NDArray[np.floating]],
    thresholds: float | Mapping[str, float] = 0.5,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> PairedComparison:
    """Judge every pair of models by their probabilities (n,) of abnormal, in the sample's order, name -> (n,).

    `thresholds`: one for all, or one a model, from which on an image is called abnormal; they were fitted elsewhere.
    Undefined numbers are NaN with their reason. `align` makes the arguments from tables.
    Raises TableError for fewer than two models, for other lengths, for NaN, and for a model without a threshold.
    """
    names = list(probabilities)
    given = thresholds if isinstance(thresholds, Mapping) else dict.fromkeys(names, thresholds)
    _check(sample, probabilities, given)
    columns = np.stack([np.asarray(probabilities[name], dtype=np.float64) for name in names])
    levels = [float(given[name]) for name in names]
    placements = Placements.of(sample, columns)
    pairs = list(combinations(range(len(names)), 2))
    found = _bootstrap(sample, columns, levels, pairs, n_resamples, seed)
    areas = [placements.difference(i, j) for i, j in pairs]
    right = (columns >= np.array(levels)[:, None]) == (sample.label == 1)
    tests = [
        {"auc": area[1], **_mcnemars(sample, right[i], right[j])} for area, (i, j) in zip(areas, pairs, strict=True)
    ]
    adjusted = {what: holm([test[what].p_value for test in tests]) for what in TESTED}
    return PairedComparison(
        auc={name: placements.estimate(k) for k, name in enumerate(names)},
        metrics={
            name: {metric: found[value_name(metric, k)] for metric in METRIC_NAMES} for k, name in enumerate(names)
        },
        pairs=tuple(
            ModelPair(
                first=names[i],
                second=names[j],
                auc=areas[at][0],
                differences={metric: found[value_name(metric, i, j)] for metric in METRIC_NAMES},
                tests=tests[at],
                adjusted_p={what: float(values[at]) for what, values in adjusted.items()},
            )
            for at, (i, j) in enumerate(pairs)
        ),
        thresholds=dict(zip(names, levels, strict=True)),
        n_resamples=n_resamples,
        seed=seed,
    )


def _check(sample: Sample, probabilities: Mapping[str, NDArray[np.floating]], thresholds: Mapping[str, float]) -> None:
    if len(probabilities) < 2:
        raise TableError("fewer than two models to compare", mend="give probabilities of at least two")
    for name, probability in probabilities.items():
        if len(probability) != len(sample.label):
            what = f"{name!r} has {len(probability)} probabilities for {len(sample.label)} images"
            raise TableError(what, mend="give one an image, in the sample's order")
        if name not in thresholds:
            raise TableError(f"{name!r} has no threshold", mend="give one a model, or one for all")


def _bootstrap(
    sample: Sample,
    columns: Floats,
    thresholds: Sequence[float],
    pairs: Sequence[tuple[int, int]],
    n_resamples: int,
    seed: int,
) -> dict[str, Estimate]:
    """Every metric of each model and of each pair, named by `value_name`, from the same resamples."""
    models = [all_metrics(sample.label, p, t) for p, t in zip(columns, thresholds, strict=True)]
    statistic = side_by_side(models, pairs, METRIC_NAMES)
    reasons = undefined_reasons(sample.label)
    points, draws = resample(statistic, sample, n_resamples=n_resamples, seed=seed)
    return estimates(points, draws, sample, reasons={name: reasons.get(name.split()[0], "no image") for name in points})


def _mcnemars(sample: Sample, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> dict[str, HypothesisTest]:
    """McNemar's tests of who is right, on all images, on the abnormal and on the normal ones."""
    every = np.ones(len(sample.label), dtype=bool)
    parts = {"accuracy": every, "recall": sample.label == 1, "specificity": sample.label == 0}
    return {what: mcnemar(first[part], second[part], sample.part(part)) for what, part in parts.items()}
