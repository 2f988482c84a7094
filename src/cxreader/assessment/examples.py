"""Some of the judged images with their heat maps, chosen by a rule that is stated beside them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxreader.assessment.images import ReadImages
from cxreader.imaging.overlay import overlay
from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.read import size
from cxreader.records import ABNORMAL, LABEL_NAMES, Box, ImageRecord, OperatingPoint, PredictionTable
from cxreader.reporting.evaluation.page import ReadingPanel

SHOWN, BOXED = 8, 4
"""Images chosen by how sure the model was, and besides them images with boxes, where there are any left."""


def choose_examples(table: PredictionTable, point: OperatingPoint, count: int = SHOWN) -> list[int]:
    """Rows of `count` images: of found, missed, false alarms and true negatives in turn, each time the surest that is left.

    The surest: the farthest from the threshold on its side, by the probability; of equals the first in the table. In the order
    of the outcomes, and in each of them the surest first.
    """
    flagged, abnormal = table.probability >= point.threshold, table.label == ABNORMAL
    outcomes = (flagged & abnormal, ~flagged & abnormal, flagged & ~abnormal, ~flagged & ~abnormal)
    height = np.where(flagged, table.probability, -table.probability)
    ranked = [sorted(np.flatnonzero(outcome).tolist(), key=lambda row: -height[row]) for outcome in outcomes]
    turns = sorted((place, n, row) for n, rows in enumerate(ranked) for place, row in enumerate(rows))
    return [row for _, _, row in sorted(turns[:count], key=lambda turn: (turn[1], turn[0]))]


def choose_boxed(
    table: PredictionTable, records: Sequence[ImageRecord], taken: Sequence[int], count: int = BOXED
) -> list[int]:
    """Rows of at most `count` more images, of those with boxes: the highest probabilities that are not `taken`."""
    boxed = {record.image for record in records if record.boxes}
    rows = [row for row, name in enumerate(table.image.tolist()) if name in boxed and row not in taken]
    return sorted(rows, key=lambda row: -table.probability[row])[:count]


def example_panels(
    table: PredictionTable,
    rows: list[int],
    images: ReadImages,
    maps: Mapping[str, Sequence[NDArray[np.float32]]],
    *,
    threshold: float,
    spec: InputSpec,
    regions: Mapping[str, NDArray[np.float32]] | None = None,
) -> list[ReadingPanel]:
    """The panels of these rows, as JPEG of what the network was shown by `spec`; a row without a map is left out.

    The images' own boxes are outlined on the map.

    `maps`: raw heat maps (h, w) by image, one a model; each is drawn on the image, one beside the other, and behind them the
    region map (s, s) where `regions` has one. A panel's title is the
    image's name in the table, and nothing else of it that could name a patient.
    """
    records, places = {record.image: record for record in images.records}, regions or {}
    panels = []
    for row in rows:
        name = str(table.image[row])
        if name not in maps:
            continue
        pixels = images.of([records[name]])[0]
        probability, boxes = float(table.probability[row]), _placed(records[name], spec)
        drawn = [overlay(pixels, own, boxes) for own in maps[name]]
        if name in places:
            drawn.append(overlay(pixels, places[name], boxes, as_it_is=True))
        panels.append(
            ReadingPanel(
                title=name,
                truth=LABEL_NAMES[int(table.label[row])],
                decision=LABEL_NAMES[int(probability >= threshold)],
                probability=probability,
                image=_jpeg(pixels),
                overlay=_jpeg(np.concatenate(drawn, axis=1)),
            )
        )
    return panels


def _placed(record: ImageRecord, spec: InputSpec) -> tuple[Box, ...]:
    """A record's boxes in pixels of the network's square."""
    return spec.place(record.boxes, *size(record.path or record.image)) if record.boxes else ()


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=85)
    return data.getvalue()
