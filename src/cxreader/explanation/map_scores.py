"""Scores of a heat map against a box: IoU of the map's mask, pointing game, energy. One threshold rule makes all masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.errors import DataError
from cxreader.explanation.boxes import GRID, Floats, Ints, areas

METRICS = ("iou", "iou_25", "iou_50", "pointing", "energy")
METRIC_TITLES = {
    "iou": "Mean IoU",
    "iou_25": "IoU > 0.25",
    "iou_50": "IoU > 0.5",
    "pointing": "Pointing",
    "energy": "Energy in the box",
}
_HITS = (0.25, 0.5)
_SAME = 1e-6
"""Values of a map that differ by less than this share of its maximum are one value."""


@dataclass(frozen=True, slots=True)
class ThresholdRule(Plain):
    """How a map becomes a mask; a pixel of value 0 is never in it.

    `share_of_maximum`: the pixels of at least this share of the map's maximum. `top_area`: the highest pixels that make
    up this share of the grid, and those level with the last of them. `fixed` is the share, in (0, 1]; None has it chosen
    by the mean IoU with other patients' boxes. Raises DataError for a share outside.
    """

    kind: Literal["share_of_maximum", "top_area"] = "share_of_maximum"
    fixed: float | None = None

    def __post_init__(self) -> None:
        if self.fixed is not None and not 0 < self.fixed <= 1:
            raise DataError(f"the share {self.fixed} of a map's threshold is outside 0 to 1", mend="give a share")

    @property
    def shares(self) -> Floats:
        """(k,): the shares to choose from, each giving a mask inside the one before."""
        if self.fixed is not None:
            return np.array([self.fixed])
        return np.asarray(np.arange(1, 50) / 50 if self.kind == "share_of_maximum" else np.arange(60, 0, -1) / 100)

    def levels(self, heat: Floats) -> Ints:
        """Of each pixel of a map >= 0, in how many of the masks it is: in the first so many of `shares`."""
        if self.kind == "share_of_maximum":
            thresholds = self.shares * heat.max()
        else:
            count = np.maximum(np.rint(self.shares * heat.size), 1).astype(np.intp)
            thresholds = np.sort(heat, axis=None)[::-1][count - 1]
        return np.where(heat > 0, np.searchsorted(thresholds, heat, side="right"), 0)


@dataclass(frozen=True, slots=True)
class ScoringProtocol:
    """How maps are scored against boxes, the same for a model and for the location prior, so that they are paired by box.

    `rule` makes the masks, on a square of `grid` pixels; its threshold is chosen in `n_folds` folds by patient, anew for
    each of `fold_seeds`, over which scores are averaged.
    """

    rule: ThresholdRule = ThresholdRule()
    grid: int = GRID
    n_folds: int = 5
    fold_seeds: tuple[int, ...] = (0, 1, 2, 3, 4)


PROTOCOL = ScoringProtocol()


def overlaps(levels: Ints, n_shares: int, rectangles: Ints) -> Floats:
    """IoU (m, k) of each of m boxes with each of a map's k masks, from its `levels`."""

    def within(part: Ints) -> Ints:
        return np.bincount(part.ravel(), minlength=n_shares + 1)[::-1].cumsum()[::-1][1:]

    whole = within(levels)
    shared = np.array([within(levels[y0:y1, x0:x1]) for x0, y0, x1, y1 in rectangles]).reshape(-1, n_shares)
    return np.asarray(shared / (whole + areas(rectangles)[:, None] - shared))


def peak_and_mass(heat: Floats, rectangles: Ints) -> tuple[Floats, Floats]:
    """Of each of m boxes: the share of the map's highest pixels, and the share of its mass, that lie inside; (m,) twice.

    The first is the pointing game (Zhang et al., IJCV 2018, without tolerance): a hit is 1, and pixels tied for the
    highest count as if one were drawn. The second is the energy of Wang et al. (Score-CAM, CVPR workshops 2020).
    """
    peak = heat >= heat.max() * (1 - _SAME)
    inside = [(slice(y0, y1), slice(x0, x1)) for x0, y0, x1, y1 in rectangles]
    pointing = np.array([np.count_nonzero(peak[box]) for box in inside]) / np.count_nonzero(peak)
    return pointing, np.array([heat[box].sum() for box in inside]) / heat.sum()


def is_flat(heat: NDArray[np.floating]) -> bool:
    """Whether a map >= 0 has one value everywhere, and so points nowhere."""
    high = float(heat.max())
    return high <= 0 or high - float(heat.min()) <= _SAME * high


def score_columns(iou: Floats, pointing: Floats, energy: Floats) -> Floats:
    """(n, 5): the columns of `METRICS`, from n boxes' IoU, pointing and energy, each (n,) in [0, 1]."""
    return np.stack([iou, *(iou > hit for hit in _HITS), pointing, energy], axis=1)


@dataclass(frozen=True, eq=False)
class BoxScores:
    """Scores of n boxes: `values` (n, 5) float64 in [0, 1], the columns of `METRICS`, means over the fold seeds.

    `shares` are the threshold's, of each fold (of each finding in it, where each has its own), one row a seed. `flat` (n,)
    bool: the map has one value everywhere, and the box counts as missed.
    """

    values: Floats
    shares: tuple[tuple[float, ...], ...]
    flat: NDArray[np.bool_]
