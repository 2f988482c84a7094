"""Trees whose folders are the labels: DICOM, mixed, without suffixes, in archives, with copies and with what is no image."""

from __future__ import annotations

import os
import shutil
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydicom.fileset import FileSet
from tests.dicom_files import dataset, encoded, picture

from cxreader.data.index import NO_PATIENTS, Index
from cxreader.data.layouts.folder import is_labelled_tree, open_folder
from cxreader.data.layouts.headers import PATIENT_SALT
from cxreader.data.sources import open_source
from cxreader.errors import DataError
from cxreader.imaging.header import patient_hash

Draw = Callable[..., Path]


def dicom(path: Path, seed: int, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    about: dict[str, Any] = {
        "PatientID": f"ID-{seed}",
        "PatientAge": "054Y",
        "PatientSex": "M",
        "ViewPosition": "AP",
        **more,
    }
    path.write_bytes(encoded(dataset(picture(seed=seed), **about)))
    return path


@pytest.fixture
def mixed(tmp_path: Path, draw: Draw) -> Path:
    """Two DICOM files and two PNG files, one of each without a suffix, in either folder."""
    root = tmp_path / "mixed"
    for n, label in enumerate(("normal", "Abnormal")):
        dicom(root / label / "IM0.dcm", 4 * n)
        dicom(root / label / "IM1", 4 * n + 1)
        draw(root / label / "x0.png", 4 * n + 2)
        draw(root / label / "x1.png", 4 * n + 3).rename(root / label / "x1")
    return root


def zipped(root: Path, archive: Path, below: str = "") -> Path:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            file.write(path, below + path.relative_to(root).as_posix())
    return archive


def labels(index: Index) -> dict[str, int]:
    return {record.image: record.label for record in index.records}


IMAGES = {
    **{f"Abnormal/{name}": 1 for name in ("IM0.dcm", "IM1", "x0.png", "x1")},
    **{f"normal/{name}": 0 for name in ("IM0.dcm", "IM1", "x0.png", "x1")},
}


def test_images_are_known_by_content_and_dicom_tells_its_patients(mixed: Path) -> None:
    index = open_source(mixed, name="ours")
    assert (index.kind, labels(index), index.n_patients) == ("folder", IMAGES, 4)
    assert (index.rows_without_file, index.files_without_row) == (0, 0)
    assert index.notes == ("4 of 8 images name no patient",)
    record = index.by_image["normal/IM1"]
    assert (record.age, record.sex, record.view, record.width) == (54.0, "M", "AP", 96)
    assert (record.patient, record.source) == (patient_hash(PATIENT_SALT, "", "ID-1"), "ours")
    assert index.by_image["normal/x0.png"].view is None


def test_patient_ids_that_differ_by_leading_zeros_are_refused(tmp_path: Path) -> None:
    dicom(tmp_path / "normal" / "a", 1, PatientID="12")
    dicom(tmp_path / "abnormal" / "b", 2, PatientID="0012")
    with pytest.raises(DataError, match="1 Patient ID differs from another by leading zeros alone"):
        open_source(tmp_path)


def test_laterals_are_left_out_and_counted(mixed: Path) -> None:
    dicom(mixed / "normal" / "lateral", 20, ViewPosition="LL")
    dicom(mixed / "normal" / "sideways", 21, ViewPosition=None, PatientOrientation=["A", "F"])
    dicom(mixed / "normal" / "frontal", 22, ViewPosition=None, PatientOrientation=["L", "F"])
    index = open_source(mixed)
    assert labels(index) == IMAGES | {"normal/frontal": 0}
    assert "2 lateral views are left out" in index.notes


def test_side_files_and_kinds_that_are_not_read_are_counted(mixed: Path) -> None:
    (mixed / "normal" / "._x0.png").write_bytes(b"resource fork")
    shutil.copytree(mixed / "normal", mixed / "__MACOSX" / "normal")
    for name, kind in (("a.bmp", "BMP"), ("b.tif", "TIFF"), ("c.webp", "WEBP")):
        Image.new("L", (40, 40), 99).save(mixed / "Abnormal" / name, kind)
    index = open_source(mixed)
    assert labels(index) == IMAGES
    assert index.notes[1:] == (
        "3 files of kinds that are not read: .bmp 1, .tif 1, .webp 1",
        "6 hidden files (._*, __MACOSX) left out",
    )


def test_other_objects_of_a_study_are_no_images(mixed: Path) -> None:
    report = dataset(picture(), SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR")
    del report.PixelData
    (mixed / "normal" / "SR1.dcm").write_bytes(encoded(report))
    index = open_source(mixed)
    assert labels(index) == IMAGES
    assert "1 other DICOM object passed over: 1 SR" in index.notes


def test_copies_are_counted_once_and_contradictions_left_out(mixed: Path) -> None:
    shutil.copytree(mixed, mixed / "mixed")  # an archive that holds itself once more
    assert labels(open_source(mixed)) == IMAGES
    shutil.copy(mixed / "normal" / "x0.png", mixed / "Abnormal" / "other.png")
    index = open_source(mixed)
    assert labels(index) == {image: label for image, label in IMAGES.items() if image != "normal/x0.png"}
    assert "7 images are copies of others here: each is counted once" in index.notes
    assert "3 images stand under both normal and abnormal, as copies: left out" in index.notes


def test_pictures_of_one_uid_are_not_thereby_copies(tmp_path: Path) -> None:
    """Some ways of taking names away give all files one UID."""
    for seed, label in enumerate(("normal", "abnormal")):
        dicom(tmp_path / label / "a", seed, SOPInstanceUID="1.2.3")
    assert len(open_source(tmp_path)) == 2


def test_a_data_set_in_one_archive(mixed: Path, tmp_path: Path) -> None:
    archive = zipped(mixed, tmp_path / "set.zip", "top/")
    index = open_source(archive)
    assert labels(index) == {f"top/{image}": label for image, label in IMAGES.items()}
    assert index.by_image["top/normal/IM1"].path == f"{archive}!/top/normal/IM1"
    assert (index.kind, index.root, index.n_patients) == ("folder", str(archive), 4)
    assert open_source(index.root, kind="folder") == index
    again = open_source(index.save(tmp_path / "index.parquet"))
    assert again == index


def test_an_archive_of_other_folders_is_no_set_of_one_class(mixed: Path, tmp_path: Path) -> None:
    (mixed / "Abnormal").rename(mixed / "PNEUMONIA")
    archive = zipped(mixed, tmp_path / "chest_xray.zip")
    for kind in ("auto", "nih"):
        with pytest.raises(DataError, match=r"is an archive, of which only folders normal and abnormal.*; unpack it"):
            open_source(archive, kind=kind)


def test_archives_in_a_tree(mixed: Path, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    for label in ("normal", "Abnormal"):
        (root / label).mkdir(parents=True)
        zipped(mixed / label, root / label / "part1.zip")
    index = open_source(root)
    assert labels(index) == {image.replace("/", "/part1.zip!/"): label for image, label in IMAGES.items()}
    other = tmp_path / "by archive"
    other.mkdir()
    for label in ("normal", "Abnormal"):
        zipped(mixed / label, other / f"{label}.zip")
    assert labels(open_source(other)) == {image.replace("/", ".zip!/"): label for image, label in IMAGES.items()}
    whole = tmp_path / "whole"
    whole.mkdir()
    zipped(mixed, whole / "all.zip")
    assert labels(open_source(whole)) == {f"all.zip!/{image}": label for image, label in IMAGES.items()}


def test_a_dicomdir_whose_folders_are_labels(tmp_path: Path) -> None:
    made = FileSet()
    for seed in range(2):
        image = dataset(picture(seed=seed), StudyDate="20200101", StudyTime="12", StudyID="1", PatientID=f"P{seed}")
        image.SeriesInstanceUID, image.SeriesNumber, image.InstanceNumber = f"1.2.3.{seed}", 1, 1
        made.add(image)
    made.write(tmp_path / "media")
    made._stage["t"].cleanup()
    assert not is_labelled_tree(tmp_path / "media" / "DICOMDIR")
    with pytest.raises(
        DataError, match=r"no image under .* \(2 images lie under neither normal nor abnormal\); make these"
    ):
        open_source(tmp_path / "media" / "DICOMDIR")
    (tmp_path / "media" / "labels.csv").write_text("sop_instance_uid,label\n1.2,0\n")
    with pytest.raises(DataError, match=r"no image is left \(1 row has no file here\)"):
        open_source(tmp_path / "media" / "DICOMDIR")
    first = sorted(path.relative_to(tmp_path / "media").as_posix() for path in tmp_path.glob("media/*/*/*/*"))[0]
    (tmp_path / "media" / "labels.csv").write_text(f"image,label\n{first},0\n")
    index = open_source(tmp_path / "media" / "DICOMDIR")
    assert (len(index), index.files_without_row, index.kind) == (1, 1, "dicom")


def test_links_are_followed_without_circles(mixed: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "set").symlink_to(mixed)
    (mixed / "normal" / "again").symlink_to(root)
    assert labels(open_source(root)) == {f"set/{image}": label for image, label in IMAGES.items()}


def test_names_are_composed(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / unicodedata.normalize("NFD", "Müller/normal/Größe.png"), 1)
    draw(tmp_path / "abnormal" / "a.png", 2)
    assert labels(open_source(tmp_path)) == {
        unicodedata.normalize("NFC", "Müller/normal/Größe.png"): 0,
        "abnormal/a.png": 1,
    }


def test_a_name_that_is_no_text_is_left_out_and_counted(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "normal" / "a.png", 1)
    draw(tmp_path / "abnormal" / "b.png", 2)
    odd = draw(tmp_path / "normal" / "c.png", 3)
    try:
        odd.rename(os.fsdecode(os.fsencode(odd.parent) + b"/M\xfcller.png"))  # Latin-1
    except OSError:
        pytest.skip("this disk takes UTF-8 alone")
    index = open_source(tmp_path)
    assert labels(index) == {"normal/a.png": 0, "abnormal/b.png": 1}
    assert "1 image has a name that is no UTF-8 text: left out" in index.notes
    index.save(tmp_path / "index.parquet")


def test_a_file_that_is_no_image_in_spite_of_its_name_is_kept_for_its_reason(mixed: Path) -> None:
    (mixed / "normal" / "torn.png").write_bytes(b"")
    (mixed / "normal" / "torn.dcm").write_bytes((mixed / "normal" / "IM0.dcm").read_bytes()[:400])
    assert labels(open_source(mixed)) == IMAGES | {"normal/torn.dcm": 0, "normal/torn.png": 0}


def test_no_image_under_the_folders_tells_what_was_seen(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "a.png")
    (tmp_path / "normal").mkdir()
    Image.new("L", (40, 40)).save(tmp_path / "normal" / "b.tif")
    with pytest.raises(DataError) as caught:
        open_folder(tmp_path)
    assert caught.value.what == (
        "no image under a folder named normal or abnormal (1 image lies under neither normal nor abnormal; "
        "1 file of a kind that is not read: .tif 1)"
    )
    assert "or give a table of labels" in str(caught.value.mend)


def test_no_patient_is_known_of_pictures(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "normal" / "a.png", 1)
    draw(tmp_path / "abnormal" / "b.jpg", 2)
    assert open_source(tmp_path).notes == (NO_PATIENTS,)
