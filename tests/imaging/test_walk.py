"""One walk: images by content, and whatever is none of them counted."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.fileset import FileSet
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.dicom_files import dataset, encoded, picture

from cxreader.imaging import containers
from cxreader.imaging.dicom.objects import other_object
from cxreader.imaging.duplicates.copies import copies
from cxreader.imaging.limits import HEAD
from cxreader.imaging.read import read
from cxreader.imaging.walk import PassedOver, walk
from cxreader.inference.batch.paths import listed

CR = "1.2.840.10008.5.1.4.1.1.1"
OBJECTS = {
    "SR": ("1.2.840.10008.5.1.4.1.1.88.33", "SR"),
    "KO": ("1.2.840.10008.5.1.4.1.1.88.59", "KO"),
    "PR": ("1.2.840.10008.5.1.4.1.1.11.1", "PR"),
    "PDF": ("1.2.840.10008.5.1.4.1.1.104.1", "DOC"),
    "SEG": ("1.2.840.10008.5.1.4.1.1.66.4", "SEG"),
    "RTSTRUCT": ("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT"),
    "RTPLAN": ("1.2.840.10008.5.1.4.1.1.481.5", "RTPLAN"),
    "waveform": ("1.2.840.10008.5.1.4.1.1.9.1.1", "ECG"),
}
"""SOP classes as PS3.4 B.5 lists them, and their modalities."""


def png(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture(8, seed=seed).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def written(sop_class: str | None, modality: str, *, meta: bool = True, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """A DICOM file without a picture."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax  # type: ignore[assignment]
    if sop_class is not None:
        made.SOPClassUID = sop_class
    made.SOPInstanceUID, made.Modality, made.PatientName, made.PatientID = "1.2.3.4", modality, "Doe^Jane", "4711"
    made.add_new(0x0040A160, "UT", "a long report " * 500)  # goes on behind the first bytes
    buffer = io.BytesIO()
    if meta:
        made.save_as(buffer, enforce_file_format=sop_class is not None)
        return buffer.getvalue()
    implicit = syntax == ImplicitVRLittleEndian
    del made.file_meta
    made.save_as(buffer, implicit_vr=implicit, little_endian=True)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", OBJECTS)
def test_other_objects_are_known_by_their_class(kind: str) -> None:
    assert other_object(written(OBJECTS[kind][0], "OT")[:HEAD]) == kind  # whatever the modality says
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        assert other_object(written(OBJECTS[kind][0], "OT", meta=False, syntax=syntax)[:HEAD]) == kind


@pytest.mark.parametrize("sop_class", [CR, "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.481.1", f"{CR}.1"])
def test_pictures_are_no_other_objects(sop_class: str) -> None:
    """Computed and digital radiography, secondary capture, and the RT Image, which is a picture."""
    assert other_object(written(sop_class, "SR")[:HEAD]) is None


@pytest.mark.parametrize(("modality", "kind"), [("SR", "SR"), ("PR", "PR"), ("CR", None), ("OT", None), ("", None)])
def test_the_modality_decides_where_the_class_is_private_or_missing(modality: str, kind: str | None) -> None:
    assert other_object(written("1.3.12.2.1107.5.9.1", modality)[:HEAD]) == kind
    assert other_object(written(None, modality, meta=False)[:HEAD]) == kind


