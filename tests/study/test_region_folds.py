"""Region heads by folds: who learns from whom, what is written, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning

# isort: split
import torch
from tests.boxed_world import boxed_config

from cxreader.assessment.places import PlaceMaps
from cxreader.cli import run as run_command
from cxreader.config import Config, with_values
from cxreader.errors import DataError, UsageError
from cxreader.explanation.localisation_report import LocalisationReport
from cxreader.models.region_head import RegionHead
from cxreader.study import region_folds as module
from cxreader.study.region_folds import region_folds
from cxreader.training import region_trunk
from cxreader.training.region import Trunk
from cxreader.training.region_lessons import Lessons

pytestmark = pytest.mark.usefixtures("pdf_left_empty")


@pytest.fixture
def config(boxed_world: Path, small_world: Path) -> Config:
    weights = {"model.name": "resnet18", "model.weights": str(small_world / "resnet18.safetensors")}
    return with_values(boxed_config(boxed_world), {**weights, "training.phases": ["head"], "input.size": 32})


def _silent(_: str) -> None:
    return


def test_every_box_is_judged_by_a_head_that_learnt_from_other_patients(
    config: Config, boxed_world: Path, tmp_path: Path
) -> None:
    boxes = len((boxed_world / "boxes.csv").read_text().split()) - 1
    found = region_folds(config, 3, tmp_path / "folds", command="as typed", say=_silent)
    assert sum(found.learnt_from) == 2 * boxes  # each box teaches in all folds but its own
    assert [report.slug for report in found.reports] == ["region_head", "region_head_by_finding"]
    assert [report.all.boxes for report in found.reports] == [boxes, boxes]
    kept = json.loads((tmp_path / "folds" / "region_head.json").read_text())
    assert LocalisationReport.from_dict(kept).all.model["iou"].value == found.reports[0].all.model["iou"].value
    about = json.loads((tmp_path / "folds" / "region_folds.json").read_text())
    assert (about["command"], about["folds"], about["seed"]) == ("as typed", 3, 7)
    assert about["transfer"] == "file resnet18.safetensors"
    again = region_folds(config, 3, tmp_path / "folds", say=_silent)
    assert again.reports[1].all.model == found.reports[1].all.model


def test_what_it_cannot_do_is_refused(config: Config, boxed_world: Path, tmp_path: Path) -> None:
    for change, message in (
        ({"training.boxes": None}, r"training.boxes: no region head is asked for; add the section \[training.boxes\]"),
        (
            {"training.phases": ["head", "fine_tune"]},
            "training.phases: phases that change the stages want a network a fold",
        ),
        ({"model.weights": "none"}, "model.weights: the stages are not pretrained"),
    ):
        with pytest.raises(UsageError, match=message):
            region_folds(with_values(config, change), 3, tmp_path / "folds", say=_silent)
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in boxed_world.iterdir():
        if path.name != "boxes.csv":
            (bare / path.name).symlink_to(path)
    with pytest.raises(DataError, match="no image has a box"):
        region_folds(with_values(config, {"data.root": str(bare)}), 3, tmp_path / "folds", say=_silent)


def test_the_command(config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "places.json"
    file.write_text(config.model_dump_json())
    assert run_command(["study", "regions", str(file), "--folds", "2", "--out", str(tmp_path / "out")]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "Region head, by finding" in words
    assert "Stages: file resnet18.safetensors; each head learnt from" in words
    about = json.loads((tmp_path / "out" / "region_folds.json").read_text())
    assert about["command"] == f"cxreader study regions {file} --folds 2 --out {tmp_path / 'out'}"


def test_no_head_has_learnt_from_the_patient_whose_box_it_judges(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each head's maps are made to say which head they are of."""
    taught: list[set[str | None]] = []
    judged: dict[str, int] = {}

    def learn(
        head: RegionHead, lessons: Lessons, findings: object, trunk: Trunk, *rest: object, **more: object
    ) -> None:
        taught.append({record.patient for record in lessons.records})
        outputs, _ = trunk([0], torch.empty(1, 0, 1, 1), None)
        everything = whole[0].records.index(lessons.records[0])
        assert torch.equal(outputs[0], trunks[0]([everything], torch.empty(1, 0, 1, 1), None)[0][0])
        with torch.no_grad():
            head.usual.fill_(float(len(taught)))
        head.eval()

    def judge(maps: PlaceMaps, *rest: object, **more: object) -> tuple[()]:
        judged.update({image: round(float(torch.logit(torch.tensor(own[0, 0])))) for image, own in maps.whole.items()})
        return ()

    whole: list[Lessons] = []
    trunks: list[Trunk] = []
    there = region_trunk.trunk_of

    def trunk_of(
        section: object, model: object, stages: object, lessons: Lessons, *rest: object, **more: object
    ) -> Trunk:
        whole.append(lessons)
        trunks.append(there(section, model, stages, lessons, *rest, **more))  # type: ignore[arg-type]
        return trunks[0]

    monkeypatch.setattr(module, "learn_regions", learn)
    monkeypatch.setattr(module, "judge_regions", judge)
    monkeypatch.setattr(module, "trunk_of", trunk_of)
    module.region_folds(config, 3, tmp_path / "folds", say=_silent)
    boxed = [record for record in whole[0].records if record.boxes]
    assert len(taught) == 3
    assert sorted(judged) == sorted(record.image for record in boxed)
    assert all(record.patient not in taught[judged[record.image] - 1] for record in boxed)
    assert all(len(set().union(*taught) - one) > 0 for one in taught)
