"""A DICOM tree and its table become an index, a cache and a split; and no header text becomes anything."""

from __future__ import annotations

import csv
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.pixels.decoders import base as decoders
from pydicom.uid import JPEGLSLossless
from tests.dicom_files import HEIGHT, WIDTH, dataset, encoded, picture

from cxreader.data.index import NO_PATIENTS, Index
from cxreader.data.layouts.dicom import open_dicom_folder
from cxreader.data.layouts.headers import PATIENT_SALT
from cxreader.data.pixel_cache.cache import build_cache
from cxreader.data.sources import open_source
from cxreader.data.split import make_split
from cxreader.errors import DataError, MissingDecoderError, TableError
from cxreader.imaging.header import patient_hash
from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.read import read

PATIENTS, VISITS = 40, 2
Tree = Callable[..., Path]


def uid(patient: int, visit: int) -> str:
    return f"1.2.3.{patient + 1}.{visit + 1}"


def write(path: Path, patient: int, visit: int, **more: Any) -> None:
    """One image; its Study Description gives away the label, as in some public files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    about: dict[str, Any] = {
        "PatientID": f"ID-{patient:04d}",
        "PatientSex": "FM"[patient % 2],
        "PatientAge": f"{30 + patient:03d}Y",
        "ViewPosition": ("PA", "AP")[visit],
        "StudyDescription": ("No Finding", "Effusion")[patient % 2],
        "PixelSpacing": [0.2, 0.2],
        "WindowCenter": 2000,
        "WindowWidth": 3000,
        "SOPInstanceUID": uid(patient, visit),
        **more,
    }
    path.write_bytes(encoded(dataset(picture(seed=10 * patient + visit), **about)))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty patients of two images each, and labels.csv by UID."""
    root = tmp_path_factory.mktemp("tree")
    rows = []
    for patient in range(PATIENTS):
        for visit in range(VISITS):
            write(root / f"study{patient}" / f"IM{visit}", patient, visit)
            rows.append((uid(patient, visit), ("normal", "abnormal")[patient % 2]))
    table(root, rows)
    return root


def table(root: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = ("sop_instance_uid", "label")) -> Path:
    root.mkdir(exist_ok=True)
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return root / "labels.csv"


def test_every_field_comes_from_the_header_and_the_label_from_the_table(tree: Path) -> None:
    index = open_source(tree, name="ours")
    assert (index.kind, index.name, len(index), index.n_patients) == ("dicom", "ours", PATIENTS * VISITS, PATIENTS)
    record = index.by_image[uid(1, 1)]
    assert (record.label, record.sex, record.age, record.view) == (1, "M", 31.0, "AP")
    assert (record.width, record.height, record.spacing, record.source) == (WIDTH, HEIGHT, (0.2, 0.2), "ours")
    assert record.patient == patient_hash(PATIENT_SALT, "", "ID-0001")
    assert record.path == str(tree / "study1" / "IM1")
    assert (index.rows_without_file, index.files_without_row, index.notes) == (0, 0, ())


def test_no_header_text_is_in_the_index(tree: Path, tmp_path: Path) -> None:
    saved = open_source(tree).save(tmp_path / "index.parquet")
    reopened = repr(Index.load(saved).records) + repr(Index.load(saved))
    for text in ("No Finding", "Effusion", "ID-0001", "Doe", "ACC0815", "19500101"):
        assert text not in reopened
        assert text.encode() not in saved.read_bytes()


def test_the_cache_holds_what_read_gives(tree: Path, tmp_path: Path) -> None:
    index, spec = open_source(tree), InputSpec(64)
    cache = build_cache(index.records, spec, tmp_path / "cache", workers=1)
    assert (cache.decoded, cache.errors) == (len(index), ())
    for record in index.records[::7]:
        assert record.path is not None
        np.testing.assert_array_equal(cache.pixels[cache.row(record.image)], spec.pixels(read(record.path)))


