"""What a header tells, whoever wrote it: text as text, UIDs that are UIDs, and no word of it in an error."""

from __future__ import annotations

from contextlib import suppress

import pytest
from tests.dicom_files import dataset, encoded, picture
from tests.serving.world import dicom

from cxreader.errors import ImageError
from cxreader.serving.intake import arrived, derived_uid


def test_what_is_missing_is_empty_and_uids_come_from_the_bytes() -> None:
    data = encoded(dataset(picture(), PatientName=None, AccessionNumber=None, StudyInstanceUID=None, PatientID=None))
    came = arrived(data)
    assert came.kind == "dicom"
    assert [came.study[name] for name in ("patient_name", "patient_id", "issuer", "accession_number")] == [""] * 4
    assert came.study["study_uid"] == derived_uid(came.sha256, "study_uid")
    assert arrived(data).study == came.study
    assert came.instance["series_uid"] != came.study["study_uid"]
    assert (came.instance["rows"], came.instance["columns"]) == picture().shape


def test_a_uid_that_is_none_is_not_taken() -> None:
    uid = "1.2.3.4.5.6.7.8"
    came = arrived(dicom(1, StudyInstanceUID=uid).replace(uid.encode(), b"no uid; DROP TABLE"[: len(uid)]))
    assert came.study["study_uid"].startswith("2.25.")
    assert len(came.study["study_uid"]) <= 64


def test_derived_uids_are_those_of_the_digest_and_the_purpose() -> None:
    found = {derived_uid(digest, what) for digest in ("a" * 64, "b" * 64) for what in ("study_uid", "series_uid")}
    assert len(found) == 4
    assert all(part.isdigit() and (part == "0" or part[0] != "0") for uid in found for part in uid.split("."))


@pytest.mark.parametrize(
    ("charset", "name", "expected"),
    [
        ("ISO_IR 100", "Müller^Jörg", "Müller^Jörg"),
        ("ISO_IR 192", "山田^太郎", "山田^太郎"),
        ("ISO_IR 144", "Иванов^Иван", "Иванов^Иван"),
    ],
)
def test_names_in_their_character_sets(charset: str, name: str, expected: str) -> None:
    assert arrived(dicom(1, SpecificCharacterSet=charset, PatientName=name)).study["patient_name"] == expected


def test_dates_and_numbers_are_text_as_it_came() -> None:
    came = arrived(
        dicom(
            1,
            StudyDate="20260102",
            StudyTime="101500",
            AcquisitionDate="20260103",
            AcquisitionTime="0900",
            SeriesNumber="7",
        )
    )
    assert (came.study["study_date"], came.study["study_time"]) == ("20260102", "101500")
    assert came.instance["acquired"] == "202601030900"
    assert came.instance["series_number"] == "7"
    assert arrived(dicom(1, StudyDate="20260102", StudyTime="101500")).instance["acquired"] == "20260102101500"


def test_nul_bytes_which_no_database_keeps_are_left_out() -> None:
    assert "\0" not in arrived(dicom(1, PatientName="Doe\0^Jane")).study["patient_name"]


def test_a_damaged_header_is_refused_without_a_word_of_it() -> None:
    whole, refusals = dicom(1, PatientName="Zebra^Quagga"), list[int]()
    for cut in range(140, 700, 7):
        with suppress(ImageError):
            arrived(whole[:cut])
            continue
        refusals.append(cut)
    with pytest.raises(ImageError, match="header is damaged") as caught:
        arrived(whole[: refusals[-1]])
    assert "Zebra" not in str(caught.value)


def test_a_large_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxreader.serving.intake.MAX_BYTES", 1000)
    with pytest.raises(ImageError, match="MiB are kept"):
        arrived(dicom(1))
