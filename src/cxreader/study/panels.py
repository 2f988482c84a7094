"""Panels of the study's page: the same test images through several networks, with decisions and heat maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxreader.imaging.overlay import overlay
from cxreader.imaging.read import read
from cxreader.inference.reader import Reader
from cxreader.records import LABEL_NAMES, ImageRecord, PredictionTable
from cxreader.reporting.study.records import Look, StudyPanel
from cxreader.study.study import StudyRun
from cxreader.training.cohort import Cohort

GROUPS = {"all right": 3, "wrong": 2, "networks disagree": 2}
"""Images of each group."""
SIDE = 224


def read_panels(
    runs: Sequence[StudyRun], tables: Sequence[PredictionTable], cohort: Cohort
) -> dict[str, tuple[StudyPanel, ...]]:
    """A few test images by group of `GROUPS`: all networks right, fewer than half of them right, some right and some wrong.

    `runs`: one training of each network that learned, since the others are neither right nor wrong; `tables`: its predictions
    on the test part, all with the images in one order. An image is called abnormal when its probability is at least one half.
    Without a network there is no group.
    """
    if not runs:
        return {}
    decided = np.stack([table.probability >= 0.5 for table in tables])
    right = (decided == (np.asarray(tables[0].label) == 1)[None]).sum(axis=0)
    images, readers = tables[0].image.tolist(), [Reader.load(run.folder.path).with_maps() for run in runs]
    records = [cohort.index.by_image[image] for image in images]
    return {
        group: tuple(_panel(records[n], [(r, reader) for r, reader in zip(runs, readers, strict=True)]) for n in chosen)
        for group, chosen in _chosen(right, len(runs), records).items()
    }


def _chosen(right: NDArray[np.integer], networks: int, records: Sequence[ImageRecord]) -> dict[str, list[int]]:
    """Positions by group; images with true boxes first, then abnormal ones and normal ones in turn, in the table's order."""
    order = {
        "all right": [n for n in range(len(records)) if right[n] == networks],
        # The fewer are right, the more there is to learn from the picture.
        "wrong": sorted((n for n in range(len(records)) if right[n] <= (networks - 1) // 2), key=lambda n: right[n]),
        "networks disagree": sorted(
            (n for n in range(len(records)) if 0 < right[n] < networks), key=lambda n: abs(2 * right[n] - networks)
        ),
    }
    taken: set[int] = set()
    found: dict[str, list[int]] = {}
    for group, count in GROUPS.items():
        free = [n for n in order[group] if n not in taken]
        found[group] = _mixed(free, count, records)
        taken |= set(found[group])
    return found


def _mixed(positions: Sequence[int], count: int, records: Sequence[ImageRecord]) -> list[int]:
    """Abnormal and normal ones in turn, so that no group shows one class alone where it has both."""
    abnormal = sorted((n for n in positions if records[n].label == 1), key=lambda n: not records[n].boxes)
    kinds = [abnormal, [n for n in positions if records[n].label == 0]]
    chosen: list[int] = []
    while len(chosen) < count and any(kinds):
        for kind in kinds:
            if kind and len(chosen) < count:
                chosen.append(kind.pop(0))
    return chosen


def _panel(record: ImageRecord, networks: Sequence[tuple[StudyRun, Reader]]) -> StudyPanel:
    image = read(record.path or record.image)
    looks = []
    for run, reader in networks:
        reading = reader.read(image)
        probability = float(reading.value or 0.0)
        drawn = overlay(image.pixels, reading.heat_map, record.boxes, spec=reader.artifact.spec)
        looks.append(Look(run.row.name, probability, LABEL_NAMES[int(probability >= 0.5)], _small(drawn)))
    return StudyPanel(
        title=record.image,
        truth=LABEL_NAMES[record.label],
        image=_small(overlay(image.pixels)),
        looks=tuple(looks),
        findings=", ".join(dict.fromkeys(record.findings)) or record.subtype or "",
    )


def _small(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture (H, W, 3), reduced so that no side is longer than `SIDE`; smaller ones stay."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.asarray(picture)
