"""Localisation of findings by a model's heat maps: means over boxes with intervals by patient, as frozen records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Weights, bootstrap
from cxreader.explanation.boxes import BoxTable, Floats
from cxreader.explanation.map_scores import METRIC_TITLES, METRICS, BoxScores, ScoringProtocol, ThresholdRule

ALL = "all"


@dataclass(frozen=True, eq=False)
class LocalisationByFinding(Plain):
    """The boxes of one finding, or of all (`name` is `ALL`): their number, that of their images and patients, and mean scores.

    `null`, `model` and `gain` (model minus null, paired) are by the names of `METRICS`: means over boxes, in [0, 1] (the gain
    in [-1, 1]), with intervals from resampling patients while folds and thresholds stay. An Estimate counts images, of which all
    have a box and none is normal. Without a model, `model` and `gain` are empty. `flat`: the boxes whose map has one
    value everywhere, which count as missed. `patients` is None where no patient is known.
    """

    name: str
    boxes: int
    images: int
    patients: int | None
    null: dict[str, Estimate]
    model: dict[str, Estimate]
    gain: dict[str, Estimate]
    flat: int = 0


@dataclass(frozen=True, eq=False)
class LocalisationReport(Plain):
    """Localisation by a model's heat maps beside that by a location prior, the same map for every image.

    `groups`: all boxes first, then each finding. `rule` made the masks, on a grid of `grid` x `grid` pixels;
    `null_shares` and `model_shares` are the thresholds of each of `n_folds` folds by patient, one row a fold seed, as shares in
    (0, 1]. `n_resamples` and `seed`: of the bootstrap. `notes`: sentences for people.
    """

    groups: tuple[LocalisationByFinding, ...]
    rule: ThresholdRule
    grid: int
    n_folds: int
    fold_seeds: tuple[int, ...]
    null_shares: tuple[tuple[float, ...], ...]
    model_shares: tuple[tuple[float, ...], ...]
    n_resamples: int
    seed: int
    notes: tuple[str, ...] = ()

    @property
    def all(self) -> LocalisationByFinding:
        """All boxes together."""
        return self.groups[0]

    def statement(self, metric: str = "iou") -> str:
        """One sentence for people: whether the model's `metric` exceeds the location prior's, by the interval of the gain."""
        null = f"a map that looks at no image reaches {_format_estimate(self.all.null[metric])}"
        if not self.all.model:
            return f"{METRIC_TITLES[metric]}: {null}."
        gain = self.all.gain[metric]
        verdict = "more" if gain.low > 0 else "less" if gain.high < 0 else "no difference shown"
        model, more = _format_estimate(self.all.model[metric]), _format_estimate(gain)
        return f"{METRIC_TITLES[metric]}: the model reaches {model}, {null}; the gain is {more}: {verdict}."


def report(
    boxes: BoxTable,
    null: BoxScores,
    model: BoxScores | None,
    protocol: ScoringProtocol,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> LocalisationReport:
    """Mean scores of the boxes, over all and by finding, with intervals; `null` and `model` have a row a box of `boxes`."""
    chosen = {ALL: np.ones(len(boxes), bool)} | {
        name: boxes.finding == name for name in np.unique(boxes.finding).tolist()
    }
    groups = tuple(_by_finding(name, boxes, rows, null, model, n_resamples, seed) for name, rows in chosen.items())
    return LocalisationReport(
        groups=groups,
        rule=protocol.rule,
        grid=protocol.grid,
        n_folds=len(null.shares[0]),
        fold_seeds=protocol.fold_seeds,
        null_shares=null.shares,
        model_shares=() if model is None else model.shares,
        n_resamples=n_resamples,
        seed=seed,
        notes=_notes(boxes, groups[0], protocol.rule),
    )


def _by_finding(
    name: str,
    boxes: BoxTable,
    rows: NDArray[np.bool_],
    null: BoxScores,
    model: BoxScores | None,
    n_resamples: int,
    seed: int,
) -> LocalisationByFinding:
    parts = {"null": null.values[rows]}
    if model is not None:
        parts |= {"model": model.values[rows], "gain": model.values[rows] - null.values[rows]}
    _, first, image = np.unique(boxes.image[rows], return_index=True, return_inverse=True)
    sample = Sample(np.ones(len(first), np.int64), boxes.groups[rows][first], boxes.patient is not None)
    names = [f"{part} {metric}" for part in parts for metric in METRICS]
    found = _means(np.hstack(list(parts.values())), names, image.ravel(), sample, n_resamples, seed)
    means = {part: {metric: found[f"{part} {metric}"] for metric in METRICS} for part in parts}
    return LocalisationByFinding(
        name=name,
        boxes=int(rows.sum()),
        images=len(first),
        patients=sample.n_patients,
        null=means["null"],
        model=means.get("model", {}),
        gain=means.get("gain", {}),
        flat=0 if model is None else int(model.flat[rows].sum()),
    )


def _means(
    values: Floats, names: Sequence[str], image: NDArray[np.integer], sample: Sample, n_resamples: int, seed: int
) -> dict[str, Estimate]:
    """Means over boxes of the columns (n, c), by name; `image` (n,) numbers the rows of `sample`, which are resampled."""
    counts = np.bincount(image).astype(np.float64)
    sums = np.stack([np.bincount(image, weights=column) for column in values.T], axis=1)

    def statistic(weight: Weights) -> dict[str, Floats]:
        return dict(zip(names, ((weight @ sums) / (weight @ counts)[:, None]).T, strict=True))

    return bootstrap(statistic, sample, n_resamples=n_resamples, seed=seed)


def _notes(boxes: BoxTable, everything: LocalisationByFinding, rule: ThresholdRule) -> tuple[str, ...]:
    found = ["Folds, thresholds and the fixed map are held as they are when patients are resampled."]
    if rule.fixed is None:
        found.append("Each fold's threshold has the highest mean IoU with the boxes of the other folds' patients.")
    if everything.flat:
        share = f"{everything.flat:,} of {everything.boxes:,} boxes"
        found.append(f"The map of {share} is flat (one value everywhere): it points nowhere, and they count as missed.")
    if boxes.patient is None:
        found.append("No patient is known: images are folded and resampled as if each were another patient.")
    return tuple(found)


def _format_estimate(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.interval})"