def test_patients_are_split_whole(tree: Path) -> None:
    index = open_source(tree)
    split = make_split(index)
    part_of = {image: part for part, images in split.parts.items() for image in images}
    for patient in range(PATIENTS):
        parts = {part_of.get(uid(patient, visit)) for visit in range(VISITS)}
        assert len(parts - {None}) <= 1
    assert len(set(part_of.values())) == 4


def test_by_file_with_findings_patients_and_subtypes_of_the_table(tmp_path: Path) -> None:
    write(tmp_path / "t" / "a" / "x.dcm", 0, 0)
    write(tmp_path / "t" / "y", 1, 0)
    header = ("image", "label", "findings", "patient", "subtype", "other")
    rows = [("./a/x.dcm", "1", "Effusion|Mass", "p1", "bacteria", "z"), ("y", "normal", "", "", "", "")]
    table(tmp_path / "t", rows, header)
    index = open_source(tmp_path / "t")
    first, second = index.records
    assert (index.kind, first.image, first.findings, first.patient, first.subtype) == (
        "dicom", "a/x.dcm", ("Effusion", "Mass"), "p1", "bacteria",
    )  # fmt: skip
    assert second.patient == patient_hash(PATIENT_SALT, "", "ID-0001")


def test_images_without_a_label_are_left_out_and_counted(tmp_path: Path) -> None:
    for n in range(3):
        write(tmp_path / "t" / f"{n}.dcm", n, 0)
    table(tmp_path / "t", [(uid(0, 0), "normal"), (uid(1, 0), ""), (uid(9, 0), "N/A")])
    index = open_source(tmp_path / "t")
    assert [r.image for r in index.records] == [uid(0, 0)]
    assert (index.rows_without_file, index.files_without_row) == (0, 1)  # 2.dcm
    assert "2 images left out: no label" in index.notes
    table(tmp_path / "t", [(uid(1, 0), ""), (uid(9, 0), "normal")])
    with pytest.raises(DataError, match=r"no image is left \(1 row has no file here; 1 image left out: no label\)"):
        open_source(tmp_path / "t")


def test_the_issuer_tells_patients_of_two_hospitals_apart(tmp_path: Path) -> None:
    write(tmp_path / "t" / "a", 0, 0, IssuerOfPatientID="North")
    write(tmp_path / "t" / "b", 0, 1, IssuerOfPatientID="South")
    table(tmp_path / "t", [(uid(0, 0), "normal"), (uid(0, 1), "abnormal")])
    assert open_source(tmp_path / "t").n_patients == 2


def test_what_has_no_counterpart_is_counted(tmp_path: Path) -> None:
    root = tmp_path / "t"
    for n in range(3):
        write(root / f"{n}.dcm", n, 0)
    (root / "notes.txt").write_text("not an image")
    (root / ".hidden.dcm").write_bytes((root / "0.dcm").read_bytes())
    (root / "torn.dcm").write_bytes((root / "0.dcm").read_bytes()[:300])
    (root / "empty.dcm").touch()
    (root / "IM8").write_bytes(bytes(3000))
    with zipfile.ZipFile(root / "more.zip", "w") as file:
        file.write(root / "0.dcm", "x.dcm")  # a copy
        file.writestr("inner/IM7", encoded(dataset(picture(seed=7), SOPInstanceUID="1.2.7")))
    table(root, [(uid(0, 0), "normal"), (uid(1, 0), "abnormal"), ("1.2.3.99", "normal")])
    seen: list[tuple[int, int]] = []
    index = open_dicom_folder(root, progress=lambda done, total: seen.append((done, total)))
    assert (len(index), index.rows_without_file, index.files_without_row) == (2, 1, 3)  # 2.dcm and those in the archive
    assert index.notes == (
        "3 files have no picture, or no readable header: left out",
        "1 file of a kind that is not read: .txt 1",
        "1 hidden file (._*, __MACOSX) left out",
    )
    assert seen[-1] == (6, 6)


