from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxreader.errors import DataError, TableError
from cxreader.evaluation.readers.readings import image_key, read_readings
from cxreader.findings import FINDINGS

PUBLISHED = [
    "Image ID",
    "Patient ID",
    "Reader ID",
    "Abnormal",
    *(f.aliases[0] if f.aliases else f.name for f in FINDINGS),
]


def written(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_the_published_layout_goes_in_as_it_is(tmp_path: Path) -> None:
    header = ",".join([*PUBLISHED[:4], *(f.name.replace("_", " ") for f in FINDINGS), "Other"])
    rows = [("a_0.png", "7", "11", "0"), ("a_0.png", "7", "12", "1"), ("b_1.png", "8", "11", "1")]
    text = "\n".join([header, *(",".join([*row, *["NO"] * (len(FINDINGS) + 1)]) for row in rows)])
    found = read_readings(written(tmp_path / "r.csv", text))
    assert found.reader == ("11", "12")
    assert found.modality == ("",)
    assert found.image.tolist() == ["a_0", "b_1"]
    assert found.first.tolist() == [[0, 1], [1, -1]]
    assert found.patient is not None
    assert found.patient.tolist() == ["7", "8"]
    assert found.notes == ()


def test_images_are_joined_whatever_their_folder_and_suffix(tmp_path: Path) -> None:
    text = "image,reader,label\nx/a.png,r,abnormal\nb.jpg,r,normal\nz.png,r,normal\n"
    found = read_readings(written(tmp_path / "r.csv", text)).aligned(["c.png", "deep/b.dcm", r"y\a.jpeg"])
    assert found.first.tolist() == [[-1, 0, 1]]
    assert found.notes == (
        "1 image that readers saw is not among those judged",
        "1 image among those judged was read by nobody",
    )


def test_a_name_with_points_is_no_suffix() -> None:
    # Of a UID the last number would otherwise be taken for a suffix, and two images of a series for one.
    assert image_key("1.2.840.1") == "1.2.840.1"
    assert image_key("series/1.2.840.2.dcm") == "1.2.840.2"


def test_scores_modalities_and_truth_by_other_names(tmp_path: Path) -> None:
    text = "reader,treatment,case,truth,rating\n1,a,1,0,3\n1,b,1,0,\n1,a,2,1,4.5\n1,b,2,1,2\n"
    found = read_readings(written(tmp_path / "r.csv", text))
    assert found.modality == ("a", "b")
    np.testing.assert_array_equal(found.score[:, 0], [[3, 4.5], [np.nan, 2]])
    assert found.truth.tolist() == [0, 1]
    assert (found.label == -1).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,label\na,1\n", "has no column 'reader'"),
        ("image,reader\na,1\n", "has no column 'label'"),
        ("image,reader,label\na.png,r,1\na.jpg,r,0\n", "reader r reads image a twice"),
        ("image,reader,label\na,r,perhaps\n", "label 'perhaps' is neither normal nor abnormal"),
        ("image,reader,label,patient\na,r,1,p\na,s,1,q\n", "image a has another patient than in a row above"),
        ("image,reader,label\na,,1\n", "the reader has no name"),
        ("image,reader,score\na,r,high\n", "'high' is no number"),
        ("image,reader,score\na,r,83%\na,s,40\n", "row 3, column score: some ratings have a percent sign, others none"),
        ("image,reader,label\na,r,\nb,r,\n", "holds no reading"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises((TableError, DataError), match=words):
        read_readings(written(tmp_path / "r.csv", text))


def test_confidence_and_condition_are_not_guessed(tmp_path: Path) -> None:
    """Confidence in one's own call is no rating of abnormality; a condition may be a disease."""
    path = written(tmp_path / "r.csv", "image,reader,label,Confidence,condition\na,r,0,5,with\nb,r,1,4,with\n")
    found = read_readings(path)
    assert np.isnan(found.score).all()
    assert found.modality == ("",)
    assert [note.split(";")[0] for note in found.notes] == [
        "column Confidence is not read",
        "column condition is not read",
    ]
    assert found.notes[0].endswith("of his call: --column score=confidence")
    assert found.notes[1].endswith("--column modality=condition")
    named = read_readings(path, {"score": "confidence", "modality": "condition"})
    assert named.score[0, 0].tolist() == [5, 4]
    assert named.modality == ("with",)
    assert named.notes == ()
    beside = written(tmp_path / "both.csv", "image,reader,score,confidence\na,r,2,5\n")
    assert read_readings(beside).notes == ("columns not used: confidence",)
    alone = written(tmp_path / "alone.csv", "image,reader,confidence\na,r,5\n")
    with pytest.raises(TableError, match=r"has no column 'label'.*how sure the reader is.*--column score=confidence"):
        read_readings(alone)


def test_ratings_may_be_percentages(tmp_path: Path) -> None:
    found = read_readings(written(tmp_path / "r.csv", "image,reader,score\na,r,83%\nb,r,7.5 %\n"))
    assert found.score[0, 0].tolist() == pytest.approx([0.83, 0.075])


def test_columns_of_findings_need_no_word_whatever_their_form(tmp_path: Path) -> None:
    text = "image,reader,label,findings,Effusion,grade\na,r,1,Effusion|Nodule,YES,2\n"
    assert read_readings(written(tmp_path / "r.csv", text)).notes == ("columns not used: grade",)


def test_images_that_a_table_lacks_are_told_by_its_name(tmp_path: Path) -> None:
    """Without a model nothing is judged there: the table that was to join them is named."""
    found = read_readings(written(tmp_path / "r.csv", "image,reader,label\na,r,1\nb,r,1\n"))
    assert found.aligned(["a.png", "c.png", "d.png"], "labels.csv").notes == (
        "1 image that readers saw is not in labels.csv",
        "2 images in labels.csv were read by nobody",
    )
    with pytest.raises(DataError, match=r"none of the 2 images that readers saw is in labels\.csv"):
        found.aligned(["c.png"], "labels.csv")


def test_two_judged_images_of_one_name_are_refused(tmp_path: Path) -> None:
    found = read_readings(written(tmp_path / "r.csv", "image,reader,label\na,r,1\n"))
    with pytest.raises(TableError, match="two images are named a but for folder and suffix"):
        found.aligned(["x/a.png", "y/a.png"])
    # Of an image that nobody read there is nothing to tell apart.
    assert found.aligned(["x/b.png", "y/b.png", "a.png"]).first.tolist() == [[-1, -1, 1]]
    with pytest.raises(DataError, match="none of the 1 image that readers saw is among those judged"):
        found.aligned(["c.png"])


@pytest.mark.parametrize("other", ["dr a", "DR  A", "Dr\u00a0A"])
def test_names_that_differ_by_case_or_blanks_alone_are_no_two_readers(tmp_path: Path, other: str) -> None:
    path = written(tmp_path / "r.csv", f"image,reader,label\n1,Dr A,0\n2,Dr A ,0\n1,{other},1\n")
    with pytest.raises(TableError, match=r"reader .* is 'Dr A' but for case or blanks; write each one way"):
        read_readings(path)
    assert read_readings(written(path, "image,reader,label\n1,Dr A,0\n2,Dr A ,0\n1,Dr AB,1\n")).reader == (
        "Dr A",
        "Dr AB",
    )


def test_modalities_that_differ_by_case_alone_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "r.csv", "image,reader,label,modality\n1,a,0,with\n1,a,0,With\n")
    with pytest.raises(TableError, match="modality 'With' is 'with' but for case or blanks"):
        read_readings(path)
