"""How much of a number is the labels: the model against the first labels and against a second reading of the images."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.counting import format_count
from cxreader.errors import DataError, TableError
from cxreader.evaluation.prediction_cells import read_label
from cxreader.evaluation.predictions import ALIASES
from cxreader.evaluation.statistics.agreement import agreement_and_kappa
from cxreader.evaluation.statistics.intervals import (
    N_RESAMPLES,
    Estimate,
    Sample,
    Statistic,
    Weights,
    estimates,
    resample,
)
from cxreader.evaluation.statistics.metrics import METRIC_NAMES, all_metrics, undefined_reasons
from cxreader.records import OperatingPoint, PredictionTable
from cxreader.tables import read_table

Floats = NDArray[np.float64]
PAIRS = ("first and second", "model and first", "model and second")
CELLS = ("both abnormal", "only the first", "only the second", "both normal")
N_CONTRADICTED = 24


@dataclass(frozen=True, slots=True)
class Contradiction(Plain):
    """An image whose first `label` (0, 1) the model contradicts, and its `second` label where there is one."""

    image: str
    label: int
    probability: float
    second: int | None = None


@dataclass(frozen=True, eq=False)
class LabelComparison(Plain):
    """The model on the images that were read twice.

    `labels` counts the images by CELLS (who called them abnormal). `agreement` and `kappa` (Cohen) by PAIRS, the model
    deciding at `point`. `first` and `second` hold the metrics of METRIC_NAMES against each reading, `change` the second
    minus the first, paired. `only_first` images have no second label; `unknown` second labels have no image here.
    """

    point: OperatingPoint
    labels: dict[str, int]
    only_first: int
    unknown: int
    agreement: dict[str, Estimate]
    kappa: dict[str, Estimate]
    first: dict[str, Estimate]
    second: dict[str, Estimate]
    change: dict[str, Estimate]


def read_labels(path: str | os.PathLike[str]) -> dict[str, int]:
    """A second reading by image, 0 or 1: a table with the columns `image` and `label` (normal, abnormal, 0 or 1).

    Raises TableError naming file, row and column, also for an image that stands twice.
    """
    table = read_table(path).aliased({"image": ALIASES["image"]})
    table.require("image", "label")
    labels: dict[str, int] = {}
    for row, cells in table:
        image = cells["image"]
        if not image or image in labels:
            what = f"image {image} stands twice" if image else "the image has no name"
            raise TableError(what, where=table.at(row, "image"), mend="keep one row an image")
        labels[image] = read_label(cells["label"], table.at(row, "label"))
    return labels


def compare_labels(
    table: PredictionTable,
    second: Mapping[str, int],
    point: OperatingPoint,
    *,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> LabelComparison:
    """Judge the model against the table's labels and against a second reading (image -> 0 or 1), on the images in both.

    All intervals come from the same resamples of patients. Raises DataError when no image was read twice, TableError
    for a label that is neither 0 nor 1.
    """
    own = np.array([second.get(image, -1) for image in table.image.tolist()], dtype=np.int64)
    twice = own >= 0
    if not set(second.values()) <= {0, 1}:
        raise TableError("a label of the second reading is neither 0 nor 1", mend="write 0 (normal) or 1 (abnormal)")
    if not twice.any():
        mend = "use the image names of the predictions"
        raise DataError(
            f"none of the {format_count(len(second), '[image|images]')} of the second reading is among the predictions",
            mend=mend,
        )
    before = Sample.of(table).part(twice)
    after = replace(before, label=own[twice])
    statistic = _everything(before.label, after.label, table.probability[twice], point.threshold)
    points, draws = resample(statistic, before, n_resamples=n_resamples, seed=seed)
    reasons = _reasons(before.label, after.label, points)
    old, new = (estimates(points, draws, sample, reasons=reasons) for sample in (before, after))
    one, other = before.label == 1, after.label == 1
    counts = (one & other, one & ~other, ~one & other, ~one & ~other)
    return LabelComparison(
        point=point,
        labels={cell: int(np.count_nonzero(images)) for cell, images in zip(CELLS, counts, strict=True)},
        only_first=int(np.count_nonzero(~twice)),
        unknown=len(second) - int(np.count_nonzero(twice)),
        agreement={pair: new[f"agreement {pair}"] for pair in PAIRS},
        kappa={pair: new[f"kappa {pair}"] for pair in PAIRS},
        first={name: old[f"first {name}"] for name in METRIC_NAMES},
        second={name: new[f"second {name}"] for name in METRIC_NAMES},
        change={name: new[f"change {name}"] for name in METRIC_NAMES},
    )


def _everything(
    first: NDArray[np.integer], second: NDArray[np.integer], probability: NDArray[np.floating], threshold: float
) -> Statistic:
    """Metrics against both readings, their change, and how far the three agree, on the same resamples."""
    before, after = all_metrics(first, probability, threshold), all_metrics(second, probability, threshold)
    one, other, model = first == 1, second == 1, probability >= threshold
    pairs = agreement_and_kappa(np.stack([one, model, model]), np.stack([other, one, other]))

    def statistic(weight: Weights) -> dict[str, Floats]:
        old, new = before(weight), after(weight)
        values = {f"first {name}": value for name, value in old.items()}
        values |= {f"second {name}": value for name, value in new.items()}
        values |= {f"change {name}": new[name] - old[name] for name in METRIC_NAMES}
        for what, rates in zip(("agreement", "kappa"), pairs(weight), strict=True):
            values |= {f"{what} {pair}": rate for pair, rate in zip(PAIRS, rates.T, strict=True)}
        return values

    return statistic


def _reasons(first: NDArray[np.integer], second: NDArray[np.integer], points: Mapping[str, Floats]) -> dict[str, str]:
    """Why a number would be undefined on the whole sample; a change by the first reading that leaves it undefined."""
    old, new = undefined_reasons(first), undefined_reasons(second)
    reasons = {f"first {name}": why for name, why in old.items()} | {f"second {name}": why for name, why in new.items()}
    for name in old:
        reading, why = ("first", old) if np.isnan(points[f"first {name}"][0]) else ("second", new)
        reasons[f"change {name}"] = f"against the {reading} labels: {why[name]}"
    return reasons | {f"kappa {pair}": "both call every image the same" for pair in PAIRS}


def contradicted(
    table: PredictionTable,
    point: OperatingPoint,
    *,
    second: Mapping[str, int] | None = None,
    top: int = N_CONTRADICTED,
) -> tuple[Contradiction, ...]:
    """The `top` images whose label the model contradicts most surely, the surest first.

    It decides otherwise at `point`, and its probability is farthest from the label; of equals the first in the table.
    `second` (image -> 0 or 1) adds a second label where there is one.
    """
    label, probability = np.asarray(table.label), np.asarray(table.probability, dtype=np.float64)
    wrong = np.flatnonzero((probability >= point.threshold) != (label == 1))
    surest = wrong[np.argsort(-np.abs(label - probability)[wrong], kind="stable")][: max(0, top)]
    return tuple(
        Contradiction(
            image=str(table.image[k]),
            label=int(label[k]),
            probability=float(probability[k]),
            second=None if second is None else second.get(str(table.image[k])),
        )
        for k in surest.tolist()
    )
