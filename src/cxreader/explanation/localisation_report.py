"""What is said of where a model looked: frozen records with intervals by patient, and how they come from boxes' scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Weights, bootstrap
from cxreader.explanation.boxes import BoxTable, Floats
from cxreader.explanation.map_scores import METRIC_TITLES, METRICS, BoxScores, ThresholdRule

ALL = "all"
_ESTIMATES = ("null", "model", "gain")


@dataclass(frozen=True, eq=False)
class LocalisationByFinding:
    """The boxes of one finding, or of all: `null`, `model` and `gain` (model minus null, paired) by the names of METRICS.

    Means over boxes; their intervals come from resampling patients, with folds and thresholds held fixed. An Estimate
    counts images: all that have a box, so none is normal. `flat` counts the boxes whose map was flat, which are
    misses. Without a model, `model` and `gain` are empty. `patients` is None where no patient is known.
    """

    name: str
    boxes: int
    images: int
    patients: int | None
    null: dict[str, Estimate]
    model: dict[str, Estimate]
    gain: dict[str, Estimate]
    flat: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON."""
        return vars(self) | {part: {k: e.to_dict() for k, e in getattr(self, part).items()} for part in _ESTIMATES}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`, exactly."""
        parts = {part: {k: Estimate.from_dict(e) for k, e in values[part].items()} for part in _ESTIMATES}
        return cls(**{**values, **parts})


@dataclass(frozen=True, eq=False)
class LocalisationReport:
    """Where a model looked, beside a fixed map of where findings usually are.

    `groups`: all boxes first, then each finding. `rule` made the masks, on a grid of `grid` x `grid` pixels;
    `null_shares` and `model_shares` are the thresholds of each of `n_folds` folds by patient, one row a fold seed.
    `notes` are for people.
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
        """One sentence: whether the model is shown to look better than a fixed map does, by the interval of its gain."""
        null = f"a map that looks at no image reaches {_told(self.all.null[metric])}"
        if not self.all.model:
            return f"{METRIC_TITLES[metric]}: {null}."
        gain = self.all.gain[metric]
        verdict = "more" if gain.low > 0 else "less" if gain.high < 0 else "no difference shown"
        model, told = _told(self.all.model[metric]), _told(gain)
        return f"{METRIC_TITLES[metric]}: the model reaches {model}, {null}; the gain is {told}: {verdict}."

    def to_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON; `from_dict` gives the same record back exactly."""
        return vars(self) | {
            "groups": [group.to_dict() for group in self.groups],
            "rule": self.rule.to_dict(),
            "fold_seeds": list(self.fold_seeds),
            "null_shares": [list(row) for row in self.null_shares],
            "model_shares": [list(row) for row in self.model_shares],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`, exactly."""
        rebuilt = {
            "groups": tuple(LocalisationByFinding.from_dict(group) for group in values["groups"]),
            "rule": ThresholdRule.from_dict(values["rule"]),
            "fold_seeds": tuple(values["fold_seeds"]),
            "null_shares": tuple(tuple(row) for row in values["null_shares"]),
            "model_shares": tuple(tuple(row) for row in values["model_shares"]),
            "notes": tuple(values["notes"]),
        }
        return cls(**{**values, **rebuilt})


def report(
    boxes: BoxTable,
    null: BoxScores,
    model: BoxScores | None,
    *,
    rule: ThresholdRule,
    grid: int,
    fold_seeds: Sequence[int],
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> LocalisationReport:
    """The record of what the boxes got, over all and by finding."""
    chosen = {ALL: np.ones(len(boxes), bool)} | {
        name: boxes.finding == name for name in np.unique(boxes.finding).tolist()
    }
    groups = tuple(_located(name, boxes, rows, null, model, n_resamples, seed) for name, rows in chosen.items())
    return LocalisationReport(
        groups=groups,
        rule=rule,
        grid=grid,
        n_folds=len(null.shares[0]),
        fold_seeds=tuple(fold_seeds),
        null_shares=null.shares,
        model_shares=() if model is None else model.shares,
        n_resamples=n_resamples,
        seed=seed,
        notes=_notes(boxes, groups[0], rule),
    )


def _located(
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
    told = {part: {metric: found[f"{part} {metric}"] for metric in METRICS} for part in parts}
    return LocalisationByFinding(
        name=name,
        boxes=int(rows.sum()),
        images=len(first),
        patients=sample.n_patients,
        null=told["null"],
        model=told.get("model", {}),
        gain=told.get("gain", {}),
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


def _told(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.interval})"
