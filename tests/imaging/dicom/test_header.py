"""What leaves a DICOM header, and what does not."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
from pydicom import config
from pydicom.dataset import Dataset
from tests.dicom_files import DX, HEIGHT, WIDTH, dataset, encoded, picture

from cxreader.errors import CxreaderError, ImageError
from cxreader.imaging.dicom.tags import WANTED
from cxreader.imaging.header import DicomHeader
from cxreader.imaging.read import read, read_header, size
from cxreader.imaging.vocabulary.words import OTHER

SECRETS = ("Doe", "DOE", "Jane", "JANE", "4711", "19500101", "ACC0815", "Effusion", "Wards")


def header(**more: Any) -> DicomHeader:
    return read_header(encoded(dataset(picture(), **more)))


def test_everything_that_may_leave() -> None:
    made = dataset(
        picture(),
        PatientPosition="FFS",
        PatientOrientation=["L", "F"],
        ImageLaterality="U",
        PresentationIntentType="FOR PRESENTATION",
        PixelSpacing=[0.2, 0.1],
        SOPInstanceUID="1.2.3.4.5",
    )
    assert read_header(encoded(made)) == DicomHeader(
        modality="DX",
        body_part="CHEST",
        view_position="PA",
        patient_position="FFS",
        patient_orientation="L\\F",
        laterality="U",
        sop_class=DX,
        sop_instance_uid="1.2.3.4.5",
        presentation_intent="FOR PRESENTATION",
        photometric="MONOCHROME2",
        transfer_syntax="1.2.840.10008.1.2.1",
        sex="F",
        age=58.0,
        rows=HEIGHT,
        columns=WIDTH,
        spacing=(0.1, 0.2),
        patient=None,
    )


def test_nothing_of_an_empty_header() -> None:
    made = dataset(picture())
    for keyword in ("Modality", "BodyPartExamined", "ViewPosition", "PatientSex", "PatientAge", "SOPClassUID"):
        delattr(made, keyword)
    found = read(made).header
    assert found is not None
    told = {name for name, value in dataclasses.asdict(found).items() if value not in (None, False)}
    assert told == {"rows", "columns", "photometric", "sop_instance_uid", "transfer_syntax"}
    assert found.view is None


@pytest.mark.parametrize(
    ("view_position", "patient_position", "view"),
    [
        ("AP", "FFS", "AP"),
        ("", "PA", "PA"),
        ("", "LL", "LL"),
        ("", "FFS", None),
        ("", "ERECT", None),
        ("", "STANDING", None),
        ("", "XX", OTHER),
        ("LATERAL", "", "LATERAL"),
    ],
)
def test_the_view_is_view_position_or_else_a_view_in_patient_position(
    view_position: str, patient_position: str, view: str | None
) -> None:
    made = dataset(picture(), ViewPosition=view_position, PatientPosition=patient_position)
    assert header(ViewPosition=view_position, PatientPosition=patient_position).view == view
    assert read(encoded(made)).view == view


@pytest.mark.parametrize(
    ("text", "age"),
    [("058Y", 58), ("62", 62), ("018M", 1.5), ("7D", 7 * 7 / 365.25 / 7), ("old", None), ("-3Y", None), ("5 Y", 5)],
)
def test_ages_in_years(text: str, age: float | None) -> None:
    made = dataset(picture())
    made.add_new(0x00101010, "LO", text)
    assert read_header(encoded(made)).age == (None if age is None else pytest.approx(age))


@pytest.mark.parametrize(
    ("born", "days", "age"),
    [
        ("20150612", {"StudyDate": "20200612"}, 5),
        ("20150612", {"StudyDate": "20200611"}, 4),
        ("20150612", {"StudyDate": "20220101", "AcquisitionDate": "20200613"}, 5),
        ("2015.06.12", {"SeriesDate": "2020-06-13"}, 5),
        ("20200131", {"ContentDate": "20210830"}, 18 / 12),
        ("20200131", {"StudyDate": "20200201"}, 0),
        ("20150612", {}, None),
        ("", {"StudyDate": "20200612"}, None),
        ("19000101", {"StudyDate": "20200612"}, None),
        ("20200612", {"StudyDate": "20200612"}, None),
        ("20150231", {"StudyDate": "20200612"}, None),
        ("Doe^Jane", {"StudyDate": "20200612"}, None),
    ],
)
def test_where_no_age_is_written_the_birth_date_tells_it(born: str, days: dict[str, str], age: float | None) -> None:
    made = dataset(picture(), PatientAge="")
    for keyword, text in {"PatientBirthDate": born, **days}.items():
        made.add_new(keyword, "LO", text)
    assert read_header(encoded(made)).age == (None if age is None else pytest.approx(age))
    made.PatientAge = "058Y"
    assert read_header(encoded(made)).age == 58


@pytest.mark.parametrize("sex", ["O", "", "female", "Doe^Jane"])
def test_other_sexes_are_unknown(sex: str) -> None:
    made = dataset(picture())
    made.add_new(0x00100040, "LO", sex)
    assert read_header(encoded(made)).sex is None


@pytest.mark.parametrize(
    "value",
    [
        "DOE^JANE",
        "Doe Jane",
        "DOE",
        "PAT 4711",
        "19500101",
        "ACC0815",
        "CHEST OF JANE",
        "Müller",
        "chest; Doe",
        "A" * 17,
        "<b>",
        "1955 05 05",
        "BO",
        "MULLER",
    ],
)
@pytest.mark.parametrize("keyword", ["BodyPartExamined", "ViewPosition", "PatientPosition", "Modality", "Laterality"])
def test_a_code_that_is_none_does_not_leave(keyword: str, value: str) -> None:
    made = dataset(picture())
    made.add_new(keyword, "LO", value)
    found = read_header(encoded(made))
    fields = {"BodyPartExamined": "body_part", "Laterality": "laterality", "Modality": "modality"}
    fields |= {"ViewPosition": "view_position", "PatientPosition": "patient_position"}
    assert getattr(found, fields[keyword]) == OTHER


@pytest.mark.parametrize("name", ["SING^ANA", "PORT^ANNA", "HEST", "PRO^ES", "CHEST^PA", "DX^MONO"])
def test_a_term_is_one_whoever_is_called_so(name: str) -> None:
    found = header(PatientName=name, PresentationIntentType="FOR PROCESSING", BodyPartExamined="PORT CHEST")
    assert (found.modality, found.body_part, found.view) == ("DX", "PORT CHEST", "PA")
    assert (found.presentation_intent, found.photometric) == ("FOR PROCESSING", "MONOCHROME2")


@pytest.mark.parametrize(
    ("told", "orientation", "lateral"),
    [
        (["L", "F"], "L\\F", False),
        (["A", "F"], "A\\F", True),
        (["PR", "FL"], "PR\\FL", True),
        (["ANA", "PAUL"], OTHER, False),
        (["AP", "F"], OTHER, False),
        (["", "F"], OTHER, False),
        ([], None, False),
    ],
)
def test_the_patient_orientation_is_of_letters_an_axis(told: list[str], orientation: str | None, lateral: bool) -> None:
    found = header(PatientOrientation=told)
    assert (found.patient_orientation, found.lateral) == (orientation, lateral)


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [("0.2\\0.1", (0.1, 0.2)), ("0.2\\x\\0.1", None), ("0.2", None), ("0\\0.1", None), ("0.2\\1000", None)],
)
def test_a_spacing_is_two_numbers_of_mm(spacing: str, expected: tuple[float, float] | None) -> None:
    made = dataset(picture())
    made.add_new(0x00280030, "LO", spacing)
    assert read_header(encoded(made)).spacing == expected


def test_the_spacing_at_the_detector_stands_in_for_that_of_the_patient() -> None:
    assert header(ImagerPixelSpacing=[0.4, 0.3]).spacing == (0.3, 0.4)
    assert header(ImagerPixelSpacing=[0.4, 0.3], PixelSpacing=[0.2, 0.1]).spacing == (0.1, 0.2)


def test_a_body_part_is_one_whoever_is_called_so() -> None:
    assert header(PatientName="Chest^Phantom", PatientID="CHEST").body_part == "CHEST"
    assert header(BodyPartExamined="ribcage").body_part == "RIBCAGE"


def test_uids_are_uids() -> None:
    made = dataset(picture())
    made.add_new(0x00080018, "UI", "1.2.3.4711")
    assert read_header(encoded(made)).sop_instance_uid == "1.2.3.4711"
    made.add_new(0x00080018, "LO", "Doe^Jane")
    assert read_header(encoded(made)).sop_instance_uid is None


def pseudonym(salt: str, issuer: str, patient: str) -> str:
    """The formula in the open: 8 bytes of BLAKE2b over the three, a unit separator between them."""
    return hashlib.blake2b(f"{salt}\x1f{issuer}\x1f{patient}".encode(), digest_size=8).hexdigest()


def test_a_patient_is_a_salted_hash_and_only_when_asked_for() -> None:
    data = encoded(dataset(picture(), PatientID="4711", IssuerOfPatientID="Ward 3"))
    assert read_header(data).patient is None
    assert read_header(data, salt="salt").patient == pseudonym("salt", "Ward 3", "4711")
    assert read_header(data, salt="other").patient != read_header(data, salt="salt").patient
    assert read_header(encoded(dataset(picture())), salt="salt").patient == pseudonym("salt", "", "4711")
    assert read_header(encoded(dataset(picture(), PatientID="")), salt="salt").patient is None


def hostile() -> list[tuple[Dataset, bytes | None]]:
    """Headers whose values make pydicom warn, or fail, and that hold a patient's data where codes and numbers belong."""
    with config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [(made, attempt(made)) for made in hostile_datasets()]


