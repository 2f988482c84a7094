"""What teaches a region head: images with boxes, and normal images, which teach "nowhere". Others teach nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.data.dataset import CachedImages
from cxreader.data.pixel_cache.cache import PixelCache
from cxreader.data.split import group_of
from cxreader.findings import FINDINGS
from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.read import size
from cxreader.records import NORMAL, ImageRecord
from cxreader.training.cohort import LEARNING_PARTS, Cohort

FINER = 4
"""Boxes are drawn on so many times as many cells a side as the map has, so that they can be turned with their image."""
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Lessons:
    """Images that teach, with what is known of each.

    `findings` of each image's boxes and `edges` (k, 4): left, top, right and bottom as shares of the network's square; of a
    normal image there are none. `records`: of the same images.
    """

    images: CachedImages
    records: tuple[ImageRecord, ...]
    findings: tuple[tuple[str, ...], ...]
    edges: tuple[Floats, ...]

    def __len__(self) -> int:
        return len(self.records)

    def chosen(self, positions: Sequence[int]) -> Lessons:
        """Those at these positions alone."""
        return Lessons(
            self.images.chosen(positions),
            tuple(self.records[at] for at in positions),
            tuple(self.findings[at] for at in positions),
            tuple(self.edges[at] for at in positions),
        )

    @property
    def boxes(self) -> dict[str, int]:
        """How many boxes there are of each finding, in the order of `findings.FINDINGS`, others behind."""
        every = [finding for found in self.findings for finding in found]
        known = [finding.name for finding in FINDINGS]
        names = [*known, *sorted(set(every).difference(known))]
        return {name: every.count(name) for name in names if name in every}

    @property
    def patients(self) -> int | None:
        """Of the images with boxes; None where no patient is known."""
        boxed = [record for record in self.records if record.boxes]
        return len({group_of(r) for r in boxed}) if any(r.patient is not None for r in boxed) else None

    def targets(self, chosen: Sequence[int], findings: Sequence[str], side: int) -> tuple[Floats, Floats]:
        """Masks (n, f + 1, side, side), 1 inside a box, and which of them are known (n, f + 1): 0 or 1.

        The maps are those of `findings`, the last that of any. Known of an image are the findings that it has boxes of, and
        "any" with them; of a normal image all, since there is none of them anywhere.
        """
        masks = np.zeros((len(chosen), len(findings) + 1, side, side), np.float32)
        known = np.zeros((len(chosen), len(findings) + 1), np.float32)
        for row, at in enumerate(chosen):
            known[row] = float(not self.findings[at])
            for finding, box in zip(self.findings[at], self.edges[at], strict=True):
                covered = _coverage(box, side)
                for place in (findings.index(finding), len(findings)) if finding in findings else ():
                    masks[row, place] = np.maximum(masks[row, place], covered)
                    known[row, place] = 1
        return masks, known


def lessons_of(cohort: Cohort, spec: InputSpec, *, normals: bool) -> Lessons:
    """The images of the parts that set a model which have boxes and, with `normals`, the normal ones without.

    Those of tune and calibrate teach too: a region head is not stopped by the one, and has no probability to fit on the other.
    Raises ImageError for a boxed file that is gone.
    """
    names = [*cohort.only_regions, *(image for part in LEARNING_PARTS for image in cohort.images[part])]
    records = [cohort.index.by_image[name] for name in names]
    return lessons_from(records, cohort.cache, spec, normals=normals)


def lessons_from(records: Sequence[ImageRecord], cache: PixelCache, spec: InputSpec, *, normals: bool) -> Lessons:
    """As `lessons_of`, of these images, all of them in the pixel cache."""
    found = [record for record in records if record.boxes or (normals and record.label == NORMAL)]
    labels = np.array([record.label for record in found], np.int64)
    edges = []
    for record in found:
        placed = spec.place(record.boxes, *size(record.path or record.image)) if record.boxes else ()
        corners = [(b.x, b.y, b.x + b.width, b.y + b.height) for b in placed]
        edges.append(np.array(corners, np.float32).reshape(-1, 4) / np.float32(spec.size))
    return Lessons(
        CachedImages(cache.pixels, cache.rows(record.image for record in found), labels),
        tuple(found),
        tuple(tuple(box.finding for box in record.boxes) for record in found),
        tuple(edges),
    )


def _coverage(edges: Floats, side: int) -> Floats:
    """The share of each of side x side cells that a box covers, float32 in [0, 1]."""
    cells = np.arange(side)

    def along(begin: float, end: float) -> Floats:
        covered = np.minimum(end * side, cells + 1) - np.maximum(begin * side, cells)
        return np.asarray(np.clip(covered, 0, 1), np.float32)

    left, top, right, bottom = (float(edge) for edge in edges)
    return np.outer(along(top, bottom), along(left, right)).astype(np.float32)
