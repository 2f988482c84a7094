"""Localisation: a model's maps against radiologists' boxes by pointing game, IoU and energy, beside two location priors.

No torch: raw maps are handed in, one an image whatever the finding, or one for each finding of an image. A map is
stretched bilinearly to a common grid; its threshold is chosen without the boxes of the patients who are judged; its gain
over each prior, maps that look at no image, has an interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import DataError
from cxreader.evaluation.statistics.intervals import N_RESAMPLES
from cxreader.explanation.boxes import BoxTable, Floats
from cxreader.explanation.localisation_report import GRAD_CAM, LocalisationReport, report
from cxreader.explanation.location_prior import folds, others, prior_scores
from cxreader.explanation.map_scores import (
    METRICS,
    PROTOCOL,
    BoxScores,
    ScoringProtocol,
    is_flat,
    overlaps,
    peak_and_mass,
    score_columns,
)

Maps = Mapping[str, NDArray[np.floating]] | Mapping[tuple[str, str], NDArray[np.floating]]
"""Raw maps (h, w) by image, or by image and finding."""
Key = str | tuple[str, str]


def localise(
    maps: Maps,
    boxes: BoxTable,
    protocol: ScoringProtocol = PROTOCOL,
    *,
    name: str = GRAD_CAM,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> LocalisationReport:
    """Scores of raw maps, each (h, w) >= 0, at most the grid wide and high, against the boxes: over all and by finding.

    Maps by image are judged whatever the finding; of maps by (image, finding) a box is judged by that of its finding, at
    that finding's threshold. Both stand beside both priors. `name`: what the maps are called. A flat map misses every box.
    Raises DataError for a box without its map and a map that is not finite, >= 0 or small enough; TableError for boxes of
    one patient.
    """
    model = map_scores(maps, boxes, protocol, progress=progress)
    nulls = prior_scores(boxes, protocol), prior_scores(boxes, protocol, by_finding=True)
    found = report(boxes, nulls, model, protocol, n_resamples=n_resamples, seed=seed)
    return replace(found, maps=name, by_finding=_are_by_finding(maps))


def map_scores(
    maps: Maps,
    boxes: BoxTable,
    protocol: ScoringProtocol = PROTOCOL,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> BoxScores:
    """Scores of each box by its map, at the threshold with the highest mean IoU on the other folds' boxes.

    Of maps by (image, finding) those boxes are the ones of the same finding, if there are any. Arguments and errors as
    `localise`.
    """
    iou, pointing, energy, flat = _scores_at_each_share(maps, boxes, protocol, progress)
    total, kinds = np.zeros((len(boxes), len(METRICS))), boxes.kinds(by_finding=_are_by_finding(maps))
    shares: list[tuple[float, ...]] = []
    for seed in protocol.fold_seeds:
        own, chosen = np.zeros(len(boxes)), []
        for judged, kind in product(folds(boxes.groups, protocol.n_folds, seed), kinds):
            best = int(np.argmax(iou[others(judged, kind)].mean(axis=0)))
            own[judged & kind] = iou[judged & kind, best]
            chosen.append(float(protocol.rule.shares[best]))
        total += score_columns(own, pointing, energy)
        shares.append(tuple(chosen))
    return BoxScores(total / len(protocol.fold_seeds), tuple(shares), flat)


def _are_by_finding(maps: Maps) -> bool:
    return any(isinstance(key, tuple) for key in maps)


def _scores_at_each_share(
    maps: Maps, boxes: BoxTable, protocol: ScoringProtocol, progress: Callable[[int, int], None] | None
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """Of each of n boxes: IoU (n, k) at each share of the rule, pointing, energy, and whether its map is flat."""
    n, rule, grid = len(boxes), protocol.rule, protocol.grid
    rectangles = boxes.rectangles(grid)
    iou, pointing, energy, flat = np.zeros((n, len(rule.shares))), np.zeros(n), np.zeros(n), np.zeros(n, bool)
    rows_of = _rows_by_map(boxes, by_finding=_are_by_finding(maps))
    for done, (key, rows) in enumerate(rows_of.items(), 1):
        raw = _checked(maps, key, grid)
        if is_flat(raw):
            flat[rows] = True
        else:
            heat = stretched(raw, grid)
            iou[rows] = overlaps(rule.levels(heat), len(rule.shares), rectangles[rows])
            pointing[rows], energy[rows] = peak_and_mass(heat, rectangles[rows])
        if progress is not None:
            progress(done, len(rows_of))
    return iou, pointing, energy, flat


def _rows_by_map(boxes: BoxTable, *, by_finding: bool) -> dict[Key, list[int]]:
    """The rows that each map judges, by the map's key."""
    found: dict[Key, list[int]] = {}
    for row, (image, finding) in enumerate(zip(boxes.image.tolist(), boxes.finding.tolist(), strict=True)):
        found.setdefault((image, finding) if by_finding else image, []).append(row)
    return found


def _checked(maps: Maps, key: Key, grid: int) -> NDArray[np.floating]:
    named = f"image {key}" if isinstance(key, str) else f"{key[1]} in image {key[0]}"
    found: Mapping[Any, NDArray[np.floating]] = maps
    if key not in found:
        raise DataError(f"{named} has boxes but no map", mend="give a map of everything that has a box")
    raw = np.asarray(found[key])
    if raw.ndim != 2 or raw.size == 0 or max(raw.shape) > grid:
        mend = f"give (h, w) maps, or a finer grid than {grid}"
        raise DataError(f"the map of {named} has shape {raw.shape}", mend=mend)
    if not (np.isfinite(raw).all() and (raw >= 0).all()):
        raise DataError(f"the map of {named} holds a value that is not finite or below 0", mend="give raw maps >= 0")
    return raw


def stretched(raw: NDArray[np.floating], grid: int) -> Floats:
    """A map (h, w), neither above `grid`, on the grid: bilinear between cell centres, level beyond the outermost ones."""
    down, across = (_weights(side, grid) for side in raw.shape)
    return np.asarray(down @ raw.astype(np.float64) @ across.T)


def _weights(cells: int, grid: int) -> Floats:
    """(grid, cells): each pixel's share of the two nearest cells."""
    at = np.clip((np.arange(grid) + 0.5) * cells / grid - 0.5, 0, cells - 1)
    return np.asarray(np.maximum(1 - np.abs(at[:, None] - np.arange(cells)), 0))
