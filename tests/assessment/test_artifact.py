"""Judging an artifact: on its own test part, on anybody's images, and never on who set it."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cxreader.assessment.artifact import judge, prediction_table
from cxreader.assessment.cohort import cohort_of_run, cohort_of_source, without_training_patients
from cxreader.assessment.shortcuts.elsewhere import baselines_of_training
from cxreader.data.split import Split
from cxreader.errors import DataError
from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.evidence import EvaluationOptions
from cxreader.evaluation.predictions import read_predictions, write_predictions
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.evaluation.worklist.reading_room import Arrivals, ReadingRoom, ReadingTime
from cxreader.inference.member import Member
from cxreader.inference.reader import Reader
from cxreader.models.artifact import MANIFEST
from cxreader.models.weights import NO_TRANSFER
from cxreader.progress import no_bar
from cxreader.records import ImageRecord, OperatingPoint, Reading
from cxreader.runs import RunFolder

pytestmark = pytest.mark.usefixtures("pdf_left_empty")


@pytest.fixture(scope="module")
def own_run(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small run, to be written to: who judges it stores that in its artifact."""
    return shutil.copytree(small_run, tmp_path_factory.mktemp("own") / "run")


@pytest.fixture(scope="module")
def reader(own_run: Path) -> Reader:
    return Reader.load(own_run)


@pytest.fixture(scope="module")
def judged(reader: Reader, own_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Path]:
    out = tmp_path_factory.mktemp("judged")
    return judge(reader, cohort_of_run(own_run), out, bar=no_bar), out


def test_a_run_is_judged_on_its_test_part(judged: tuple[Evaluation, Path], small_run: Path) -> None:
    evaluation, out = judged
    table = read_predictions(out / "predictions.csv")
    assert set(table.image.tolist()) == set(Split.load(RunFolder(small_run).split).parts["test"])
    assert evaluation.metrics["auc"].value == pytest.approx(roc_auc_score(table.label, table.probability))
    header = next(csv.reader((out / "predictions.csv").read_text().splitlines()))
    assert header[:4] == ["image", "patient", "label", "probability"]
    card = (out / "model_card.md").read_text()
    assert "not stated by the artifact" not in card
    assert Reader.load(small_run).artifact.id in card
    first_screen = (out / "report.html").read_text().split('<section id="sure"')[0]
    assert "Trained on: " in first_screen
    assert "ages not known" in first_screen
    assert f"<h1>{evaluation.verdict.line if evaluation.verdict else ''}" in first_screen
    stored = json.loads((out / "evaluation.json").read_text())
    assert stored["schema"] == 3
    assert stored["metrics"]["auc"]["value"] == evaluation.metrics["auc"].value
    assert {"roc.png", "roc.svg", "confusion.png", "report.html"} <= {path.name for path in out.iterdir()}
    assert any("no transfer" not in warning for warning in evaluation.warnings) or not evaluation.warnings
    assert list(evaluation.baselines) == ["16 x 16 thumbnail, learnt elsewhere"]
    difference = evaluation.comparisons["auc minus 16 x 16 thumbnail, learnt elsewhere"]
    assert difference.value == pytest.approx(
        evaluation.metrics["auc"].value - next(iter(evaluation.baselines.values())).value
    )


@pytest.mark.parametrize(("asked", "warned"), [("none", False), ("absent.safetensors", True)])
def test_absent_weights_are_a_warning_where_they_were_asked_for(
    reader: Reader, own_run: Path, tmp_path: Path, asked: str, warned: bool
) -> None:
    config = reader.artifact.provenance["config"]
    config = {**config, "model": {**config["model"], "weights": asked}}
    scratch = _as_if(reader, transfer=NO_TRANSFER, provenance={**reader.artifact.provenance, "config": config})
    evaluation = judge(scratch, cohort_of_run(own_run), tmp_path / "out", bar=no_bar, quick=True)
    assert (NO_TRANSFER in evaluation.warnings) is warned


def test_a_score_is_said_to_be_one_in_whole_sentences(reader: Reader, own_run: Path, tmp_path: Path) -> None:
    calibration = {**reader.artifact.calibration, "n_positive": 17, "n_negative": 8}
    evaluation = judge(
        _as_if(reader, calibration=calibration), cohort_of_run(own_run), tmp_path / "out", bar=no_bar, quick=True
    )
    (said,) = (w for w in evaluation.warnings if w.startswith("not calibrated: 17 abnormal, 8 normal"))
    assert said.endswith("as few. What is called probability here is that score.")


