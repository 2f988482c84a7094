"""Zip archives and DICOMDIRs: their images by name, and whatever must not be followed."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.fileset import FileSet
from tests.dicom_files import HEIGHT, WIDTH, dataset, encoded, picture

from cxreader.errors import ImageError
from cxreader.imaging import containers, zip_directory
from cxreader.imaging.read import read, read_header, size
from cxreader.imaging.walk import PassedOver
from cxreader.inference.batch.paths import listed

DICOM = encoded(dataset(picture(), WindowCenter=2000, WindowWidth=3000))


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture(8).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "study.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("series/", b"")
        file.writestr("series/IM0001", DICOM)
        file.writestr("series/two words.png", png(), zipfile.ZIP_STORED)
        file.writestr("notes.txt", "patient,label\n" * 100)
        file.writestr(".hidden.dcm", DICOM)
        file.writestr("__MACOSX/._IM0001", DICOM)
        file.writestr("torn.dcm", DICOM[:200])
    return path


def test_an_archive_stands_for_its_images(archive: Path) -> None:
    files, passed_over = listed([str(archive)])
    assert files == [f"{archive}!/series/IM0001", f"{archive}!/series/two words.png", f"{archive}!/torn.dcm"]
    assert passed_over == PassedOver(others=Counter({".txt": 1}), hidden=2)
    assert listed([str(archive.parent)]) == (files, passed_over)  # met in a folder


def test_members_are_read_as_files_are(archive: Path) -> None:
    name = f"{archive}!/series/IM0001"
    np.testing.assert_array_equal(read(name).pixels, read(DICOM).pixels)
    np.testing.assert_array_equal(read(f"{archive}!/series/two words.png").pixels, read(png()).pixels)
    assert read(name).source == name
    assert read_header(name) == read_header(DICOM)
    assert size(name) == (WIDTH, HEIGHT)
    with pytest.raises(ImageError, match="cut short") as caught:
        read(f"{archive}!/torn.dcm")
    assert str(caught.value).startswith(f"{archive}!/torn.dcm: ")
    with pytest.raises(ImageError, match="no such member"):
        read(f"{archive}!/absent.dcm")
    with pytest.raises(ImageError, match="no such file"):
        read(f"{archive.parent}/absent.zip!/a.dcm")


def test_an_archive_itself_is_no_image(archive: Path) -> None:
    with pytest.raises(ImageError, match="is a zip archive of 7 files, not an image"):
        read(archive)
    archive.write_bytes(archive.read_bytes()[:-30])
    assert listed([str(archive)]) == ([str(archive)], PassedOver())
    with pytest.raises(ImageError, match="damaged zip archive"):
        read(archive)


HOSTILE = {
    "climbs": ("../../outside.dcm", "leads out of the archive"),
    "absolute": ("/etc/passwd.dcm", "leads out of the archive"),
    "drive": ("C:/outside.dcm", "leads out of the archive"),
    "backslash": ("..\\..\\outside.dcm", "leads out of the archive"),
    "link": ("link.dcm", "is a link"),
    "encrypted": ("secret.dcm", "is encrypted"),
    "method": ("other.dcm", "compressed by method 12"),
    "large": ("large.dcm", "at most 256 are read"),
    "lies": ("lies.dcm", "damaged zip archive"),
    "lies well": ("lies.dcm", "damaged zip archive"),
    "sum": ("sum.dcm", "damaged zip archive"),
}


def hostile(path: Path, kind: str) -> str:
    """An archive with one member of this kind; its name."""
    inner = HOSTILE[kind][0]
    info = zipfile.ZipInfo(inner)
    info.filename = inner  # ZipInfo itself would mend backslashes
    info.compress_type = zipfile.ZIP_BZIP2 if kind == "method" else zipfile.ZIP_DEFLATED
    if kind == "link":
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(info, bytes(50_000_000) if "lies" in kind else DICOM)
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    if kind == "encrypted":
        data[central + 8] |= 1
    if kind == "large":
        data[central + 24 : central + 28] = (300 * 2**20).to_bytes(4, "little")
    if kind == "lies well":  # the sum is that of as many bytes as are unpacked of it
        data[central + 16 : central + 20] = zlib.crc32(bytes(1001)).to_bytes(4, "little")
    if "lies" in kind:
        data[central + 24 : central + 28] = (1000).to_bytes(4, "little")
    if kind == "sum":
        data[central + 16 : central + 20] = zlib.crc32(b"other").to_bytes(4, "little")
    path.write_bytes(data)
    return f"{path}!/{inner}"


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_member_that_must_not_be_read_is_one_row(kind: str, tmp_path: Path) -> None:
    import tracemalloc

    name = hostile(tmp_path / "a.zip", kind)
    assert listed([str(tmp_path / "a.zip")])[0] == [name.replace("\\", "/")]
    tracemalloc.start()
    with pytest.raises(ImageError, match=HOSTILE[kind][1]) as caught:
        read(name)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert caught.value.mend
    assert "\n" not in str(caught.value)


def test_a_member_without_its_own_header_is_damaged(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a.dcm", DICOM)
        file.writestr("b.dcm", DICOM)
    data = (tmp_path / "a.zip").read_bytes()
    at = data.rindex(b"PK\x03\x04")
    (tmp_path / "a.zip").write_bytes(data[:at] + b"PKxx" + data[at + 4 :])
    np.testing.assert_array_equal(read(f"{tmp_path}/a.zip!/a.dcm").pixels, read(DICOM).pixels)
    with pytest.raises(ImageError, match="damaged zip archive"):
        read(f"{tmp_path}/a.zip!/b.dcm")


def test_archives_that_hold_too_much_are_refused_whole(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zip_directory.listed.cache_clear()
    monkeypatch.setattr(zip_directory, "MAX_TOTAL", 1000)
    assert listed([str(archive)]) == ([str(archive)], PassedOver())
    with pytest.raises(ImageError, match="the archive holds 7 files of"):
        read(archive)
    monkeypatch.undo()
    monkeypatch.setattr(zip_directory, "MAX_MEMBERS", 3)
    with pytest.raises(ImageError, match="at most 3 "):
        read(f"{archive}!/series/IM0001")
    monkeypatch.setattr(zip_directory, "MAX_MEMBERS", 7)
    monkeypatch.setattr(zip_directory, "MAX_DIRECTORY", 100)  # not read to be counted: 46 bytes a member at least
    with pytest.raises(ImageError, match="holds 8 files; at most 7 are read"):
        read(archive)


@pytest.mark.parametrize("zip64", [False, True])
def test_an_archive_of_too_many_is_refused_before_its_directory_is_made(
    zip64: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "many.zip"
    with monkeypatch.context() as patched, zipfile.ZipFile(path, "w") as file:
        for n in range(150):
            file.writestr(f"{n}.dcm", b"x")
        file.comment = b"of many"
        if zip64:
            patched.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 100)
            file.close()
    assert (b"PK\x06\x06" in path.read_bytes()) == zip64
    monkeypatch.setattr(zip_directory, "MAX_MEMBERS", 149)

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(zipfile, "ZipFile", never)
    with pytest.raises(ImageError, match="holds 150 files; at most 149 are read"):
        read(path)
    data = path.read_bytes()
    at = data.rindex(b"PK\x05\x06")
    path.write_bytes(data[: at + 8] + b"\1\0\1\0" + data[at + 12 :])  # an end record that tells of one alone
    with pytest.raises(ImageError, match="holds 150 files"):
        read(path)


def test_two_members_of_one_name_are_a_row_with_its_reason(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a.dcm", DICOM)
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("a.dcm", png())
    name = f"{tmp_path / 'a.zip'}!/a.dcm"
    assert listed([str(tmp_path)]) == ([name], PassedOver())
    with pytest.raises(ImageError, match="several members of this name"):
        read(name)


@pytest.mark.parametrize("sign", ["[Content_Types].xml", "mimetype"])
def test_office_files_are_no_archives(sign: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(sign, b"about")
        file.writestr("media/image1.png", png())
    (tmp_path / "report").write_bytes(buffer.getvalue())
    (tmp_path / "a.dcm").write_bytes(DICOM)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as file:
        file.writestr("report.docx", buffer.getvalue())
    assert listed([str(tmp_path)]) == (
        [str(tmp_path / "a.dcm")],
        PassedOver(others=Counter({".docx": 1, "no suffix": 1})),
    )
    assert listed([str(tmp_path / "report")]) == ([str(tmp_path / "report")], PassedOver())
    with pytest.raises(ImageError, match="is a document, not an image"):
        read(tmp_path / "report")


def test_an_archive_in_an_archive_is_a_row_with_its_reason(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as file:
        file.write(archive, "inner.zip")
    files, passed_over = listed([str(tmp_path / "outer.zip")])
    assert (files, passed_over) == ([f"{tmp_path / 'outer.zip'}!/inner.zip"], PassedOver())
    with pytest.raises(ImageError, match="is a zip archive in another; unpack it"):
        read(files[0])


def test_many_members_do_not_read_the_directory_each_time(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as file:
        for n in range(2000):
            file.writestr(f"{n}.dcm", b"x" * 10)
    zip_directory.listed.cache_clear()
    files, _ = listed([str(tmp_path / "many.zip")])
    for name in files:
        containers.read_member(name)
    assert (len(files), zip_directory.listed.cache_info().misses) == (2000, 1)


def test_names_with_newlines_are_one_line_in_messages(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a\nb.dcm", b"nothing")
    (tmp_path / "c\nd.dcm").write_bytes(b"nothing")
    for name in [*listed([str(tmp_path / "a.zip")])[0], str(tmp_path / "c\nd.dcm")]:
        with pytest.raises(ImageError) as caught:
            read(name)
        assert "\n" not in str(caught.value)


def tidy(made: FileSet) -> None:
    """pydicom leaves a temporary folder to the garbage collector, which says so."""
    made._stage["t"].cleanup()


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """A DICOMDIR of three images, as pydicom writes one."""
    made = FileSet()
    for seed in range(3):
        one = dataset(picture(seed=seed), StudyDate="20200101", StudyTime="120000", StudyID="1")
        one.SeriesInstanceUID, one.SeriesNumber, one.InstanceNumber = "1.2.3.5", 1, seed
        made.add(one)
    made.write(tmp_path / "media")
    tidy(made)
    return tmp_path / "media"


def test_a_dicomdir_stands_for_the_files_it_names(media: Path) -> None:
    files, passed_over = listed([str(media / "DICOMDIR")])
    peer = FileSet(media / "DICOMDIR")
    assert sorted(files) == sorted(str(instance.path) for instance in peer)
    tidy(peer)
    assert (len(files), passed_over) == (3, PassedOver())
    assert {read(name).pixels.shape for name in files} == {(HEIGHT, WIDTH)}
    assert sorted(listed([str(media)])[0]) == sorted(files)  # the folder: the DICOMDIR itself is passed over
    with pytest.raises(ImageError, match="is a DICOMDIR of 3 files, not an image"):
        read(media / "DICOMDIR")
    with pytest.raises(ImageError, match="is a DICOMDIR, not an image"):
        read((media / "DICOMDIR").read_bytes())


def test_names_in_capitals_are_found_in_lower_case(media: Path) -> None:
    before = listed([str(media / "DICOMDIR")])[0]
    for path in sorted(media.rglob("*"), reverse=True):
        if path.name != "DICOMDIR":
            path.rename(path.with_name(path.name.lower()))
    files, _ = listed([str(media / "DICOMDIR")])
    assert [Path(name) for name in files] == [media / str(Path(name).relative_to(media)).lower() for name in before]
    assert {read(name).pixels.shape for name in files} == {(HEIGHT, WIDTH)}


def test_a_dicomdir_is_known_by_its_content(media: Path, tmp_path: Path) -> None:
    (media / "DICOMDIR_0001.dcm").write_bytes(DICOM)
    (media / "DICOMDIR").rename(media / "index")
    files, passed_over = listed([str(media)])
    assert (len(files), passed_over) == (4, PassedOver())
    assert str(media / "DICOMDIR_0001.dcm") in files
    assert len(listed([str(media / "index")])[0]) == 3
    assert read(media / "DICOMDIR_0001.dcm").pixels.shape == (HEIGHT, WIDTH)
    with zipfile.ZipFile(tmp_path / "cd.zip", "w") as file:
        for path in sorted(p for p in media.rglob("*") if p.is_file()):
            file.write(path, path.relative_to(media).as_posix())
    files, passed_over = listed([str(tmp_path / "cd.zip")])
    assert (len(files), passed_over) == (4, PassedOver())
    assert {read(name).pixels.shape for name in files} == {(HEIGHT, WIDTH)}


@pytest.mark.parametrize("parts", [["..", "outside"], ["", "etc", "passwd"], ["a/../../b"], ["link", "x"]])
def test_a_dicomdir_that_names_files_elsewhere_is_refused(parts: list[str], tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "outside").write_bytes(DICOM)
    (tmp_path / "media" / "link").symlink_to(tmp_path)
    record = Dataset()
    record.DirectoryRecordType = "IMAGE"
    record.add_new(0x00041500, "LO", parts)
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"  # type: ignore[assignment]
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.1.3.10", "1.2.3"
    made.DirectoryRecordSequence = [record]
    path = tmp_path / "media" / "DICOMDIR"
    path.write_bytes(encoded(made))
    assert listed([str(path)]) == ([str(path)], PassedOver())
    with pytest.raises(ImageError, match="names a file outside its folder"):
        read(path)


def test_folders_know_dicom_without_a_suffix(tmp_path: Path) -> None:
    (tmp_path / "IM0001").write_bytes(DICOM)
    (tmp_path / "bare").write_bytes(DICOM[132:])
    (tmp_path / "notes").write_text("patient 4711 has a file\n" * 100)
    (tmp_path / "empty.dcm").write_bytes(b"")
    files, passed_over = listed([str(tmp_path)])
    assert [Path(name).name for name in files] == ["IM0001", "bare", "empty.dcm"]
    assert passed_over == PassedOver(others=Counter({"no suffix": 1}))
