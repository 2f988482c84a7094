"""Regions of a result by one rule, and whether they may be shown.

The rule: a region is the box round touching places of a map that reach half of the map's highest value, stretched bilinearly over
the picture; at most three, the highest first. The map is the region head's, whatever the finding, where the artifact has such
a head, else the Grad-CAM map; where the region head says less than `FAINT` everywhere, it found nothing, and there is no region.
Regions are shown by default only where the artifact's stored evaluation says that this map finds
radiologists' boxes better than both fixed maps, which look at no image: the lower bounds of both gains lie above 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cxreader.explanation.judged import judged_maps
from cxreader.explanation.localisation_report import GRAD_CAM, REGION_HEAD
from cxreader.models.artifact import Artifact
from cxreader.records import Box
from cxreader.serving.store.reading.results import ANY, HEAT, REGION, frame, map_values
from cxreader.serving.store.tables.readings import HeatMap

SHARE, MOST, GRID = 0.5, 3, 256
"""Of the highest value; regions a map; cells a side on which they are found."""
FAINT = 0.1
"""Of the region head's maps, which are in [0, 1]."""
CENTRE = 0.08
"""Of the width: what lies nearer to the middle line is on neither side."""
UPRIGHT = "L\\F"
"""The Patient Orientation (PS3.3 C.7.6.1.1.1) of a radiograph as it is usually looked at."""
BESIDE = "padding beside the picture, where no patient is"
_FLAT = 1e-6


@dataclass(frozen=True, slots=True)
class Region:
    """A box in the pixels of the file, by a map of a `model` called `source`; `peak` is the map's highest value there."""

    box: Box
    model: str
    source: str
    peak: float


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether an artifact's regions are shown, and the `reason` in words."""

    shown: bool
    reason: str


def permission(artifact: Artifact, rule: str) -> Permission:
    """`rule`: the setting `results.regions`, which may overrule the artifact's evaluation."""
    source = GRAD_CAM if artifact.region_head is None else REGION_HEAD
    if rule != "judged":
        return Permission(rule == "on", f"regions by {source} are switched {rule} by the settings")
    judged = judged_maps(artifact.evaluation, source)
    if judged is None:
        return Permission(False, f"no regions: how well {source} finds them was not judged against boxes")
    gains = [found["iou"] for found in (judged.gain, judged.gain_by_finding) if "iou" in found]
    named = ", ".join(f"{gain.value:.3f} ({gain.interval})" for gain in gains)
    if judged.gains_over_both():
        return Permission(True, f"regions by {source}: mean IoU exceeds both fixed maps', by {named}")
    why = judged.too_few or f"{source} was not shown to find them better than both fixed maps"
    return Permission(False, f"no regions: {why} ({named})")


def regions(maps: Sequence[HeatMap], pictures: tuple[int, int], stored: tuple[int, int]) -> tuple[Region, ...]:
    """The regions of a result, by the rule. `pictures`: its width and height in square pixels; `stored`: its columns and rows."""
    found = []
    for one in _chosen(maps):
        values = map_values(one)
        if one.kind == REGION and values.max() < FAINT:
            continue
        for box, peak in boxes_of(values, one.fit, pictures):
            scaled = box.scaled(stored[0] / pictures[0], stored[1] / pictures[1])
            found.append(Region(scaled, one.model, REGION_HEAD if one.kind == REGION else GRAD_CAM, peak))
    return tuple(found)


def boxes_of(values: NDArray[np.float32], fit: str, picture: tuple[int, int]) -> list[tuple[Box, float]]:
    """The boxes of one map (h, w) >= 0 on a picture of so many square pixels, and their peaks; none of a flat map."""
    if _is_flat(values):
        return []
    fine = ndimage.zoom(
        values, (GRID / values.shape[0], GRID / values.shape[1]), order=1, grid_mode=True, mode="nearest"
    )
    labels, count = ndimage.label(fine >= SHARE * fine.max(), structure=np.ones((3, 3)))
    peaks = ndimage.maximum(fine, labels, range(1, count + 1))
    slices = ndimage.find_objects(labels)
    order = sorted(range(count), key=lambda n: -peaks[n])[:MOST]
    placed = ((_placed(slices[n], frame(fit, *picture), picture), float(peaks[n])) for n in order)
    return [(box, peak) for box, peak in placed if box is not None]


def strongest(values: NDArray[np.float32], fit: str, picture: tuple[int, int], orientation: str) -> str:
    """Where on a picture of so many square pixels a map (h, w) >= 0 is highest, in words (`place`); empty for a flat map.

    `BESIDE` where that is in what pads the picture to the network's square: a sign of a shortcut, and no place in a patient.
    """
    if _is_flat(values):
        return ""
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    left, top, width, height = frame(fit, *picture)
    x, y = left + (column + 0.5) / values.shape[1] * width, top + (row + 0.5) / values.shape[0] * height
    if not (0 <= x <= picture[0] and 0 <= y <= picture[1]):
        return BESIDE
    found = boxes_of(values, fit, picture)
    return place(found[0][0], picture, orientation) if found else ""


def place(box: Box, picture: tuple[int, int], orientation: str) -> str:
    """The zone in which the middle of a box lies, as `left lower zone`.

    Only where Patient Orientation is UPRIGHT, with the patient's left on the picture's right, are sides the patient's; of another
    one, and where none is known, they are the picture's: `lower right of the picture`.
    """
    x, y = (box.x + box.width / 2) / picture[0], (box.y + box.height / 2) / picture[1]
    side, height = (x > 0.5) - (x < 0.5) if abs(x - 0.5) >= CENTRE else 0, min(2, int(3 * y))
    if orientation == UPRIGHT:
        return f"{('central', 'left', 'right')[side]} {('upper', 'middle', 'lower')[height]} zone"
    return f"{('upper', 'middle', 'lower')[height]} {('centre', 'right', 'left')[side]} of the picture"


def _is_flat(values: NDArray[np.float32]) -> bool:
    high = float(values.max())
    return high <= 0 or high - float(values.min()) <= _FLAT * high


def _chosen(maps: Sequence[HeatMap]) -> list[HeatMap]:
    """Of each model the map that the rule looks at."""
    found: dict[str, HeatMap] = {}
    for one in maps:
        if (one.kind, one.finding) == (REGION, ANY) or (one.kind == HEAT and one.model not in found):
            found[one.model] = one
    return list(found.values())


def _placed(cells: Any, square: tuple[float, float, float, float], picture: tuple[int, int]) -> Box | None:
    """Cells of the grid as a box in the picture, cut where it has no pixels; None beside it."""
    left, top, width, height = square
    rows, columns = cells
    x = np.clip(np.array([columns.start, columns.stop]) / GRID * width + left, 0, picture[0])
    y = np.clip(np.array([rows.start, rows.stop]) / GRID * height + top, 0, picture[1])
    if x[1] - x[0] < 1 or y[1] - y[0] < 1:
        return None
    return Box("region", float(x[0]), float(y[0]), float(x[1] - x[0]), float(y[1] - y[0]))
