"""Heat maps and region heads against true boxes, in one run and in several as one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cxreader import Reader
from cxreader.assessment.cohort import cohort_of_run
from cxreader.assessment.explanations import evaluate_explanations
from cxreader.assessment.images import read_once
from cxreader.assessment.places import PlaceMaps, boxes_of, judge_places, judge_places_of_folds
from cxreader.cli import run as run_command
from cxreader.errors import DataError
from cxreader.explanation.boxes import BoxTable
from cxreader.explanation.localisation_report import GRAD_CAM
from cxreader.progress import no_bar
from cxreader.records import Box

Run = tuple[Path, list[str]]
N = 16


def _world() -> tuple[BoxTable, PlaceMaps]:
    """One box an image of another patient, of two findings; heat maps that miss, a whole map half right, its own map right."""
    places = [("Mass", 0.0), ("Nodule", 0.5)]
    boxes = {f"{n}.png": (Box(name, x, 0.0, 0.5, 0.5),) for n in range(N) for name, x in [places[n % 2]]}
    maps = PlaceMaps()
    for image, (box,) in boxes.items():
        own = np.zeros((4, 4), np.float32)
        own[:2, int(box.x * 4) : int(box.x * 4) + 2] = 1
        maps.heat[image] = 1 - np.maximum(own, own[:, ::-1])
        maps.whole[image] = np.maximum(own, own[:, ::-1])
        maps.each[(image, box.finding)] = own
        maps.each[(image, "Mass" if box.finding == "Nodule" else "Nodule")] = own[:, ::-1].copy()
    return BoxTable.of(boxes, (1.0, 1.0), {image: image for image in boxes}), maps


def test_each_box_is_judged_by_the_maps_of_its_image_and_by_that_of_its_finding() -> None:
    boxes, maps = _world()
    heat, whole, each = judge_places(maps, boxes, heat_maps=GRAD_CAM, bar=no_bar)
    assert [report.title for report in (heat, whole, each)] == [
        "Grad-CAM, whatever the finding",
        "Region head, whatever the finding",
        "Region head, by finding",
    ]
    assert heat.all.model["pointing"].value == 0
    assert whole.all.model["pointing"].value == pytest.approx(0.5)
    assert each.all.model["pointing"].value == 1
    assert whole.all.model["iou"].value == pytest.approx(0.5, abs=0.06)
    assert each.all.model["iou"].value > 0.85
    assert [group.boxes for group in each.groups] == [N, N // 2, N // 2]


def test_boxes_of_a_finding_that_it_has_not_learnt_are_left_out_and_said() -> None:
    boxes, maps = _world()
    known = {key: own for key, own in maps.each.items() if key[1] == "Mass"}
    *_, each = judge_places(PlaceMaps(maps.heat, maps.whole, known), boxes, heat_maps=GRAD_CAM, bar=no_bar)
    assert each.all.boxes == N // 2
    assert "8 boxes of findings that the head has not learnt left out." in each.notes
    assert (
        judge_places(PlaceMaps(maps.heat, maps.whole), boxes, heat_maps=GRAD_CAM, bar=no_bar)[-1].slug == "region_head"
    )
    assert [found.slug for found in judge_places(PlaceMaps(maps.heat), boxes, heat_maps=GRAD_CAM, bar=no_bar)] == [
        "grad_cam"
    ]


def test_a_run_is_judged_on_the_boxes_of_its_own_test_part(boxed_run: Run, boxed_world: Path) -> None:
    path = boxed_run[0]
    found = judge_places_of_folds([path], bar=no_bar)
    test = set(json.loads((path / "split.json").read_text())["parts"]["test"])
    rows = [line.split(",") for line in (boxed_world / "boxes.csv").read_text().split()[1:]]
    assert [report.all.boxes for report in found] == [sum(row[0] in test for row in rows)] * 3
    assert found[2].all.model["pointing"].value == 1
    assert found[2].all.model["iou"].value > 0.5 > found[2].all.null_by_finding["iou"].value
    with pytest.raises(DataError, match="is in the test part of another run too"):
        judge_places_of_folds([path, path], bar=no_bar)


def test_the_evaluation_holds_the_region_head_under_its_own_name(boxed_run: Run) -> None:
    reader, cohort = Reader.load(boxed_run[0], backend="torch"), cohort_of_run(boxed_run[0])
    with read_once(reader, cohort.records, bar=no_bar) as images:
        looking = evaluate_explanations(reader, images, bar=no_bar)
    assert looking.localisation is not None
    assert looking.localisation.slug == "hirescam"  # of the custom CNN
    assert [found.slug for found in looking.regions] == ["region_head", "region_head_by_finding"]
    boxed = [record for record in cohort.records if record.boxes]
    assert looking.regions[0].all.boxes == len(boxes_of(reader.artifact.spec, boxed))


def test_the_command_shows_each_kind_of_map_and_writes_it(
    boxed_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["audit", "places", str(boxed_run[0]), "--out", str(tmp_path / "places")]) == 0
    words = " ".join(capsys.readouterr().out.split())
    for title in ("HiResCAM, whatever the finding", "Region head, whatever the finding", "Region head, by finding"):
        assert title in words
    assert "one of the finding" in words
    assert "Mean IoU: the model reaches" in words
    names = sorted(path.name for path in (tmp_path / "places").iterdir())
    assert names == ["hirescam.json", "region_head.json", "region_head_by_finding.json"]