def attempt(made: Dataset) -> bytes | None:
    try:
        return encoded(made)
    except (ValueError, AttributeError):
        return None  # what cannot be written is given as a data set


def hostile_datasets() -> list[Dataset]:
    charset = dataset(picture())
    charset.add_new(0x00080005, "CS", "Doe^Jane 4711")  # pydicom: "Unknown encoding 'Doe^Jane 4711' - using default"
    codes = dataset(
        picture(), VOILUTFunction="DOE^JANE", PresentationLUTShape="JANE", WindowCenter=2000, WindowWidth=3000
    )
    numbers = dataset(picture())
    for keyword in (
        "WindowCenter",
        "WindowWidth",
        "RescaleSlope",
        "RescaleIntercept",
        "PixelSpacing",
        "NumberOfFrames",
    ):
        numbers.add_new(keyword, "LO", "Doe^Jane 4711")
    colours = dataset(picture(), PhotometricInterpretation="DOE JANE")
    born = dataset(picture(), PatientAge="", StudyDate="20200101")
    damaged = dataset(picture())
    damaged.add_new(0x00283010, "OB", b"Doe^Jane 4711")
    samples = dataset(picture(), SamplesPerPixel=3, BitsAllocated=8, BitsStored=8, PhotometricInterpretation="DOE^JANE")
    syntax = dataset(picture())
    syntax.file_meta.add_new(0x00020010, "LO", "Doe^Jane 4711")
    return [charset, codes, numbers, colours, born, damaged, samples, syntax]


