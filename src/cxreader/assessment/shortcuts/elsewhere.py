"""Baselines that were learnt on the training images, asked about the judged ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cxreader.assessment.cohort import EvaluationCohort
from cxreader.assessment.shortcuts.tables import metadata, sources
from cxreader.assessment.shortcuts.views import features_of
from cxreader.data.original_sizes import aspects
from cxreader.data.pixel_cache.cache import build_cache
from cxreader.evaluation.shortcuts.baselines import SEEN, Baseline
from cxreader.evaluation.shortcuts.learnt_elsewhere import (
    NO_TABLES,
    StoredBaseline,
    answers_learnt_elsewhere,
    fit_image_baselines,
    metadata_learnt_elsewhere,
    not_learnt,
    stored_baselines,
)
from cxreader.evaluation.shortcuts.records import METADATA
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.inference.reader import Reader
from cxreader.models.artifact import Artifact
from cxreader.progress import Bar
from cxreader.records import ImageRecord

Floats = NDArray[np.float64]
SEVERAL = "the models were trained on different images"


def baselines_of_training(artifact: Artifact, cohort: EvaluationCohort, bar: Bar) -> tuple[StoredBaseline, ...]:
    """What the training images teach without disease: as the artifact keeps it, else fitted on the run's pixel cache.

    Empty for an artifact of an earlier version whose run is not at hand.
    """
    stored = stored_baselines(artifact.provenance)
    if stored or not cohort.own or cohort.split is None or cohort.cache is None:
        return stored
    train = cohort.split.records(cohort.index, "train")
    with bar("training images") as progress:
        cache = build_cache(train, artifact.spec, cohort.cache, progress=progress)
    cache = cache.without_copies(record.image for record in train)
    train = tuple(record for record in train if record.image in cache)
    features = features_of(cache.pixels, cache.rows(record.image for record in train), bar)
    return fit_image_baselines(features, aspects(train), Sample.of_records(train))


def learnt_elsewhere(
    stored: Sequence[StoredBaseline],
    columns: Mapping[str, Floats],
    cohort: EvaluationCohort,
    records: Sequence[ImageRecord],
) -> tuple[Baseline, ...]:
    """What baselines of the training images say of `records`, whose image `columns` (n, k) stand by name; metadata come first.

    Metadata need the tables of the training images: those of the model's own run.
    """
    if not cohort.own or cohort.split is None:
        return not_learnt(METADATA, NO_TABLES), *answers_learnt_elsewhere(stored, columns)
    train = cohort.split.records(cohort.index, "train")
    told = metadata_learnt_elsewhere(
        Sample.of_records(train),
        metadata(train, sources(cohort.index, train)),
        metadata(records, sources(cohort.index, records)),
    )
    return told, *answers_learnt_elsewhere(stored, columns)


def shared_baselines(reader: Reader) -> tuple[StoredBaseline, ...] | None:
    """What the training images of all the models teach without disease, where they are the same images; else None."""
    kept = {stored_baselines(member.artifact.provenance) for member in reader.members}
    return kept.pop() if len(kept) == 1 else None


def learnt_by_all(
    reader: Reader, columns: Mapping[str, Floats], cohort: EvaluationCohort, records: Sequence[ImageRecord]
) -> tuple[Baseline, ...]:
    """As `learnt_elsewhere`, of several models: nothing where they were trained on different images."""
    stored = shared_baselines(reader)
    if stored is None:
        return tuple(not_learnt(name, SEVERAL) for name in (METADATA, *SEEN))
    return learnt_elsewhere(stored, columns, cohort, records)
