"""What a network is taught of each image where labels are of different worth, or a source could tell the label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cxreader.data.index import Index
from cxreader.data.sources import locate
from cxreader.evaluation.readers.readings import read_readings
from cxreader.records import ABNORMAL, ImageRecord

ClassWeights = Literal["none", "balanced", "by_source"]


def supervision(
    index: Index, records: Sequence[ImageRecord], class_weights: ClassWeights
) -> NDArray[np.float32] | None:
    """(n, 2) float32 of the training images: the probability that each is abnormal, and the weight of its loss.

    None where every label is taken as it is and no source is weighted: the labels then teach alone. The probability is the
    share of the source's `readings` that call the image abnormal, where readers saw it; else the source's `ppv` of an image
    labelled abnormal and 1 - `npv` of one labelled normal. The loss is then the expected cross-entropy over the true labels
    (label smoothing, Szegedy et al., CVPR 2016, by what is known of the source in place of a constant). An image counts as
    much as its source's `weight` says; `balanced_weights` and `source_weights` even the classes out on top of it, and the mean
    is 1. Raises TableError for a table of readings that cannot be read, DataError where it is not there or none of its images is.
    """
    labels = np.array([record.label for record in records], np.int64)
    entries = [index.entry_of(record) for record in records]
    ppv = np.array([entry.get("ppv", 1.0) for entry in entries])
    npv = np.array([entry.get("npv", 1.0) for entry in entries])
    probability = np.where(labels == ABNORMAL, ppv, 1 - npv)
    shares = _shares_of_readers(index, records)
    probability = np.where(np.isnan(shares), probability, shares)
    worth = np.array([float(entry.get("weight", 1.0)) for entry in entries])
    if bool((probability == labels).all()) and class_weights != "by_source" and bool((worth == worth[0]).all()):
        return None
    weights = worth
    if class_weights == "balanced":
        weights = balanced_weights(labels, worth)
    elif class_weights == "by_source":
        weights = source_weights(np.array([record.source or "" for record in records]), labels, worth)
    return np.stack([probability, weights / weights.mean()], axis=1).astype(np.float32)


def _shares_of_readers(index: Index, records: Sequence[ImageRecord]) -> NDArray[np.float64]:
    """(n,): the share of readers who called each image abnormal; NaN where none saw it, or its source names no readings."""
    shares = np.full(len(records), np.nan)
    for place, entry in index.source_of.items():
        if entry.get("readings") is None:
            continue
        own = [n for n, record in enumerate(records) if record.image.startswith(f"{place}/")]
        if not own:
            continue
        table = locate(str(entry["readings"]), beside=Path(str(entry["root"])))
        label = read_readings(table).aligned([records[n].image for n in own]).first
        read = (label >= 0).sum(axis=0)
        abnormal = (label == ABNORMAL).sum(axis=0)
        shares[own] = np.divide(abnormal, read, out=np.full(len(own), np.nan), where=read > 0)
    return shares


def balanced_weights(labels: NDArray[np.int64], worth: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,): w W / (2 W_c) for an image of class c and worth w, W the sum of all, W_c of its class: both classes weigh W / 2."""
    return np.asarray(worth * worth.sum() / (2 * np.bincount(labels, worth, minlength=2))[labels])


def source_weights(
    sources: NDArray[np.str_], labels: NDArray[np.int64], worth: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n,): `balanced_weights` inside each source: in every one both classes weigh the same.

    So the source tells nothing of the label (reweighing: Kamiran and Calders, Knowl. Inf. Syst. 33, 2012, with equal classes),
    and a source keeps its share of the whole. The images of a source with one class alone weigh half their worth: against the
    others no weight can balance them.
    """
    weights = np.zeros(len(labels))
    for source in np.unique(sources):
        own = sources == source
        weights[own] = balanced_weights(labels[own], worth[own])
    return weights
