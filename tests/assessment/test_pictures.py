"""A picture is recognised by its file and by its pixels, whatever it is called and whoever is said to be its patient."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxreader.assessment.artifact import judge
from cxreader.assessment.cohort import EvaluationCohort, cohort_of_source
from cxreader.assessment.pictures import COPY, Pictures
from cxreader.assessment.shortcuts.audit import audit_shortcuts
from cxreader.data.split import Split
from cxreader.evaluation.predictions import read_predictions
from cxreader.evaluation.shortcuts.records import Leakage
from cxreader.inference.member import Member
from cxreader.inference.reader import Reader
from cxreader.models.training_images import TrainingImages
from cxreader.progress import no_bar
from cxreader.records import ImageRecord
from cxreader.runs import RunFolder

pytestmark = pytest.mark.usefixtures("pdf_left_empty")


@pytest.fixture(scope="module")
def reader(small_run: Path) -> Reader:
    return Reader.load(small_run)


@pytest.fixture(scope="module")
def mixed(small_run: Path, small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> EvaluationCohort:
    """Another hospital's folder: images of the run's test part, and among them pictures that set the model, all renamed."""
    folder = tmp_path_factory.mktemp("elsewhere")
    parts = Split.load(RunFolder(small_run).split).parts
    with (small_world / "labels.csv").open(newline="") as file:
        labels = {row["image"]: row["label"] for row in csv.DictReader(file)}
    rows: list[tuple[str, str, str]] = []

    def add(name: str, label: str) -> None:
        rows.append((name, label, f"q{len(rows)}"))

    for n, image in enumerate(parts["test"]):
        shutil.copy(small_world / image, folder / f"new{n:02d}.png")
        add(f"new{n:02d}.png", labels[image])
    shutil.copy(small_world / parts["train"][0], folder / "x1.png")
    add("x1.png", labels[parts["train"][0]])
    Image.open(small_world / parts["calibrate"][0]).save(folder / "x2.png", compress_level=0)
    add("x2.png", labels[parts["calibrate"][0]])
    Image.open(small_world / parts["tune"][0]).convert("RGB").save(folder / "x3.png")
    add("x3.png", labels[parts["tune"][0]])
    shutil.copy(folder / "new00.png", folder / "y1.png")
    add("y1.png", rows[0][1])
    Image.open(folder / "new01.png").save(folder / "y2.png", compress_level=0)
    add("y2.png", "normal" if rows[1][1] == "abnormal" else "abnormal")
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "label", "patient"), *rows])
    return cohort_of_source(str(folder), name="elsewhere")


SET = {f"the picture set this model ({part})": 1 for part in ("train", "tune", "calibrate")}


def test_what_set_the_model_and_copies_are_left_out_and_counted(
    reader: Reader, mixed: EvaluationCohort, small_run: Path, tmp_path: Path
) -> None:
    evaluation = judge(reader, mixed, tmp_path, bar=no_bar, quick=True)
    test = Split.load(RunFolder(small_run).split).parts["test"]
    assert evaluation.counts.excluded == {**SET, COPY: 2}
    assert read_predictions(tmp_path / "predictions.csv").image.tolist() == [
        f"new{n:02d}.png" for n in range(len(test))
    ]
    (contrary,) = [w for w in evaluation.warnings if "other label" in w]
    assert contrary.startswith("1 of the pictures left out as copies carries the other label")
    assert not [w for w in evaluation.warnings if "cannot be known" in w]
    page = (tmp_path / "report.html").read_text()
    assert "the picture set this model (calibrate)" in page


def test_a_file_is_known_by_its_bytes_alone(reader: Reader, mixed: EvaluationCohort, tmp_path: Path) -> None:
    """Another decoder may give other pixels of it."""
    path = Path(str(mixed.records[0].path))
    marks = {"tune": [hashlib.sha256(path.read_bytes()).digest()[:8]]}
    member = reader.only
    artifact = replace(member.artifact, images=TrainingImages.of(marks))
    judged = judge(
        Reader([Member(artifact, member.backend, member.operating_point)]), mixed, tmp_path, bar=no_bar, quick=True
    )
    # The first of two equal pictures and its copy, whose file is the same.
    assert judged.counts.excluded["the picture set this model (tune)"] == 2


def test_an_audit_of_shortcuts_leaves_out_the_same(reader: Reader, mixed: EvaluationCohort) -> None:
    audit = audit_shortcuts(reader, mixed, bar=no_bar, n_resamples=20)
    assert audit.counts.excluded == {**SET, COPY: 2}
    assert "3 more images show pictures that set the model, under another name: left out" in audit.leakage.lines


def test_without_hashes_nothing_is_said_to_be_new(reader: Reader, mixed: EvaluationCohort, tmp_path: Path) -> None:
    member = reader.only
    old = replace(member.artifact, images=None)
    blind = Reader([Member(old, member.backend, member.operating_point)])
    evaluation = judge(blind, mixed, tmp_path, bar=no_bar)
    assert evaluation.counts.excluded == {COPY: 2}
    assert [w for w in evaluation.warnings if w.startswith("whether a judged picture set this model cannot be known")]
    stored = json.loads((tmp_path / "shortcuts.json").read_text())
    assert stored["leakage"]["met_pictures"] is None


def test_without_patients_nothing_is_said_of_them(reader: Reader, mixed: EvaluationCohort) -> None:
    nameless = replace(mixed.index, records=tuple(replace(r, patient=None) for r in mixed.index.records))
    cohort = EvaluationCohort(nameless, nameless.records, "all")
    lines = audit_shortcuts(reader, cohort, bar=no_bar, n_resamples=20).leakage.lines
    n = len(mixed.records)
    assert f"whether a patient set the model cannot be known of {n} of {n} images, which name no patient" in lines
    assert not [line for line in lines if line.startswith("none")]


def test_a_split_whose_test_part_names_no_patient_says_nothing_of_them() -> None:
    leakage = Leakage(
        *(False, 9, 0, 0), left_out=True, split="patient", split_patients=0, split_images=0, test_images=0, nameless=9
    )
    assert leakage.lines == (
        "whether a patient set the model cannot be known: it was trained without knowing patients",
        "whether a picture set the model cannot be known: the artifact holds no hashes of its images",
        "split by patient: whether a patient is in more than one part cannot be known",
    )


def test_a_split_by_image_is_judged_all_the_same_and_says_it() -> None:
    known = TrainingImages.of({"train": [b"12345678"]})
    shown, left_out = Pictures(known, judge_met=True), Pictures(known)
    record = ImageRecord("a.png", 1)
    assert shown.judges(record, [b"12345678"])
    assert not left_out.judges(record, [b"12345678"])
    assert left_out.warnings() == []
    (said,) = shown.warnings()
    assert said.startswith("1 of the judged pictures set this model, and is judged all the same")


def test_copies_of_copies_are_one_picture() -> None:
    """The file of one and the pixels of another: the third is known by either."""
    pictures = Pictures(None)
    a, b, c = (ImageRecord(f"{name}.png", label) for name, label in (("a", 0), ("b", 0), ("c", 1)))
    assert pictures.judges(a, [b"pixels 1", b"file a.."])
    assert not pictures.judges(b, [b"pixels 2", b"file a.."])
    assert not pictures.judges(c, [b"pixels 2", b"file c.."])
    assert (pictures.excluded[COPY], pictures.contrary, pictures.met) == (2, 1, 0)


def test_the_hashes_are_of_the_parts_that_set_the_model_and_of_no_other(reader: Reader, small_run: Path) -> None:
    images, split = reader.artifact.images, Split.load(RunFolder(small_run).split)
    assert images is not None
    counts = {part: len(split.parts[part]) for part in ("train", "tune", "calibrate")}
    assert {part: len(text) * 3 // 4 // 8 for part, text in images.parts.items()} == pytest.approx(
        {part: 2 * count for part, count in counts.items()}, abs=1
    )
    assert np.isclose(len(json.dumps(images.to_dict())), 64 / 3 * sum(counts.values()), rtol=0.1)
