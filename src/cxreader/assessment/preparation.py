"""The judged images beside those that a run learnt from: whether they came about in the same way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxreader.assessment.cohort import EvaluationCohort
from cxreader.assessment.images import ReadImages
from cxreader.data.pixel_cache.cache import build_cache
from cxreader.data.salt import hashes, order_key
from cxreader.evaluation.shortcuts.image_features import pieces, thumbnails
from cxreader.evaluation.shortcuts.preparation import Thumbnails, preparation_warning, told_apart
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.models.artifact import Artifact
from cxreader.progress import Bar

MOST = 3000
"""Training images that are looked at, the first by the hash of their names."""


def preparation_warnings(
    artifact: Artifact, cohort: EvaluationCohort, images: ReadImages, small: NDArray[np.float64], bar: Bar, *, seed: int
) -> list[str]:
    """The sentence of `preparation_warning` for the test part of the model's own run; nothing where its training is not at hand.

    `small` (n, 256): thumbnails of `images`. A split by image is left out, since both sides show the same patients.
    """
    split = cohort.split
    if not cohort.own or split is None or cohort.cache is None or split.kind == "image-random":
        return []
    train = [r for r in split.records(cohort.index, "train") if not cohort.index.teaches_places_alone(r)]
    order = order_key(hashes([record.image for record in train]), split.salt)
    chosen = [train[n] for n in np.argsort(order, kind="stable")[:MOST]]
    with bar("training images beside the judged ones") as progress:
        cache = build_cache(chosen, artifact.spec, cohort.cache, progress=progress)
        chosen = [record for record in chosen if record.image in cache]
        rows = cache.rows(record.image for record in chosen)
        learnt = np.concatenate([np.empty((0, 256)), *(thumbnails(piece) for piece in pieces(cache.pixels, rows))])
        found = told_apart(
            Thumbnails(learnt, Sample.of_records(chosen)),
            Thumbnails(small, Sample.of_records(images.records)),
            seed=seed,
        )
    said = preparation_warning(found)
    return [] if said is None else [said]
