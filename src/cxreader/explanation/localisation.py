"""Localisation: a model's heat maps against radiologists' boxes by pointing game, IoU and energy, beside a location prior.

No torch: raw maps are handed in. A map is stretched bilinearly to a common grid; its threshold is chosen without the
boxes of the patients who are judged; its gain over the prior, a map that looks at no image, has an interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import DataError
from cxreader.evaluation.statistics.intervals import N_RESAMPLES
from cxreader.explanation.boxes import BoxTable, Floats
from cxreader.explanation.localisation_report import LocalisationReport, report
from cxreader.explanation.location_prior import folds, prior_scores
from cxreader.explanation.map_scores import (
    PROTOCOL,
    BoxScores,
    ScoringProtocol,
    is_flat,
    overlaps,
    peak_and_mass,
    score_columns,
)

Maps = Mapping[str, NDArray[np.floating]]


def localise(
    maps: Maps,
    boxes: BoxTable,
    protocol: ScoringProtocol = PROTOCOL,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> LocalisationReport:
    """Scores of raw maps by image, each (h, w) >= 0, at most the grid wide and high, against the boxes: over all and by finding.

    A flat map misses every box. Raises
    DataError for an image without its map and a map that is not finite, >= 0 or small enough; TableError for boxes of
    one patient.
    """
    model = map_scores(maps, boxes, protocol, progress=progress)
    null = prior_scores(boxes, protocol)
    return report(boxes, null, model, protocol, n_resamples=n_resamples, seed=seed)


def map_scores(
    maps: Maps,
    boxes: BoxTable,
    protocol: ScoringProtocol = PROTOCOL,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> BoxScores:
    """Scores of each box by its image's map, at the threshold with the highest mean IoU on the other folds' boxes.

    Arguments and errors as `localise`.
    """
    iou, pointing, energy, flat = _image_scores(maps, boxes, protocol, progress)
    total = np.zeros((len(boxes), 5))
    shares: list[tuple[float, ...]] = []
    for seed in protocol.fold_seeds:
        own, chosen = np.zeros(len(boxes)), []
        for judged in folds(boxes.groups, protocol.n_folds, seed):
            best = int(np.argmax(iou[~judged].mean(axis=0)))
            own[judged] = iou[judged, best]
            chosen.append(float(protocol.rule.shares[best]))
        total += score_columns(own, pointing, energy)
        shares.append(tuple(chosen))
    return BoxScores(total / len(protocol.fold_seeds), tuple(shares), flat)


def _image_scores(
    maps: Maps, boxes: BoxTable, protocol: ScoringProtocol, progress: Callable[[int, int], None] | None
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """Of each of n boxes: IoU (n, k) at each share of the rule, pointing, energy, and whether its image's map is flat."""
    n, rule, grid = len(boxes), protocol.rule, protocol.grid
    rectangles = boxes.rectangles(grid)
    iou, pointing, energy, flat = np.zeros((n, len(rule.shares))), np.zeros(n), np.zeros(n), np.zeros(n, bool)
    for done, image in enumerate(boxes.images, 1):
        rows = np.flatnonzero(boxes.image == image)
        raw = _checked(maps, str(image), grid)
        if is_flat(raw):
            flat[rows] = True
        else:
            heat = stretched(raw, grid)
            iou[rows] = overlaps(rule.levels(heat), len(rule.shares), rectangles[rows])
            pointing[rows], energy[rows] = peak_and_mass(heat, rectangles[rows])
        if progress is not None:
            progress(done, len(boxes.images))
    return iou, pointing, energy, flat


def _checked(maps: Maps, image: str, grid: int) -> NDArray[np.floating]:
    if image not in maps:
        raise DataError(f"image {image} has boxes but no map", mend="give a map of every image with a box")
    raw = np.asarray(maps[image])
    if raw.ndim != 2 or raw.size == 0 or max(raw.shape) > grid:
        mend = f"give one (h, w) map an image, or a finer grid than {grid}"
        raise DataError(f"the map of image {image} has shape {raw.shape}", mend=mend)
    if not (np.isfinite(raw).all() and (raw >= 0).all()):
        raise DataError(
            f"the map of image {image} holds a value that is not finite or below 0", mend="give raw maps >= 0"
        )
    return raw


def stretched(raw: NDArray[np.floating], grid: int) -> Floats:
    """A map (h, w), neither above `grid`, on the grid: bilinear between cell centres, level beyond the outermost ones."""
    down, across = (_weights(side, grid) for side in raw.shape)
    return np.asarray(down @ raw.astype(np.float64) @ across.T)


def _weights(cells: int, grid: int) -> Floats:
    """(grid, cells): each pixel's share of the two nearest cells."""
    at = np.clip((np.arange(grid) + 0.5) * cells / grid - 0.5, 0, cells - 1)
    return np.asarray(np.maximum(1 - np.abs(at[:, None] - np.arange(cells)), 0))