def test_no_patient_data_in_logs_warnings_errors_notes_or_header(
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    said: list[str] = []
    files = hostile()
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        for made, data in files:
            for source in (made, made if data is None else data):
                try:
                    radiograph = read(source)
                    said += [repr(radiograph.header), repr(radiograph.notes), radiograph.source]
                except CxreaderError as error:
                    said += [str(error), repr(error.__context__) if not error.__suppress_context__ else ""]
            if data is not None:
                said.append(repr(read_header(data, salt="s")))
    said += [caplog.text, *(str(w.message) for w in recwarn), *capfd.readouterr()]
    assert len(said) > 15
    assert [(secret, text) for secret in SECRETS for text in said if secret in text] == []


def test_pydicom_would_have_told(caplog: pytest.LogCaptureFixture) -> None:
    """The test above would fail without the silence: pydicom does warn of this header, and quotes it."""
    import io

    import pydicom

    logging.getLogger("pydicom").setLevel(logging.WARNING)
    _, data = hostile()[0]
    assert data is not None
    caplog.clear()
    with pytest.warns(UserWarning, match="Doe"):
        pydicom.dcmread(io.BytesIO(data))
    assert "Doe" in caplog.text
    caplog.clear()
    read(data)
    assert caplog.text == ""


def test_a_header_is_read_without_its_pixels(tmp_path: Path) -> None:
    data = encoded(dataset(picture()))
    (tmp_path / "cut.dcm").write_bytes(data[:-5000])
    assert read_header(tmp_path / "cut.dcm") == read_header(data)
    assert size(tmp_path / "cut.dcm") == (WIDTH, HEIGHT)
    with pytest.raises(ImageError, match="cut short"):
        read(tmp_path / "cut.dcm")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    with pytest.raises(ImageError, match="not a DICOM file"):
        read_header(tmp_path / "a.png")
    (tmp_path / "short").write_bytes(b"\x08\0\x16\0UI\x04\x001.2\0\x08\0\x18\0UI\x04\x001.3\0")  # less than a preamble
    assert read_header(tmp_path / "short").sop_instance_uid == "1.3"
    with pytest.raises(ImageError, match="without a picture"):
        size(tmp_path / "short")


@pytest.mark.real
@pytest.mark.parametrize(
    ("told", "code", "animal"),
    [
        (None, None, False),
        ("", None, False),
        ("Human", None, False),
        ("Homo sapiens", None, False),
        ("Canine", None, True),
        ("Equus caballus", None, True),
        (None, ("448771007", "Canis lupus familiaris"), True),
        (None, ("337915000", "Homo sapiens"), False),
        (None, ("L-85B00", "Mensch"), False),
    ],
)
def test_another_species_than_man_is_seen(told: str | None, code: tuple[str, str] | None, *, animal: bool) -> None:
    more: dict[str, Any] = {} if told is None else {"PatientSpeciesDescription": told}
    if code is not None:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code[0], "SCT", code[1]
        more["PatientSpeciesCodeSequence"] = [item]
    assert header(**more).animal is animal


def test_real_headers(images_root: Path) -> None:
    found = {path.name[:9]: read_header(path) for path in (images_root / "dicom").glob("*.dcm")}
    assert (found["test1.dcm"].view, found["test2.dcm"].view, found["test6.dcm"].view) == ("PA", "AP", OTHER)
    assert (found["test4.dcm"].body_part, found["test5.dcm"].modality) == ("RIBCAGE", "CT")
    assert (found["test6.dcm"].patient_position, found["test1.dcm"].age) == (OTHER, 81)
    assert found["1.2.276.0"].spacing == (0.168, 0.168)
    assert not any("Finding" in repr(header) or "Effusion" in repr(header) for header in found.values())


def test_the_name_is_not_even_looked_at() -> None:
    assert not {"PatientName", "AccessionNumber"} & set(WANTED)
