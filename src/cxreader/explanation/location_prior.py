"""The location priors, the nulls of every localisation: where findings usually are, whatever the image shows.

The map is the mean of other patients' box masks, the same for every image of a fold: of all boxes, or, for who is told
which finding to look for, of the boxes of that finding. It becomes a mask as a model's map does. A model that does not
exceed the first has not been shown to localise anything; one that exceeds the first alone may have learnt where findings
of each kind usually are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxreader.data.layouts.sets.nih import BOX_FRAME, read_boxes
from cxreader.data.layouts.sets.nih_by_finding import patient_of
from cxreader.data.sources import open_source
from cxreader.data.split import group_of
from cxreader.errors import TableError
from cxreader.evaluation.statistics.intervals import N_RESAMPLES
from cxreader.explanation.boxes import BoxTable, Floats, Ints
from cxreader.explanation.localisation_report import LocalisationReport, report
from cxreader.explanation.map_scores import (
    METRICS,
    PROTOCOL,
    BoxScores,
    ScoringProtocol,
    overlaps,
    peak_and_mass,
    score_columns,
)
from cxreader.imaging.read import size
from cxreader.tables import read_table


def location_prior(
    place: Path,
    *,
    n_resamples: int = N_RESAMPLES,
    progress: Callable[[int, int], None] | None = None,
) -> LocalisationReport:
    """Scores of the location priors on boxes alone, without a model.

    `place`: a `BBox_List_2017.csv`, which needs no image and tells patients by the file names; or a labelled source with boxes,
    as `data.sources.open_source` opens it. Raises TableError for a list that cannot be read, a file name without its
    patient, a box outside the 1024 frame, no box, and boxes of one patient; and as `open_source`.
    """
    listed = place.suffix.lower() != ".json" and not place.is_dir() and "label" not in read_table(place)
    try:
        boxes = _of_list(place) if listed else _of_source(place)
        nulls = prior_scores(boxes, progress=progress), prior_scores(boxes, by_finding=True)
    except TableError as error:
        raise TableError(error.what, where=error.where or place, mend=error.mend) from None
    return report(boxes, nulls, None, PROTOCOL, n_resamples=n_resamples)


def _of_list(path: Path) -> BoxTable:
    found = read_boxes(path)
    return BoxTable.of(found, (BOX_FRAME, BOX_FRAME), {image: patient_of(image) for image in found})


def _of_source(place: Path) -> BoxTable:
    records = [record for record in open_source(place).records if record.boxes and record.path is not None]
    sides = {record.image: size(record.path or "") for record in records}
    boxes = {record.image: record.boxes for record in records}
    return BoxTable.of(boxes, sides, {record.image: group_of(record) for record in records})


def prior_scores(
    boxes: BoxTable,
    protocol: ScoringProtocol = PROTOCOL,
    *,
    by_finding: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> BoxScores:
    """Scores of each box by the mean of the masks of the other folds' boxes: of all findings together, or of its own.

    The threshold has the highest mean IoU on the boxes that made the map. `by_finding`: each finding has its map and its
    threshold; a finding that no other fold has is judged by the map of all. Raises TableError for boxes of one patient.
    """
    fold_seeds, rectangles = protocol.fold_seeds, boxes.rectangles(protocol.grid)
    total = np.zeros((len(boxes), len(METRICS)))
    shares: list[tuple[float, ...]] = []
    for n, seed in enumerate(fold_seeds):
        chosen = []
        for fold, judged in enumerate(folds(boxes.groups, protocol.n_folds, seed)):
            for kind in boxes.kinds(by_finding=by_finding):
                own = judged & kind
                scores, share = _by_mean_mask(rectangles, own, others(judged, kind), protocol)
                total[own] += scores
                chosen.append(share)
            if progress is not None:
                progress(n * protocol.n_folds + fold + 1, len(fold_seeds) * protocol.n_folds)
        shares.append(tuple(chosen))
    return BoxScores(total / len(fold_seeds), tuple(shares), np.zeros(len(boxes), bool))


def _by_mean_mask(
    rectangles: Ints, judged: NDArray[np.bool_], made: NDArray[np.bool_], protocol: ScoringProtocol
) -> tuple[Floats, float]:
    """Scores (m, 5) of the m boxes `judged` by the mean mask of those that `made` it, and the share of its threshold."""
    rule, heat = protocol.rule, mask_counts(rectangles[made], protocol.grid)
    iou = overlaps(rule.levels(heat), len(rule.shares), rectangles)
    best = int(np.argmax(iou[made].mean(axis=0)))
    return score_columns(iou[judged, best], *peak_and_mass(heat, rectangles[judged])), float(rule.shares[best])


def others(judged: NDArray[np.bool_], kind: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The boxes of a kind that are not judged, (n,) bool; where there is none, all that are not judged."""
    found = ~judged & kind
    return found if found.any() else ~judged


def folds(groups: Ints, n_folds: int, seed: int) -> list[NDArray[np.bool_]]:
    """Which of n boxes each fold judges, (n,) bool: whole patients, dealt at random, as evenly as they go.

    There are as many folds as patients when these are fewer. Raises TableError for one patient.
    """
    n_groups = int(groups.max()) + 1
    if n_groups < 2:
        raise TableError("the boxes are of one patient", mend="a fixed map is made of other patients' boxes: give some")
    dealt = np.random.default_rng(seed).permutation(n_groups) % min(n_folds, n_groups)
    return [dealt[groups] == fold for fold in range(min(n_folds, n_groups))]


def mask_counts(rectangles: Ints, grid: int) -> Floats:
    """(grid, grid): how many boxes hold each pixel; their mean mask, but for a factor, and exact where pixels tie."""
    steps = np.zeros((grid + 1, grid + 1))
    x0, y0, x1, y1 = rectangles.T
    for rows, columns, sign in ((y0, x0, 1), (y1, x1, 1), (y0, x1, -1), (y1, x0, -1)):
        np.add.at(steps, (rows, columns), sign)
    return steps.cumsum(axis=0).cumsum(axis=1)[:grid, :grid]
