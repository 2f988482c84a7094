"""Baselines that see no disease, only what is confounded with it. A network that does not beat them has learnt no disease."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import DataError, TableError
from cxreader.evaluation.shortcuts.cross_fit import cross_fit, fit_chosen
from cxreader.evaluation.shortcuts.image_features import ImageFeatures, thumbnails
from cxreader.evaluation.shortcuts.metadata import metadata_features
from cxreader.evaluation.shortcuts.records import (
    BORDER,
    HERE,
    IDENTITY,
    IMAGE_STATISTICS,
    METADATA,
    PREVALENCE,
    Learnt,
)
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.evaluation.verdict import THUMBNAIL

Floats = NDArray[np.float64]

SEEN = {
    IMAGE_STATISTICS: "brightness, contrast, percentiles, sharpness, aspect",
    BORDER: "the outer tenth on each side; the central 80 % is blanked",
    THUMBNAIL: "the whole image in 256 grey values",
}
"""The baselines that look at images, and at what of them."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """One baseline on n images: `probability` (n,) of abnormal in [0, 1], and `what` is its input, in words.

    `probability` is None where its input is missing or cannot be learnt from; then `reason` says why. `learnt`: on the judged
    images (`records.HERE`), on the model's training images (`records.ELSEWHERE`), or "" for what learns nothing.
    """

    name: str
    what: str
    probability: Floats | None
    reason: str | None = None
    learnt: Learnt = ""


def confounder_baselines(
    sample: Sample,
    *,
    columns: Mapping[str, NDArray[np.generic]] | None = None,
    images: ImageFeatures | None = None,
    aspect: Floats | None = None,
    seed: int = 0,
) -> tuple[Baseline, ...]:
    """Every baseline on the judged images themselves, cross-fitted by patient; each image is answered by others.

    In the order prevalence, metadata, patient identity, image statistics, border, thumbnail.

    `columns` (n,) by name as in a PredictionTable, of which `metadata.METADATA` are taken; `images` as
    `image_features` gives them, None where no pixels are at hand; `aspect` (n,): width by height of each original,
    counted among the image statistics. What cannot be had has its reason in the place of probabilities.
    Raises TableError for features of another number of images.
    """
    known = metadata_features(columns or {}, len(sample.label))
    fitted = [
        _fitted(
            sample,
            METADATA,
            ", ".join(known.used).replace("_", "-"),
            known.features,
            "the tables tell nothing that varies",
            seed,
        )
    ]
    if images is None:
        fitted += [Baseline(name, what, None, "no pixels at hand", HERE) for name, what in SEEN.items()]
    else:
        statistics = images.statistics if aspect is None else np.column_stack([images.statistics, aspect])
        features = (statistics, images.border, images.thumbnail)
        for (name, what), columns_of in zip(SEEN.items(), features, strict=True):
            fitted.append(_fitted(sample, name, what, columns_of, "the images have no features", seed))
    return (prevalence(sample), fitted[0], patient_identity(sample), *fitted[1:])


def prevalence(sample: Sample) -> Baseline:
    """The share of abnormal images, the same answer for everybody: AUC 0.5 whatever the images."""
    n = len(sample.label)
    if n == 0:
        return Baseline(PREVALENCE, "nothing: the same answer for every image", None, "no image")
    rate = float(np.mean(sample.label))
    return Baseline(PREVALENCE, "nothing: the same answer for every image", np.full(n, rate))


def patient_identity(sample: Sample) -> Baseline:
    """A known patient's rate of abnormal among his other images, shrunk by one image of the overall rate.

    Here the fold goes by image, by design: it tells what it is worth to have met the patient before, that is how far a
    split that leaks patients would flatter a model. (S - y + p) / m for an image of label y among a patient's m, S of
    which are abnormal, at an overall rate of p; p itself for a patient's only image.
    """
    what = "the labels of the same patient's other images"
    if not sample.patients_known:
        return Baseline(IDENTITY, what, None, "no patient is known")
    index = np.unique(sample.groups, return_inverse=True)[1]
    images, abnormal = np.bincount(index), np.bincount(index, weights=sample.label)
    if len(images) == 0 or images.max() < 2:
        return Baseline(IDENTITY, what, None, "no patient has two images")
    return Baseline(IDENTITY, what, (abnormal[index] - sample.label + np.mean(sample.label)) / images[index])


def thumbnail_logistic(
    train_pixels: NDArray[np.uint8],
    train_label: NDArray[np.integer],
    train_groups: NDArray[np.integer],
    test_pixels: NDArray[np.uint8],
) -> Floats:
    """Probability of abnormal (m,) for each test image, from a logistic regression on 16 x 16 thumbnails.

    `train_pixels` (n, S, S) and `test_pixels` (m, S', S') uint8, memory maps welcome (read in small pieces);
    `train_label` (n,) 0 or 1; `train_groups` (n,) numbers the patients. The strength of the ridge penalty is chosen by
    log loss in at most five folds by patient inside the training images; the test images choose nothing.
    Deterministic. Raises TableError for lengths or shapes that do not fit, DataError for a training part of one class.
    """
    n = len(train_pixels)
    if not n == len(train_label) == len(train_groups):
        raise TableError(f"{n} training images, {len(train_label)} labels, {len(train_groups)} groups differ in number")
    label = np.asarray(train_label).astype(np.int64)
    if len(np.unique(label)) < 2:
        raise DataError("the training images have one class: no baseline can be fitted", mend="give both classes")
    train = thumbnails(train_pixels)
    return fit_chosen(train, label, np.asarray(train_groups)).probability(thumbnails(test_pixels))


def _fitted(sample: Sample, name: str, what: str, features: Floats, absent: str, seed: int) -> Baseline:
    if features.shape[1] == 0:
        return Baseline(name, what, None, absent, HERE)
    if len(features) != len(sample.label):
        raise TableError(f"{name}: features of {len(features)} images for {len(sample.label)} labels")
    try:
        return Baseline(name, what, cross_fit(features, sample.label, sample.groups, seed=seed), None, HERE)
    except DataError as error:
        return Baseline(name, what, None, error.what, HERE)