def _as_if(reader: Reader, **changes: Any) -> Reader:
    """The same reader whose artifact says something else."""
    (member,) = reader.members
    return Reader([Member(replace(member.artifact, **changes), member.backend, member.operating_point)])


def test_patients_of_two_sources_are_two_whatever_their_numbers() -> None:
    point = OperatingPoint.given(0.5)
    records = [
        ImageRecord("a/1.png", 0, patient="12", source="a"),
        ImageRecord("a/2.png", 0, patient="12", source="a"),
        ImageRecord("b/1.png", 1, patient="12", source="b"),
        ImageRecord("b/2.png", 1, source="b"),
    ]
    readings = [Reading(r.image, "abc", point, "normal", 0.2, acceptance="accepted") for r in records]
    table, _ = prediction_table(records, readings, "abc")
    assert table.patient is not None
    assert table.patient.tolist() == ["a/12", "a/12", "b/12", "b/image:b/2.png"]
    assert Sample.of(table).n_groups == Sample.of_records(records).n_groups == 3
    table, _ = prediction_table(records[:2], readings[:2], "abc")
    assert table.patient is not None
    assert table.patient.tolist() == ["12", "12"]


def test_an_artifact_keeps_what_its_training_images_teach_and_an_earlier_ones_run_teaches_the_same(
    reader: Reader, small_run: Path, small_world: Path
) -> None:
    artifact, own = reader.only.artifact, cohort_of_run(small_run)
    kept = baselines_of_training(artifact, own, no_bar)
    assert [one.name for one in kept] == ["image statistics", "border only", "16 x 16 thumbnail"]
    assert {one.images for one in kept} == {sum(artifact.provenance["counts"]["train"])}
    earlier = replace(artifact, provenance={k: v for k, v in artifact.provenance.items() if k != "baselines"})
    again = baselines_of_training(earlier, own, no_bar)
    for one, other in zip(kept, again, strict=True):
        assert other.weights == pytest.approx(one.weights, rel=1e-6)
    assert baselines_of_training(earlier, cohort_of_source(str(small_world), name="world"), no_bar) == ()


def test_on_the_whole_source_everybody_who_set_it_is_left_out_and_counted(
    reader: Reader, small_run: Path, small_world: Path, judged: tuple[Evaluation, Path], tmp_path: Path
) -> None:
    """The whole source less train, tune and calibrate is the test part: the same figures, the others counted by part."""
    manifest = reader.only.folder / MANIFEST if reader.only.folder else tmp_path
    before = manifest.read_bytes()
    evaluation = judge(reader, cohort_of_source(str(small_world), name="world"), tmp_path, bar=no_bar)
    assert manifest.read_bytes() == before, "other images than the run's own test part leave the artifact as it is"
    assert b'"split_kind"' in before
    split = Split.load(RunFolder(small_run).split)
    surplus = sum(split.surplus.values())
    assert surplus == 0
    for part in ("train", "tune", "calibrate"):
        assert evaluation.counts.excluded[f"the patient set this model ({part})"] == len(split.parts[part])
    assert evaluation.metrics["auc"].value == judged[0].metrics["auc"].value


def test_patients_are_recognised_in_an_unnamed_source_and_strangers_are_not(reader: Reader) -> None:
    def record(source: str, patient: str) -> ImageRecord:
        return ImageRecord("a.png", 1, patient=patient, source=source)

    known = next(
        p
        for p in (f"p{i}" for i in range(60))
        if not without_training_patients(reader.artifact, [record("world", p)])[0]
    )
    assert without_training_patients(reader.artifact, [record("", known)])[0] == ()
    assert len(without_training_patients(reader.artifact, [record("other hospital", known)])[0]) == 1
    assert len(without_training_patients(reader.artifact, [record("world", "p1000")])[0]) == 1
    unnamed = replace(reader.artifact.patients, sources=("",))
    assert (
        len(without_training_patients(replace(reader.artifact, patients=unnamed), [record("world", "p1000")])[0]) == 1
    )