def test_what_cannot_be_told_is_an_image_so_that_it_gets_its_row() -> None:
    assert other_object(bytes(128) + b"DICM" + b"\xff" * 300) is None
    assert other_object(b"") is None


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A CR beside a report, a presentation state, a key object selection and a document, none with a suffix."""
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "IM0001").write_bytes(encoded(dataset(picture(), SOPClassUID=CR, Modality="CR")))
    for kind in ("SR", "PR", "KO", "PDF"):
        (folder / f"{kind}0001").write_bytes(written(*OBJECTS[kind]))
    return folder


def test_of_a_study_the_image_is_read_and_the_rest_counted_once(study: Path, tmp_path: Path) -> None:
    files, left = listed([str(study)])
    assert files == [str(study / "IM0001")]
    assert left.notes() == ("4 other DICOM objects passed over: 1 KO, 1 PDF, 1 PR, 1 SR",)
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as file:
        for path in sorted(study.iterdir()):
            file.write(path, path.name)
    assert listed([str(tmp_path / "study.zip")]) == ([f"{tmp_path}/study.zip!/IM0001"], left)
    assert listed([str(study / "SR0001")])[0] == [str(study / "SR0001")]  # one that is named gets its row


def test_of_a_dicomdir_too(study: Path, tmp_path: Path) -> None:
    made = FileSet()
    image = dataset(picture(), SOPClassUID=CR, Modality="CR", StudyDate="20200101", StudyTime="12", StudyID="1")
    image.SeriesInstanceUID, image.SeriesNumber, image.InstanceNumber = "1.2.3.5", 1, 1
    made.add(image)
    made.write(tmp_path / "media")
    made._stage["t"].cleanup()
    (name,) = listed([str(tmp_path / "media" / "DICOMDIR")])[0]
    Path(name).write_bytes(written(*OBJECTS["SR"]))
    found = walk(tmp_path / "media" / "DICOMDIR")
    assert (found.images, found.passed_over.objects) == ((), Counter({"SR": 1}))
    Path(name).unlink()
    assert listed([str(tmp_path / "media" / "DICOMDIR")])[0] == [name]  # reading it says that it is missing


def test_files_of_the_system_are_left_out_and_counted(tmp_path: Path) -> None:
    for name in (
        "a.png",
        "._a.png",
        "__MACOSX/deep/._a.png",
        "__MACOSX/b.png",
        ".cache/c.png",
        "@eaDir/a.png",
        "Thumbs.db",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(png())
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as file:
        for name in ("normal/d.png", "normal/._d.png", "__MACOSX/normal/._d.png", "@eaDir/"):
            file.writestr(name, b"" if name.endswith("/") else png())
    found = walk(tmp_path)
    assert [os.path.relpath(met.name, tmp_path) for met in found.images] == ["a.png", "more.zip!/normal/d.png"]
    assert found.passed_over == PassedOver(hidden=8)
    assert found.passed_over.notes() == ("8 hidden files (._*, __MACOSX) left out",)


def test_suffixes_are_told_but_none_that_may_be_a_name(tmp_path: Path) -> None:
    for name in ("a.tif", "b.TIF", "c.webp", "scan.mueller", "notes"):
        (tmp_path / name).write_bytes(b"II*\0 no picture that is read")
    (tmp_path / "d.png").write_bytes(b"no picture, but called one")
    (tmp_path / "IM1").write_bytes(png())
    found = walk(tmp_path)
    assert [(Path(met.name).name, met.kind) for met in found.images] == [("IM1", "PNG"), ("d.png", None)]
    assert found.passed_over.notes() == ("5 files of kinds that are not read: .tif 2, .webp 1, no suffix 1, others 1",)


def test_an_image_of_which_a_broken_copy_left_nothing_gets_its_row(tmp_path: Path) -> None:
    """As DICOM files are often called; a name that says something else says so."""
    left = {
        "IM0001": b"",
        "IM0002": bytes(3000),
        "1.2.840.5": b"",
        "notes.txt": b"",
        "marks": b"no image",
        "Z.png": b"",
    }
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as file:
        for name, data in left.items():
            (tmp_path / name).write_bytes(data)
            file.writestr(name, data)
    found = walk(tmp_path)
    lost = ["1.2.840.5", "IM0001", "IM0002", "Z.png"]
    in_archive = [f"more.zip!/{name}" for name in ("IM0001", "IM0002", "1.2.840.5", "Z.png")]
    assert [os.path.relpath(met.name, tmp_path) for met in found.images] == [*lost, *in_archive]
    assert found.passed_over.others == Counter({".txt": 2, "no suffix": 2})


def test_a_folder_alone_and_what_is_known_already(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "deep/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png())
    assert [Path(met.name).name for met in walk(tmp_path, deep=False).images] == ["a.png", "b.png"]
    assert [Path(met.name).name for met in walk(tmp_path, known=lambda p: p.endswith("b.png")).images] == [
        "a.png",
        "c.png",
    ]
    assert [met.kind for met in walk(tmp_path / "a.png").images] == ["PNG"]


def test_archives_that_cannot_be_looked_into_are_counted(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a.png", png())
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as file:
        file.write(tmp_path / "a.zip", "inner.zip")
    (tmp_path / "a.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:-30])
    found = walk(tmp_path)
    assert (found.images, found.passed_over) == ((), PassedOver(closed=2))
    assert found.passed_over.notes() == ("2 folders or archives cannot be opened: left out",)
    assert len(listed([str(tmp_path)])[0]) == 2  # reading them says why


def backslashes(path: Path, names: list[str], data: bytes, *, flags: int = 0) -> None:
    """An archive whose names are written as they are."""
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            info = zipfile.ZipInfo("x")
            info.filename = name
            file.writestr(info, data)


def test_backslashes_in_an_archive_are_slashes(tmp_path: Path) -> None:
    names = ["STUDY1\\", "STUDY1\\SERIES1\\IM0001.dcm", "STUDY1\\__MACOSX\\._IM0001.dcm", "..\\up.dcm", "\\etc\\x.dcm"]
    backslashes(tmp_path / "export.zip", names, encoded(dataset(picture())))
    archive = f"{tmp_path}/export.zip"
    files, left = listed([archive])
    assert files == [f"{archive}!/{name}" for name in ("STUDY1/SERIES1/IM0001.dcm", "../up.dcm", "/etc/x.dcm")]
    assert left == PassedOver(hidden=1)
    pixels = read(files[0]).pixels
    np.testing.assert_array_equal(pixels, read(encoded(dataset(picture()))).pixels)
    np.testing.assert_array_equal(pixels, read(f"{archive}!/STUDY1\\SERIES1\\IM0001.dcm").pixels)
    for climbing in files[1:]:
        with pytest.raises(Exception, match="leads out of the archive"):
            read(climbing)


def test_names_of_archives_that_macos_wrote_are_utf_8(tmp_path: Path) -> None:
    """It leaves bit 11 unset, so that the bytes of Müller would be read in code page 437."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("MXXller/a.png", png())
    (tmp_path / "mac.zip").write_bytes(data.getvalue().replace(b"MXXller", "Müller".encode()))
    assert listed([str(tmp_path / "mac.zip")])[0] == [f"{tmp_path}/mac.zip!/Müller/a.png"]
    (tmp_path / "dos.zip").write_bytes(data.getvalue().replace(b"MXXller", "Mü_ller".encode("cp437")))
    assert listed([str(tmp_path / "dos.zip")])[0] == [f"{tmp_path}/dos.zip!/Mü_ller/a.png"]


