"""How well each reader's ratings tell the abnormal images from the normal ones: his AUC, under every modality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cxreader.codec import Plain
from cxreader.evaluation.readers.readings import Readings
from cxreader.evaluation.readers.truths import Truths
from cxreader.evaluation.statistics.delong import auc_delong
from cxreader.evaluation.statistics.exact import bounded_auc
from cxreader.evaluation.statistics.intervals import Estimate, Sample


@dataclass(frozen=True, eq=False)
class ReaderRatings(Plain):
    """The `auc` of one reader's ratings under one `modality`, "" where the table names none, on the images that he rated."""

    reader: str
    modality: str
    auc: Estimate


def judge_ratings(readings: Readings, truths: Truths, sample: Sample) -> tuple[ReaderRatings, ...]:
    """Every reader under every modality in which anybody rated, each by his own truth; DeLong's intervals by patient.

    `sample`: the images of `readings` and their patients. NaN with its reason for a reader who rated no image of a class.
    """
    found = []
    for m, modality in enumerate(readings.modality):
        if np.isnan(readings.score[m]).all():
            continue
        for r, reader in enumerate(readings.reader):
            score, truth = readings.score[m, r], truths.each[r]
            rated = ~np.isnan(score) & (truth >= 0)
            own = Sample(truth[rated].astype(np.int64), sample.groups[rated], sample.patients_known)
            found.append(ReaderRatings(reader, modality, bounded_auc(auc_delong(own, score[rated]), own)))
    return tuple(found)