def test_nobody_left_is_an_error_that_says_why(
    reader: Reader, small_run: Path, small_world: Path, tmp_path: Path
) -> None:
    cohort = cohort_of_source(str(small_world), name="world", split=str(RunFolder(small_run).split), part="train")
    with pytest.raises(DataError, match=r"no image is left to judge.*set this model \(train\)"):
        judge(reader, cohort, tmp_path, bar=no_bar)


def test_a_worklist_that_lacks_a_class_is_refused_before_an_image_is_read(
    reader: Reader, small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reader, "read_many", lambda *_args, **_options: pytest.fail("an image was read"))
    cohort = cohort_of_source(str(small_world), name="elsewhere")
    ill = replace(cohort, records=tuple(record for record in cohort.records if record.label == 1))
    times = Arrivals(np.arange(0.0, 600.0, 5.0))
    options = EvaluationOptions(prevalence=0.1, room=ReadingRoom(ReadingTime("fixed", 4), recorded=times))
    with pytest.raises(DataError, match="lack a class to draw from"):
        judge(reader, ill, tmp_path, bar=no_bar, options=options)


def test_an_unreadable_image_is_counted_and_listed(
    reader: Reader, small_world: Path, small_run: Path, tmp_path: Path
) -> None:
    world = tmp_path / "world"
    shutil.copytree(small_world, world)
    bad = Split.load(RunFolder(small_run).split).parts["test"][0]
    (world / bad).write_bytes(b"torn")
    evaluation = judge(reader, cohort_of_source(str(world), name="world"), tmp_path / "out", bar=no_bar)
    assert evaluation.counts.excluded["the image cannot be read"] == 1
    assert list(json.loads((tmp_path / "out/unread.json").read_text())) == [bad]


def test_without_patients_every_report_says_so(reader: Reader, small_world: Path, tmp_path: Path) -> None:
    world = tmp_path / "world"
    for name in ("normal", "abnormal"):
        (world / name).mkdir(parents=True)
    for path in sorted(small_world.glob("*.png"))[:40]:
        label = ("normal", "abnormal")[int(path.stem[:3]) % 2]
        shutil.copy(path, world / label / f"new-{path.name}")
    evaluation = judge(reader, cohort_of_source(str(world)), tmp_path / "out", bar=no_bar)
    assert any("patient" in warning and "impossible" in warning for warning in evaluation.warnings)
    assert evaluation.metrics["auc"].n_patients is None
    assert "impossible" in (tmp_path / "out/report.html").read_text()


def test_a_split_by_image_is_judged_with_its_leak_printed(small_world: Path, tmp_path: Path) -> None:
    from tests.world import world_config

    from cxreader.config import parse_config
    from cxreader.training.train import train

    values = world_config(small_world).model_dump()
    values["split"]["kind"] = "image-random"
    values["training"]["phases"] = ["head"]
    values["training"]["head"]["epochs"] = 1
    train(parse_config(values), tmp_path / "run", say=lambda _: None)
    evaluation = judge(Reader.load(tmp_path / "run"), cohort_of_run(tmp_path / "run"), tmp_path / "out", bar=no_bar)
    split = Split.load(tmp_path / "run/split.json")
    patients = {part: {image[:3] for image in images} for part, images in split.parts.items()}
    shared = sum(image[:3] in patients["train"] for image in split.parts["test"])
    assert shared > 0
    assert any(f"{shared} of {len(split.parts['test'])} test images" in warning for warning in evaluation.warnings)
    assert np.isfinite(evaluation.metrics["accuracy"].value)


def test_predictions_carry_the_uid_of_dicom_files_and_no_such_column_without_any(tmp_path: Path) -> None:
    point = OperatingPoint.given(0.5)

    def reading(name: str, uid: str | None) -> Reading:
        return Reading(name, "abc", point, "normal", 0.2, acceptance="accepted", sop_instance_uid=uid)

    records = [ImageRecord("a.dcm", 0, patient="p"), ImageRecord("b.png", 1, patient="q")]
    table, _ = prediction_table(records, [reading("a.dcm", "1.2.3"), reading("b.png", None)], "abc")
    write_predictions(tmp_path / "predictions.csv", table)
    first, second = csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines())
    assert (first["sop_instance_uid"], second["sop_instance_uid"]) == ("1.2.3", "")
    table, _ = prediction_table(records, [reading("a.dcm", None), reading("b.png", None)], "abc")
    assert "sop_instance_uid" not in table.columns