def test_copies_are_files_of_the_same_bytes(tmp_path: Path) -> None:
    long = bytes(3 * HEAD)
    contents = {
        "a": png(1),
        "b": png(2),
        "c": png(1),
        "d": long + b"1",
        "e": long + b"2",
        "f": long + b"1",
        "g": png(1),
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("h", png(2))
        file.writestr("i", png(3))
    names = [*(str(tmp_path / name) for name in contents), *(f"{tmp_path}/z.zip!/{name}" for name in "hi"), "absent"]
    short = {Path(copy).name: Path(first).name for copy, first in copies(names).items()}
    assert short == {"c": "a", "g": "a", "f": "d", "h": "b"}


def test_a_member_changes_with_its_content(tmp_path: Path) -> None:
    seen = set()
    for data in (b"one", b"two", b"three"):
        with zipfile.ZipFile(tmp_path / "z.zip", "w") as file:
            file.writestr("a", data)
            file.writestr("b", b"same")
        seen.add(containers.identity(f"{tmp_path}/z.zip!/a"))
        same = containers.identity(f"{tmp_path}/z.zip!/b")
    assert len(seen) == 3
    assert same == (4, zlib.crc32(b"same"))
    assert containers.is_there(f"{tmp_path}/z.zip!/b")
    assert not containers.is_there(f"{tmp_path}/z.zip!/c")
    assert not containers.is_there(f"{tmp_path}/absent")
