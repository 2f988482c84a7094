"""Localisation of findings by a model's heat maps: means over boxes with intervals by patient, as frozen records."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Weights, bootstrap
from cxreader.evaluation.subgroups.performance import FEW_PATIENTS
from cxreader.explanation.boxes import BoxTable, Floats
from cxreader.explanation.map_scores import METRIC_TITLES, METRICS, BoxScores, ScoringProtocol, ThresholdRule

ALL = "all"
GRAD_CAM, REGION_HEAD = "Grad-CAM", "Region head"
"""What maps are called: what moved the score, and where findings are."""


@dataclass(frozen=True, eq=False)
class LocalisationByFinding(Plain):
    """The boxes of one finding, or of all (`name` is `ALL`): their number, that of their images and patients, and mean scores.

    `null` is of the fixed map that is the same for every finding, `null_by_finding` of the fixed maps of each finding,
    `gain` and `gain_by_finding` are the model minus each of them, paired. All are by the names of `METRICS`: means over
    boxes, in [0, 1] (gains in [-1, 1]), with intervals from resampling patients while folds and thresholds stay. An
    Estimate counts images, of which all have a box and none is normal. Without a model, `model` and gains are empty; what is
    by finding is empty in reports of earlier versions too. `flat`: the boxes whose map has one value everywhere, which
    count as missed. `patients` is None where no patient is known.
    """

    name: str
    boxes: int
    images: int
    patients: int | None
    null: dict[str, Estimate]
    model: dict[str, Estimate]
    gain: dict[str, Estimate]
    flat: int = 0
    null_by_finding: dict[str, Estimate] = field(default_factory=dict)
    gain_by_finding: dict[str, Estimate] = field(default_factory=dict)

    @property
    def too_few(self) -> str:
        """Empty, or that fewer than `FEW_PATIENTS` patients (images, where none is known) have boxes."""
        who = "images" if self.patients is None else "patients"
        return f"too few {who} to say" if (self.patients or self.images) < FEW_PATIENTS else ""

    def statement(self, metric: str = "iou") -> str:
        """One sentence for people: whether the maps' `metric` exceeds the location priors', by the intervals of the gains."""
        nulls = f"a map that looks at no image reaches {_format_estimate(self.null[metric])}"
        if self.null_by_finding:
            nulls += f", one that is told the finding {_format_estimate(self.null_by_finding[metric])}"
        if not self.model:
            return f"{METRIC_TITLES[metric]}: {nulls}."
        model = f"{METRIC_TITLES[metric]}: the model reaches {_format_estimate(self.model[metric])}"
        gains = [found[metric] for found in (self.gain, self.gain_by_finding) if found]
        named = " and ".join(f"{_format_estimate(gain)}: {self.too_few or _verdict(gain)}" for gain in gains)
        return f"{model}, {nulls}; the {'gains are' if len(gains) > 1 else 'gain is'} {named}."

    def gains_over_both(self, metric: str = "iou") -> bool:
        """Whether the lower bounds of the gains over both fixed maps lie above 0, on enough patients to say so."""
        gains = [found[metric] for found in (self.gain, self.gain_by_finding) if found]
        return not self.too_few and len(gains) == 2 and all(gain.low > 0 for gain in gains)


@dataclass(frozen=True, eq=False)
class LocalisationReport(Plain):
    """Localisation by a model's maps beside that by location priors, which look at no image.

    `maps` says what the model's are called, `by_finding` that each finding of an image had its own, instead of one for the
    image. `groups`: all boxes first, then each finding. `rule` made the masks, on a grid of `grid` x `grid` pixels;
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
    maps: str = GRAD_CAM
    by_finding: bool = False

    @property
    def title(self) -> str:
        """What was judged, in words: `Grad-CAM, whatever the finding` or `Region head, by finding`."""
        return f"{self.maps}, {'by finding' if self.by_finding else 'whatever the finding'}"

    @property
    def slug(self) -> str:
        """The title as the name of a file: `grad_cam`, `region_head`, `region_head_by_finding`."""
        name = f"{self.maps} by finding" if self.by_finding else self.maps
        return re.sub(r"[^a-z0-9]+", "_", name.lower())

    @property
    def all(self) -> LocalisationByFinding:
        """All boxes together."""
        return self.groups[0]

    def statement(self, metric: str = "iou") -> str:
        """`LocalisationByFinding.statement` of all boxes."""
        return self.all.statement(metric)


def _verdict(gain: Estimate) -> str:
    return "more" if gain.low > 0 else "less" if gain.high < 0 else "no difference shown"


def report(
    boxes: BoxTable,
    nulls: tuple[BoxScores, BoxScores],
    model: BoxScores | None,
    protocol: ScoringProtocol,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> LocalisationReport:
    """Mean scores of the boxes, over all and by finding, with intervals.

    `nulls`: of the fixed map of all findings, and of the fixed maps by finding. All scores have a row a box of `boxes`.
    """
    chosen = {ALL: np.ones(len(boxes), bool)} | {
        name: boxes.finding == name for name in np.unique(boxes.finding).tolist()
    }
    parts = _parts(nulls, model)
    flat = np.zeros(len(boxes), bool) if model is None else model.flat
    groups = tuple(
        replace(_by_finding(name, boxes, rows, parts, n_resamples, seed), flat=int(flat[rows].sum()))
        for name, rows in chosen.items()
    )
    return LocalisationReport(
        groups=groups,
        rule=protocol.rule,
        grid=protocol.grid,
        n_folds=min(protocol.n_folds, int(boxes.groups.max()) + 1),
        fold_seeds=protocol.fold_seeds,
        null_shares=nulls[0].shares,
        model_shares=() if model is None else model.shares,
        n_resamples=n_resamples,
        seed=seed,
        notes=_notes(boxes, groups[0], protocol.rule),
    )


def _parts(nulls: tuple[BoxScores, BoxScores], model: BoxScores | None) -> dict[str, Floats]:
    """The scores of each field of `LocalisationByFinding`, (n, 5) of all n boxes."""
    null, by_finding = (found.values for found in nulls)
    found = {"null": null, "null_by_finding": by_finding}
    if model is not None:
        found |= {"model": model.values, "gain": model.values - null, "gain_by_finding": model.values - by_finding}
    return found


def _by_finding(
    name: str, boxes: BoxTable, rows: NDArray[np.bool_], parts: dict[str, Floats], n_resamples: int, seed: int
) -> LocalisationByFinding:
    _, first, image = np.unique(boxes.image[rows], return_index=True, return_inverse=True)
    sample = Sample(np.ones(len(first), np.int64), boxes.groups[rows][first], boxes.patient is not None)
    names = [f"{part} {metric}" for part in parts for metric in METRICS]
    values = np.hstack([scores[rows] for scores in parts.values()])
    found = _means(values, names, image.ravel(), sample, n_resamples, seed)
    means = {part: {metric: found[f"{part} {metric}"] for metric in METRICS} for part in parts}
    return LocalisationByFinding(
        name=name,
        boxes=int(rows.sum()),
        images=len(first),
        patients=sample.n_patients,
        null=means["null"],
        model=means.get("model", {}),
        gain=means.get("gain", {}),
        null_by_finding=means["null_by_finding"],
        gain_by_finding=means.get("gain_by_finding", {}),
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
    found = ["Folds, thresholds and the fixed maps are held as they are when patients are resampled."]
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
