"""Region heads by folds: who learns from whom, what is written, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning

# isort: split
import torch
from tests.boxed_world import boxed_config

from cxreader.assessment.places import PlaceMaps
from cxreader.cli import run as run_command
from cxreader.codec import to_plain
from cxreader.config import Config, with_values
from cxreader.data.split import Split
from cxreader.errors import DataError, UsageError
from cxreader.explanation.localisation_report import LocalisationReport
from cxreader.models.artifact import load_artifact
from cxreader.models.region_head import RegionHead
from cxreader.runs import RunFolder
from cxreader.study import region_folds as module
from cxreader.study.region_folds import region_folds
from cxreader.training.region import trunk as region_trunk
from cxreader.training.region.learning import Trunk
from cxreader.training.region.lessons import Lessons
from cxreader.training.train import train

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
            "training.phases: phases that change the stages want a finished run",
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


def test_of_a_run_its_own_stages_are_judged_by_boxes_of_patients_who_taught_them_nothing(
    config: Config, boxed_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A source of weight 0 has the boxes; every fourth patient of it is also one of the classifier's."""
    for name in ("panel", "boxed"):
        shutil.copytree(boxed_world, tmp_path / name)
    for path in (tmp_path / "boxed").glob("*.png"):  # other pictures under other names: each is taken once
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path.with_stem(f"b{path.stem}"))
        path.unlink()
    for table in (tmp_path / "boxed").glob("*.csv"):
        table.write_text(re.sub(r"^(\d)", r"b\1", table.read_text(), flags=re.MULTILINE))
    for name, number in (("panel", "q"), ("boxed", "p")):  # other patients, but the fourths
        table = tmp_path / name / "labels.csv"
        rows = [line.split(",") for line in table.read_text().split()]
        kept = [(i, w, p if n % 4 == 2 else p.replace("p", number)) for n, (i, w, p) in enumerate(rows) if n]
        table.write_text("\n".join(",".join(row) for row in [rows[0], *kept]) + "\n")
    (tmp_path / "panel" / "boxes.csv").unlink()
    sources = [
        {"root": str(tmp_path / "panel"), "name": "ward"},
        {"root": str(tmp_path / "boxed"), "name": "ward", "only_train": True, "weight": 0},
    ]
    changes = {"data.root": "", "data.name": None, "data.sources": sources, "training.phases": ["head", "fine_tune"]}
    whole = with_values(with_values(config, changes), {"input.size": 64})
    run = RunFolder(tmp_path / "run")
    train(whole, run.path, say=_silent)
    with pytest.raises(UsageError, match="the run was not evaluated yet; cxreader evaluate"):
        region_folds(run, 3, tmp_path / "folds", say=_silent)
    assert run_command(["evaluate", str(run.path)]) == 0
    artifact = load_artifact(run.artifact)
    assert artifact.evaluation is not None
    assert artifact.evaluation["regions"] == {}
    assert run_command(["study", "regions", str(run.path), "--folds", "3", "--out", str(tmp_path / "folds")]) == 0
    found = LocalisationReport.from_dict(json.loads((tmp_path / "folds" / "region_head.json").read_text()))
    split = Split.load(run.split)
    taught = {
        name.partition("/")[2]
        for part in ("train", "tune", "calibrate")
        for name in split.parts[part]
        if "panel" in name
    }
    boxed = [line.split(",")[0] for line in (boxed_world / "boxes.csv").read_text().split()[1:]]
    shared = [name for name in boxed if int(name[:3]) % 4 == 1 and name in taught]
    assert shared
    assert found.all.boxes == len(boxed) - len(shared)
    stored = load_artifact(run.artifact)
    assert stored.id == artifact.id
    assert stored.evaluation is not None
    assert stored.evaluation["regions"]["region_head"] == to_plain(found.all)
    assert stored.evaluation["regions_on"] == "3 folds of heads on its stages; boxes of patients they had not met"
    assert run_command(["evaluate", str(run.path)]) == 0  # its own test part has no boxes: what was found stays
    again = load_artifact(run.artifact).evaluation
    assert again is not None
    assert again["regions"] == stored.evaluation["regions"]
    assert run_command(["study", "regions", str(run.path), "--out", str(tmp_path / "f"), "--set", "seed=1"]) == 2
    assert "a run's settings are what they were" in capsys.readouterr().err


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