def test_a_patient_that_is_not_told_is_said(tmp_path: Path) -> None:
    write(tmp_path / "t" / "a", 0, 0, PatientID="")
    table(tmp_path / "t", [(uid(0, 0), "normal")])
    assert open_source(tmp_path / "t").notes == (NO_PATIENTS,)


def test_two_files_of_one_uid_that_differ_are_refused_when_the_table_names_it(tmp_path: Path) -> None:
    root = tmp_path / "t"
    for name, patient in (("a.dcm", 0), ("b.dcm", 0), ("c.dcm", 1)):
        write(root / name, patient, 0, StationName=name)
    table(root, [(uid(1, 0), "normal")])
    assert len(open_source(root)) == 1  # one that nobody labelled does no harm
    table(root, [(uid(0, 0), "normal")])
    with pytest.raises(DataError, match=r"same SOP Instance UID as a\.dcm; one image, one UID"):
        open_source(root)
    table(root, [("a.dcm", "normal"), ("b.dcm", "normal")], ("image", "label"))
    with pytest.raises(DataError, match=r"same SOP Instance UID as a\.dcm"):
        open_source(root)


def test_copies_of_one_file_are_one_image(tmp_path: Path) -> None:
    root = tmp_path / "t"
    for name, patient in (("a.dcm", 0), ("again/a.dcm", 0), ("c.dcm", 1)):
        write(root / name, patient, 0)
    table(root, [(uid(0, 0), "normal"), (uid(1, 0), "abnormal")])
    assert [Path(str(record.path)).name for record in open_source(root).records] == ["a.dcm", "c.dcm"]
    header = ("image", "label")
    table(root, [("a.dcm", "normal"), ("again/a.dcm", "normal"), ("c.dcm", "abnormal")], header)
    index = open_source(root)
    assert [record.image for record in index.records] == ["a.dcm", "c.dcm"]
    assert "1 row names a copy of another row's image: each is counted once" in index.notes
    table(root, [("a.dcm", "normal"), ("again/a.dcm", "abnormal")], header)
    with pytest.raises(DataError, match="row 3 names a copy of the image in row 2, with another label"):
        open_source(root)


@pytest.mark.parametrize(
    ("header", "row", "what"),
    [
        (("sop_instance_uid", "diagnosis"), ("1.2", "x"), "column 'label' is missing"),
        (
            ("picture", "label"),
            ("a", "normal"),
            "column 'image' is missing; its first row must name sop_instance_uid or image",
        ),
        (("sop_instance_uid", "label"), ("1.2", "sick"), "row 2: the label 'sick' is outside the list"),
        (("sop_instance_uid", "label"), ("", "normal"), "row 2: the sop_instance_uid is empty"),
        (("sop_instance_uid", "label", "findings"), ("1.2", "0", "Mass"), "row 2: the label is normal but findings"),
        (("sop_instance_uid", "label"), ("1.2",), "row 2: has 1 cells, the header 2"),
    ],
)
def test_a_bad_table_says_what_where_and_the_mend(
    header: Sequence[str], row: Sequence[str], what: str, tmp_path: Path
) -> None:
    write(tmp_path / "t" / "a", 0, 0)
    table(tmp_path / "t", [row], header)
    with pytest.raises(TableError, match=what):
        open_source(tmp_path / "t", kind="dicom")


def test_a_uid_twice_names_both_rows(tmp_path: Path) -> None:
    write(tmp_path / "t" / "a", 0, 0)
    table(tmp_path / "t", [(uid(0, 0), "normal"), ("1.2", "normal"), (uid(0, 0), "abnormal")])
    with pytest.raises(TableError, match="stands in row 2 and again in row 4"):
        open_source(tmp_path / "t")
    table(tmp_path / "t", [("9.9", "normal")])
    with pytest.raises(DataError, match=r"no image is left \(1 row has no file here\)"):
        open_source(tmp_path / "t")


