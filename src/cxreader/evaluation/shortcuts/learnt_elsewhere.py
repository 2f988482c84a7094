"""Baselines learnt elsewhere: on the images that a network was trained on, to be asked about images that it never met.

They answer what the training images alone could teach of the judged ones, as the network had to. Baselines learnt here, on the
judged images themselves (`baselines.confounder_baselines`), answer how much of the label there is to be had at all without
seeing disease, other hospital or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cxreader.codec import Plain
from cxreader.errors import DataError, TableError
from cxreader.evaluation.shortcuts.baselines import SEEN, Baseline
from cxreader.evaluation.shortcuts.cross_fit import fit_chosen
from cxreader.evaluation.shortcuts.image_features import ImageFeatures
from cxreader.evaluation.shortcuts.metadata import metadata_features
from cxreader.evaluation.shortcuts.records import BORDER, ELSEWHERE, IMAGE_STATISTICS, METADATA
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.evaluation.verdict import THUMBNAIL

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[np.generic]]
PROVENANCE = "baselines"
"""Under which name an artifact's provenance holds them."""
NOT_STORED = (
    "the model, trained by an earlier version, holds no baseline of its training images, and its run is not at hand"
)
NO_TABLES = "the model's training tables are not at hand; judge its run's folder"


@dataclass(frozen=True, slots=True)
class StoredBaseline(Plain):
    """A logistic regression on one image's features, learnt from the training images: `weights` one a feature.

    `images` and `patients` (None where none is known): how many it learnt from.
    """

    name: str
    weights: tuple[float, ...]
    intercept: float
    images: int
    patients: int | None

    def probability(self, features: Floats) -> Floats:
        """Of abnormal (n,), in [0, 1], for features (n, k). Raises TableError for another number of features."""
        if features.ndim != 2 or features.shape[1] != len(self.weights):
            what = f"{self.name}: features {features.shape} for {len(self.weights)} weights"
            raise TableError(what, mend="train the model again")
        return np.asarray(expit(features @ np.array(self.weights) + self.intercept), dtype=np.float64)


def fit_image_baselines(features: ImageFeatures, aspect: Floats, sample: Sample) -> tuple[StoredBaseline, ...]:
    """Image statistics, border and thumbnail of the training images in the order of `sample`; `aspect` (n,) width by height.

    The strength of the ridge penalty is chosen by log loss in at most five folds by patient. Deterministic. Raises DataError for
    one class alone.
    """
    columns = image_columns(features, aspect)
    return tuple(_fitted(name, columns[name], sample) for name in SEEN)


def image_columns(features: ImageFeatures, aspect: Floats) -> dict[str, Floats]:
    """By the baseline's name, what it looks at: (n, k)."""
    statistics = np.column_stack([features.statistics, aspect])
    return {IMAGE_STATISTICS: statistics, BORDER: features.border, THUMBNAIL: features.thumbnail}


def stored_baselines(provenance: Mapping[str, Any]) -> tuple[StoredBaseline, ...]:
    """Those of an artifact's provenance; empty for an artifact that holds none. Raises DataError for damaged ones."""
    try:
        return tuple(map(StoredBaseline.from_dict, provenance.get(PROVENANCE) or ()))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"the baselines of the training images cannot be read ({error!r})"
        raise DataError(what, mend="train the model again") from error


def answers_learnt_elsewhere(stored: Sequence[StoredBaseline], columns: Mapping[str, Floats]) -> tuple[Baseline, ...]:
    """What baselines learnt elsewhere say of the judged images' `columns` (n, k by name), in the order of `SEEN`.

    The reason stands in the place of what is not among `stored`.
    """
    by_name = {one.name: one for one in stored}
    found = []
    for name, what in SEEN.items():
        own = by_name.get(name)
        said = None if own is None else own.probability(columns[name])
        found.append(Baseline(name, what, said, None if own else NOT_STORED, ELSEWHERE))
    return tuple(found)


def metadata_learnt_elsewhere(train: Sample, train_columns: Columns, columns: Columns) -> Baseline:
    """What the tables of the training images teach of the judged ones: the columns that both have, encoded together."""
    shared = {
        name: np.concatenate([train_columns[name], columns[name]]) for name in train_columns.keys() & columns.keys()
    }
    n = len(train.label)
    known = metadata_features(shared, n + len(next(iter(columns.values()), ())))
    what = ", ".join(known.used).replace("_", "-")
    learnt = known.features[:n]
    if not learnt.size or not np.ptp(learnt, axis=0).any():
        return Baseline(METADATA, what, None, "the training tables tell nothing that varies", ELSEWHERE)
    try:
        own = _fitted(METADATA, learnt, train)
    except DataError as error:
        return Baseline(METADATA, what, None, error.what, ELSEWHERE)
    return Baseline(METADATA, what, own.probability(known.features[n:]), None, ELSEWHERE)


def not_learnt(name: str, reason: str) -> Baseline:
    """A baseline that cannot be had from elsewhere, with the reason."""
    return Baseline(name, SEEN.get(name, "what the tables tell"), None, reason, ELSEWHERE)


def _fitted(name: str, features: Floats, sample: Sample) -> StoredBaseline:
    """Its numbers to nine digits, which no rank turns on."""
    label = np.asarray(sample.label).astype(np.int64)
    if len(np.unique(label)) < 2:
        raise DataError("the training images have one class: no baseline can be fitted", mend="give both classes")
    fitted = fit_chosen(features, label, np.asarray(sample.groups))
    weights, intercept = tuple(float(f"{w:.9g}") for w in fitted.weights), float(f"{fitted.intercept:.9g}")
    return StoredBaseline(name, weights, intercept, len(label), sample.n_patients)
