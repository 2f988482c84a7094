"""Radiologists beside an artifact, and without one."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from cxreader.assessment import artifact
from cxreader.assessment.artifact import judge
from cxreader.assessment.cohort import EvaluationCohort, cohort_of_run
from cxreader.assessment.readers import judge_readings, read_label_table
from cxreader.errors import DataError, TableError
from cxreader.evaluation.evidence import EvaluationOptions
from cxreader.evaluation.readers.readings import Readings, read_readings
from cxreader.inference.reader import Reader
from cxreader.progress import no_bar

pytestmark = pytest.mark.usefixtures("pdf_left_empty")


@pytest.fixture(scope="module")
def own_run(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(small_run, tmp_path_factory.mktemp("own") / "run")


def readings_of(cohort: EvaluationCohort, path: Path, folder: str = "elsewhere") -> Readings:
    """One reader who is right, one who calls everything normal; the files lie in another folder and have another suffix."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("image", "reader", "label"))
        for record in cohort.records:
            name = f"{folder}/{Path(record.image).stem}.dcm"
            rows.writerows([(name, "right", record.label), (name, "mild", 0)])
    return read_readings(path)


def test_readers_stand_beside_an_artifact_at_its_own_point(own_run: Path, tmp_path: Path) -> None:
    cohort, reader = cohort_of_run(own_run), Reader.load(own_run)
    options = EvaluationOptions(readings=readings_of(cohort, tmp_path / "readings.csv"))
    evaluation = judge(reader, cohort, tmp_path / "out", bar=no_bar, options=options, quick=True)
    assert evaluation.evidence is not None
    found = evaluation.evidence.readers
    assert found is not None
    assert found.threshold == reader.operating_point.threshold
    assert (found.n_abnormal, found.n_normal) == (evaluation.counts.abnormal, evaluation.counts.normal)
    right, mild = found.readers
    assert right.rates["sensitivity"].value == right.rates["specificity"].value == 1
    assert right.rates["sensitivity"].high == 1
    assert right.rates["sensitivity"].low > 0
    assert mild.rates["sensitivity"].value == 0
    assert found.model is not None
    assert found.model.rates["sensitivity"].value == pytest.approx(evaluation.metrics["recall"].value)
    assert right.model is not None
    assert right.model.change["sensitivity"].value == pytest.approx(evaluation.metrics["recall"].value - 1)
    assert ">Beside radiologists<" in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_readings_of_other_images_and_a_silent_panel_are_refused_before_an_image_is_read(
    own_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_once(*arguments: object, **named: object) -> None:
        raise AssertionError("an image was read")

    monkeypatch.setattr(artifact, "read_once", read_once)
    (tmp_path / "r.csv").write_text("image,reader,label\nstranger.png,r,1\n")
    options = EvaluationOptions(readings=read_readings(tmp_path / "r.csv"))
    cohort = cohort_of_run(own_run)
    with pytest.raises(DataError, match="none of the 1 image that readers saw is among those judged"):
        judge(Reader.load(own_run), cohort, tmp_path / "out", bar=no_bar, options=options)
    rated = "".join(f"{Path(record.image).name},{who},3\n" for record in cohort.records for who in "ab")
    (tmp_path / "rated.csv").write_text(f"image,reader,score\n{rated}")
    silent = EvaluationOptions(readings=read_readings(tmp_path / "rated.csv"), panel=("a", "b"))
    with pytest.raises(DataError, match="the panel gave no calls: a, b"):
        judge(Reader.load(own_run), cohort, tmp_path / "out", bar=no_bar, options=silent)


def test_labels_and_patients_come_from_the_table_of_labels(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("Image ID,mined,subject\na.png,1,p\nb.png,0,p\nc.png,,q\nd.png,1,\n")
    told = read_label_table(tmp_path / "labels.csv", {"label": "mined"})
    assert told.image == ["a.png", "b.png", "c.png", "d.png"]
    assert told.label.tolist() == [1, 0, -1, 1]
    assert told.patient == ["p", "p", "q", ""]
    readings = "image,reader,label,patient\n" + "".join(
        f"{image}.jpg,{reader},{label},other\n" for image in "abcd" for reader, label in (("r", 1), ("s", 0))
    )
    (tmp_path / "readings.csv").write_text(readings)
    found = judge_readings(
        tmp_path / "readings.csv", labels=tmp_path / "labels.csv", columns={"label": "mined"}, n_resamples=40
    )
    # p, q and the image d for itself: the readings' own column does not count.
    assert found.n_patients == 3
    assert (found.n_abnormal, found.n_normal, found.undecided) == (2, 1, 1)
    assert found.readers[0].rates["sensitivity"].value == 1
    assert np.isnan(found.readers[1].kappa.value) or found.readers[1].kappa.value == 0
    with pytest.raises(TableError, match=r"has no column 'label'.*--column label=COLUMN"):
        read_label_table(tmp_path / "labels.csv", {})


def test_patients_of_the_readings_count_where_no_table_tells_them(tmp_path: Path) -> None:
    rows = "".join(f"{k}.png,{r},{k % 2},p{k // 2},{k % 2}\n" for k in range(8) for r in "ab")
    (tmp_path / "readings.csv").write_text(f"image,reader,label,patient,truth\n{rows}")
    assert judge_readings(tmp_path / "readings.csv", n_resamples=40).n_patients == 4
    without = "".join(f"{k}.png,{r},{k % 2},{k % 2}\n" for k in range(8) for r in "ab")
    (tmp_path / "readings.csv").write_text(f"image,reader,label,truth\n{without}")
    found = judge_readings(tmp_path / "readings.csv", n_resamples=40)
    assert found.n_patients is None
    assert "bootstrap by image: no patient known" in found.readers[0].kappa.method
