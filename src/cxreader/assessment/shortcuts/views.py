"""Images as the model sees them: what they show without a lung, and what the model says of parts of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxreader.assessment.images import ReadImages
from cxreader.assessment.pictures import Pictures
from cxreader.data.pixel_cache.cache import build_cache
from cxreader.evaluation.shortcuts.audit import MODEL_BORDER, MODEL_CENTRE
from cxreader.evaluation.shortcuts.image_features import ImageFeatures, blanked, image_features, pieces
from cxreader.inference.reader import Reader
from cxreader.models.artifact import Artifact
from cxreader.progress import Bar
from cxreader.records import ImageRecord

Floats = NDArray[np.float64]


Rows = tuple[NDArray[np.uint8], NDArray[np.int64], tuple[ImageRecord, ...]]
"""Pixels (N, S, S) as the model sees them, the rows (m,) of the records that could be read, and these records."""


def features_of(pixels: NDArray[np.uint8], rows: NDArray[np.int64], bar: Bar) -> ImageFeatures:
    """Features of images (N, S, S) in the order of `rows` (n,), with a bar."""
    with bar("looking at borders and thumbnails") as progress:
        return image_features(pixels, rows, progress=progress)


def decoded(
    records: Sequence[ImageRecord], artifact: Artifact, folder: str | Path, pictures: Pictures, bar: Bar
) -> Rows:
    """Records that can be read and that `pictures` lets be judged, decoded into a pixel cache there. Raises StorageError."""
    with bar("decoding") as progress:
        cache = build_cache(records, artifact.spec, folder, progress=progress)
    readable = tuple(
        record
        for record in records
        if record.image in cache and pictures.judges(record, cache.digests(record.image, record.path))
    )
    return cache.pixels, cache.rows(record.image for record in readable), readable


def read_before(images: ReadImages) -> Rows:
    """Images that were read for another part of the same evaluation."""
    return images.pixels, np.arange(len(images.records)), images.records


def answers_before(images: ReadImages) -> Floats | None:
    """What the model said (n,) of the whole images when they were read; None where one has neither probability nor score."""
    found = [reading.value for reading in images.readings if reading.acceptance is not None]
    return None if None in found else np.array(found, np.float64)


def asked_of_views(
    reader: Reader, pixels: NDArray[np.uint8], rows: NDArray[np.int64], bar: Bar, told: Floats | None
) -> tuple[Floats, dict[str, Floats]]:
    """What the model says (n,) of the whole images (`told`, where that is known), of their borders and of their centres alone.

    What is blanked becomes the grey that `normalise` takes to zero, the middle of the training images: the same for every
    image, so that it can tell nothing, and nearer to a chest than black, whose edge would be the strongest in the image.
    """
    grey = round(255 * float(np.mean(reader.members[0].artifact.spec.mean)))
    whole, border, centre = [np.empty(0)], [np.empty(0)], [np.empty(0)]
    done = 0
    with bar("reading: border, centre" if told is not None else "reading: whole, border, centre") as progress:
        for piece in pieces(pixels, rows, 64):
            if told is None:
                whole.append(reader.probabilities(piece))
            border.append(reader.probabilities(blanked(piece, "border", grey)))
            centre.append(reader.probabilities(blanked(piece, "centre", grey)))
            done += len(piece)
            if progress is not None:
                progress(done, len(rows))
    views = {MODEL_BORDER: np.concatenate(border), MODEL_CENTRE: np.concatenate(centre)}
    return np.concatenate(whole) if told is None else told, views
