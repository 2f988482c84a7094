"""What the training images teach somebody who sees no disease: baselines that travel with the artifact."""

from __future__ import annotations

from typing import Any

from cxreader.data.original_sizes import aspects
from cxreader.errors import CxreaderError
from cxreader.evaluation.shortcuts.image_features import image_features
from cxreader.evaluation.shortcuts.learnt_elsewhere import fit_image_baselines
from cxreader.progress import Bar, Say
from cxreader.training.cohort import Cohort


def training_baselines(cohort: Cohort, *, say: Say, bar: Bar) -> list[dict[str, Any]]:
    """Image statistics, border and thumbnail, learnt from the training part, as plain values.

    None, and a line that says why, where they cannot be learnt.
    """
    train = cohort.parts["train"]
    records = [cohort.index.by_image[image] for image in cohort.images["train"]]
    try:
        with bar("baselines of the training images") as progress:
            features = image_features(train.pixels, train.rows, progress=progress)
        fitted = fit_image_baselines(features, aspects(records), cohort.sample("train"))
    except CxreaderError as error:
        say(f"warning: no baseline of the training images: {error}")
        return []
    return [baseline.to_dict() for baseline in fitted]