def test_where_the_table_may_lie_and_how_a_tree_is_known(tree: Path, tmp_path: Path) -> None:
    images = [record.image for record in open_source(tree).records]
    assert [record.image for record in open_source(tree / "labels.csv").records] == images
    away = tmp_path / "tables"
    away.mkdir()
    (away / "labels.csv").write_text((tree / "labels.csv").read_text())
    (away / "mine.csv").write_text((tree / "labels.csv").read_text())
    for tables in (away, away / "mine.csv"):
        index = open_source(tree, tables=tables)
        assert [record.image for record in index.records] == images
        assert open_source(index.root, kind="dicom", tables=index.tables) == index
    write(tmp_path / "plain" / "a.dcm", 0, 0)
    table(tmp_path / "plain", [("a.dcm", "normal")], ("image", "label"))
    assert open_source(tmp_path / "plain").kind == "dicom"
    assert open_source(tmp_path / "plain", kind="table").kind == "table"
    (tmp_path / "plain" / "labels.csv").unlink()
    with pytest.raises(DataError, match="no labelled images here"):
        open_source(tmp_path / "plain")


def test_a_missing_decoder_ends_a_cache_instead_of_shrinking_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = dataset(picture(), SOPInstanceUID="1.2.3")
    (tmp_path / "t").mkdir()
    made.compress(JPEGLSLossless, encoding_plugin="pyjpegls", generate_instance_uid=False)
    (tmp_path / "t" / "a.dcm").write_bytes(encoded(made))
    table(tmp_path / "t", [("1.2.3", "normal")])
    monkeypatch.setattr(decoders.JPEGLSLosslessDecoder, "_available", {})
    with pytest.raises(MissingDecoderError, match=r"cxreader\[dicom\]"):
        build_cache(open_source(tmp_path / "t").records, InputSpec(64), tmp_path / "cache", workers=1)
    monkeypatch.undo()
    assert build_cache(open_source(tmp_path / "t").records, InputSpec(64), tmp_path / "cache", workers=1).errors == ()


def test_linked_folders_are_searched_and_closed_ones_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "elsewhere" / "IM0", 0, 0)
    root = tmp_path / "root"
    table(root, [(uid(0, 0), "normal")])
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (root / "link" / "loop").symlink_to(root)
    (root / "closed").mkdir()
    scandir = os.scandir

    def guarded(path: str | int) -> Any:  # whoever runs the tests as root may open every folder
        if not isinstance(path, int) and os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    index = open_dicom_folder(root)
    assert [record.path for record in index.records] == [str(root / "link" / "IM0")]
    assert "1 folder or archive cannot be opened: left out" in index.notes


@pytest.mark.parametrize("other", ["12", "12 ", " 12.0"])
def test_one_patient_id_written_in_two_ways_is_one_patient(tmp_path: Path, other: str) -> None:
    """Blanks, and a decimal of a column of numbers, which a device or an export left in Patient ID."""
    write(tmp_path / "t" / "a", 0, 0, PatientID="12")
    write(tmp_path / "t" / "b", 1, 0, PatientID=other)
    table(tmp_path / "t", [(uid(0, 0), "normal"), (uid(1, 0), "abnormal")])
    assert open_source(tmp_path / "t").n_patients == 1


def test_patient_ids_that_differ_by_leading_zeros_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "t" / "a", 0, 0, PatientID="4711")
    write(tmp_path / "t" / "b", 1, 0, PatientID="0004711")
    rows = [(uid(0, 0), "normal"), (uid(1, 0), "abnormal")]
    table(tmp_path / "t", rows)
    with pytest.raises(DataError, match="1 Patient ID differs from another by leading zeros alone") as caught:
        open_source(tmp_path / "t")
    assert "4711" not in str(caught.value).replace(str(tmp_path), "")
    table(tmp_path / "t", [(*row, "p") for row in rows], ("SOPInstanceUID", "Label", "Patient ID"))
    assert open_source(tmp_path / "t").n_patients == 1
