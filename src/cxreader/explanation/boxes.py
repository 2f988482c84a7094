"""Radiologists' boxes as columns, and as pixels of a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import TableError
from cxreader.records import Box

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
GRID = 256
"""Side of the square grid on which maps and boxes are compared."""


@dataclass(frozen=True, eq=False)
class BoxTable:
    """Boxes in columns of one length n, one row a box.

    `image` and `finding` (n,) str; `edges` (n, 4) float64: left, top, right and bottom as shares of the width and height
    that the image's map covers; `patient` (n,) str, or None when unknown. Raises TableError for no box, columns of
    different lengths, a box without area or outside its image, and an image of two patients.
    """

    image: NDArray[np.str_]
    finding: NDArray[np.str_]
    edges: Floats
    patient: NDArray[np.str_] | None = None

    def __post_init__(self) -> None:
        columns = [self.finding, self.edges, *([] if self.patient is None else [self.patient])]
        if any(len(column) != len(self.image) for column in columns):
            raise TableError("the columns of the boxes differ in length", mend="give one row a box")
        if len(self.image) == 0:
            raise TableError("there is no box", mend="give images with boxes")
        left, top, right, bottom = self.edges.T
        good = (left < right) & (top < bottom) & (right > 0) & (bottom > 0) & (left < 1) & (top < 1)
        if not (good & np.isfinite(self.edges).all(axis=1)).all():
            name = self.image[np.flatnonzero(~(good & np.isfinite(self.edges).all(axis=1)))[0]]
            raise TableError(f"a box of image {name} has no area inside it", mend="correct the box or leave it out")
        if self.patient is not None and len(set(zip(self.image, self.patient, strict=True))) > len(self.images):
            raise TableError("an image has boxes of two patients", mend="give each image one patient")

    @classmethod
    def of(
        cls,
        boxes: Mapping[str, Sequence[Box]],
        frame: tuple[float, float] | Mapping[str, tuple[float, float]],
        patients: Mapping[str, str] | None = None,
    ) -> Self:
        """Boxes by image, in pixels of `frame`: the (width, height) that the map covers, one for all or one an image.

        For a map of a padded square that is the square, and the boxes are those of `InputSpec.place`. `patients` by
        image. Raises TableError as the class does.
        """
        rows = [(image, box) for image, found in boxes.items() for box in found]
        corners = np.array([(b.x, b.y, b.x + b.width, b.y + b.height) for _, b in rows], np.float64).reshape(-1, 4)
        sides = np.array([frame if isinstance(frame, tuple) else frame[image] for image, _ in rows]).reshape(-1, 2)
        return cls(
            np.array([image for image, _ in rows], np.str_),
            np.array([box.finding for _, box in rows], np.str_),
            corners / np.tile(sides, 2),
            None if patients is None else np.array([patients[image] for image, _ in rows], np.str_),
        )

    def rows(self, chosen: NDArray[np.bool_]) -> Self | None:
        """The boxes of some rows (n,) alone; None where they are not of two patients, and so cannot be judged."""
        patient = None if self.patient is None else self.patient[chosen]
        if len(np.unique(self.groups[chosen])) < 2:
            return None
        return type(self)(self.image[chosen], self.finding[chosen], self.edges[chosen], patient)

    def __len__(self) -> int:
        return len(self.image)

    @cached_property
    def images(self) -> NDArray[np.str_]:
        """The images' names, each once, sorted."""
        return np.unique(self.image)

    @cached_property
    def groups(self) -> Ints:
        """(n,) numbers from 0: what is resampled and folded as one, a patient's boxes or, where none is known, an image's."""
        return np.unique(self.image if self.patient is None else self.patient, return_inverse=True)[1].ravel()

    def kinds(self, *, by_finding: bool) -> list[NDArray[np.bool_]]:
        """Which boxes, (n,) bool, are judged as one: those of each finding, in the names' order, or all of them."""
        if not by_finding:
            return [np.ones(len(self), bool)]
        return [self.finding == name for name in np.unique(self.finding)]

    def rectangles(self, grid: int = GRID) -> Ints:
        """(n, 4): left, top and the ends (excluded) of the pixels whose centre a box holds; at least one pixel a box."""
        begin, end = (np.ceil(part * grid - 0.5) for part in (self.edges[:, :2], self.edges[:, 2:]))
        middle = np.floor(self.edges.reshape(-1, 2, 2).mean(axis=1) * grid)
        empty = end <= begin
        begin, end = np.where(empty, middle, begin), np.where(empty, middle + 1, end)
        begin = np.clip(begin, 0, grid - 1)
        return np.hstack([begin, np.clip(end, begin + 1, grid)]).astype(np.intp)


def areas(rectangles: Ints) -> Ints:
    """Pixels (m,) of each rectangle."""
    return (rectangles[:, 2] - rectangles[:, 0]) * (rectangles[:, 3] - rectangles[:, 1])
