"""The fixed map: by hand on a tiny grid, and the known numbers of the release's 984 boxes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cxreader.data.layouts.table import open_table
from cxreader.errors import TableError
from cxreader.explanation.boxes import BoxTable
from cxreader.explanation.localisation_report import LocalisationReport
from cxreader.explanation.location_prior import folds, location_prior, mask_counts, prior_scores
from cxreader.explanation.map_scores import METRICS, ScoringProtocol
from cxreader.records import Box

HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"


def _list(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows, ""]))
    return path


def test_each_fold_holds_whole_patients_and_all_are_judged_once() -> None:
    groups = np.repeat(np.arange(11), 3)
    dealt = folds(groups, 5, seed=2)
    np.testing.assert_array_equal(np.sum(dealt, axis=0), 1)
    assert sorted(len(np.unique(groups[fold])) for fold in dealt) == [2, 2, 2, 2, 3]
    for fold in dealt:
        assert not set(groups[fold]) & set(groups[~fold])
    assert not np.array_equal(dealt[0], folds(groups, 5, seed=3)[0])
    assert len(folds(np.array([0, 1, 1]), 5, seed=0)) == 2


def test_counts_are_the_sum_of_the_masks() -> None:
    rng = np.random.default_rng(0)
    begin = rng.integers(0, 9, (30, 2))
    rectangles = np.hstack([begin, begin + rng.integers(1, 4, (30, 2))])
    expected = np.zeros((12, 12))
    for x0, y0, x1, y1 in rectangles:
        expected[y0:y1, x0:x1] += 1
    np.testing.assert_array_equal(mask_counts(rectangles, 12), expected)


def test_by_hand_on_four_by_four_pixels() -> None:
    """Four patients, each judged by the other three: A, B and D mark the upper left quarter, C the left half.

    Without A (or B, or D) the counts are 3 above and 1 below: a mask of the upper quarter has IoU 1, 1, 0.5 with the three,
    the left half 0.5, 0.5, 1; so the quarter, and A gets 1. Without C the counts are 3 above alone, and C gets 0.5.
    """
    quarter, half = Box("Mass", 0, 0, 2, 2), Box("Nodule", 0, 0, 2, 4)
    boxes = BoxTable.of(
        {"a": [quarter], "b": [quarter], "c": [half], "d": [quarter]}, (4, 4), dict(zip("abcd", "abcd", strict=True))
    )
    scores = prior_scores(boxes, ScoringProtocol(grid=4, n_folds=4, fold_seeds=(0, 1, 2)))
    iou, over_25, over_50, pointing, energy = scores.values.T
    np.testing.assert_allclose(iou, [1, 1, 0.5, 1])
    np.testing.assert_allclose(over_25, [1, 1, 1, 1])
    np.testing.assert_allclose(over_50, [1, 1, 0, 1])
    np.testing.assert_allclose(pointing, 1)
    np.testing.assert_allclose(energy, [0.75, 0.75, 1, 0.75])  # 3 x 4 of 3 x 4 + 1 x 4
    assert all(sorted(row) == [0.02, 0.34, 0.34, 0.34] for row in scores.shares)


def test_each_finding_has_its_own_fixed_map_where_it_is_told() -> None:
    """Two findings in two corners, three patients each: the map of all holds both corners, that of a finding its own.

    Without one of three the counts of all are 3 in the other corner and 2 in its own: the other corner alone has IoU 1 with
    three boxes of five, both corners 0.5 with all; so it misses. Of its own finding the two others mark its corner alone.
    """
    left, right = Box("Mass", 0, 0, 2, 2), Box("Nodule", 2, 2, 2, 2)
    found = {name: [left] if name in "abc" else [right] for name in "abcdef"}
    boxes = BoxTable.of(found, (4, 4), {name: name for name in found})
    protocol = ScoringProtocol(grid=4, n_folds=6, fold_seeds=(0, 1))
    iou, _, _, pointing, energy = prior_scores(boxes, protocol).values.T
    for found_scores, expected in ((iou, 0.0), (pointing, 0.0), (energy, 0.4)):
        np.testing.assert_allclose(found_scores, expected)
    by_finding = prior_scores(boxes, protocol, by_finding=True)
    np.testing.assert_allclose(by_finding.values, 1)
    assert [len(row) for row in by_finding.shares] == [12, 12]  # of six folds, two findings each


def test_a_finding_that_no_other_patient_has_is_judged_by_the_map_of_all() -> None:
    near, far = Box("Mass", 0, 0, 2, 2), Box("Nodule", 0, 0, 2, 4)
    boxes = BoxTable.of({"a": [near], "b": [near], "c": [far]}, (4, 4), {name: name for name in "abc"})
    protocol = ScoringProtocol(grid=4, n_folds=3, fold_seeds=(0,))
    one, other = prior_scores(boxes, protocol), prior_scores(boxes, protocol, by_finding=True)
    np.testing.assert_array_equal(one.values[2], other.values[2])
    assert other.values[2, METRICS.index("iou")] == 0.5


def test_a_patient_never_helps_to_find_their_own_box() -> None:
    """Two boxes far from all others, of one patient: a map that knew one of them would find the other."""
    far, near = Box("Mass", 6, 6, 2, 2), Box("Mass", 0, 0, 2, 2)
    boxes = {"a": [far], "b": [far], "c": [near], "d": [near], "e": [near], "f": [near]}
    mine = BoxTable.of(boxes, (8, 8), dict(zip("abcdef", "ppqrst", strict=True)))
    scores = prior_scores(mine, ScoringProtocol(grid=8, n_folds=5))
    np.testing.assert_array_equal(scores.values[:2], 0)
    assert (scores.values[2:, METRICS.index("iou")] > 0).all()


def test_a_list_alone_is_enough(tmp_path: Path) -> None:
    rows = [f"{patient:08d}_00{visit}.png,Infiltrate,0,0,512,512,,," for patient in range(6) for visit in range(2)]
    found = location_prior(
        _list(tmp_path / "boxes.csv", *rows, "00000009_000.png,Mass,512,512,512,512,,,"), n_resamples=50
    )
    assert [g.name for g in found.groups] == ["all", "Infiltration", "Mass"]
    assert (found.all.boxes, found.all.images, found.all.patients) == (13, 13, 7)
    assert found.all.model == found.all.gain == {}
    assert found.groups[1].null["iou"].value == 1
    assert found.groups[2].null["iou"].value == 0
    assert found.groups[2].null["iou"].reason == "one patient: nothing to resample"
    assert "looks at no image reaches 0.923" in found.statement()  # 12 of 13
    again = LocalisationReport.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again.to_dict() == found.to_dict()


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("scan.png,Mass,0,0,9,9,,,", "does not tell its patient"),
        ("00000002_000.png,Mass,0,0,-9,9,,,", "no area"),
        ("00000002_000.png,Mass,0,0,9", "row 3: has 5 cells, the header 6"),
        ("00000001_001.png,Mass,0,0,9,9,,,", "one patient"),
    ],
)
def test_lists_that_cannot_be_used(tmp_path: Path, row: str, what: str) -> None:
    path = _list(tmp_path / "boxes.csv", "00000001_000.png,Mass,0,0,9,9,,,", row)
    with pytest.raises(TableError, match=what) as caught:
        location_prior(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.real
def test_the_numbers_of_the_release(images_root: Path) -> None:
    """What five folds by patient of all 984 boxes are known to give."""
    found = location_prior(images_root / "nih" / "BBox_List_2017.csv", n_resamples=200)
    assert (found.all.boxes, found.all.images, found.all.patients) == (984, 880, 726)
    assert found.all.null["iou"].value == pytest.approx(0.188, abs=0.01)
    assert found.all.null["iou_25"].value == pytest.approx(0.266, abs=0.01)
    assert found.all.null["pointing"].value == pytest.approx(0.34, abs=0.02)
    assert found.all.null["iou"].low < 0.188 < found.all.null["iou"].high
    assert len(found.groups) == 9
    assert found.all.null_by_finding["iou"].value == pytest.approx(0.226, abs=0.01)
    assert found.all.null_by_finding["pointing"].value == pytest.approx(0.38, abs=0.02)
    by_finding = {g.name: g.null["iou"].value for g in found.groups}
    assert by_finding["Cardiomegaly"] > 2 * by_finding["Nodule"]


@pytest.mark.real
def test_the_numbers_of_the_boxes_of_reduced_images(images_root: Path) -> None:
    """What five folds by patient of these 614 boxes are known to give, whatever the finding and by finding."""
    records = [record for record in open_table(images_root / "nih_boxes" / "labels.csv").records if record.boxes]
    boxes = BoxTable.of({r.image: r.boxes for r in records}, (320, 320), {r.image: r.patient or "" for r in records})
    assert (len(boxes), len(boxes.images), int(boxes.groups.max()) + 1) == (614, 536, 458)
    iou, pointing = METRICS.index("iou"), METRICS.index("pointing")
    fixed = prior_scores(boxes).values.mean(axis=0)
    assert fixed[iou] == pytest.approx(0.184, abs=0.002)
    assert fixed[pointing] == pytest.approx(0.335, abs=0.005)
    by_finding = prior_scores(boxes, by_finding=True).values.mean(axis=0)
    assert by_finding[iou] == pytest.approx(0.220, abs=0.002)
    assert by_finding[pointing] == pytest.approx(0.378, abs=0.02)  # 0.359 to 0.379, as the folds are dealt
