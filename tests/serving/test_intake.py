"""What a header tells, whoever wrote it: text as text, UIDs that are UIDs, and no word of it in an error."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian
from tests.dicom_files import dataset, encoded, picture
from tests.serving.world import dicom

from cxreader import serving
from cxreader.errors import ImageError
from cxreader.imaging.dicom.parse import parse_elements
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


def deflated(body: bytes) -> bytes:
    """A file whose head says Deflated Explicit VR Little Endian (PS3.5 A.5), with this behind it."""
    made = dataset(picture())
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    whole = encoded(made)
    head = 144 + int.from_bytes(whole[140:144], "little")
    return whole[:head] + body


def squeezed(data: bytes) -> bytes:
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


BOMB = squeezed(b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100" + b" " * 2**26)
STORED = b"\x08\x00\xaa\xff\x55L" + bytes(0xAA00 - 1)
"""A stored block (RFC 1951 3.2.4) whose first bytes look like a plain element, group 0008 with VR UL."""


def test_a_deflated_header_is_read() -> None:
    whole = encoded(dataset(picture(), PatientID="Z9"))
    came = arrived(deflated(squeezed(whole[144 + int.from_bytes(whole[140:144], "little") :])))
    assert (came.study["patient_id"], came.instance["transfer_syntax"]) == ("Z9", str(DeflatedExplicitVRLittleEndian))


@pytest.mark.parametrize("body", [BOMB, STORED + BOMB], ids=["plain", "behind a block that looks like an element"])
@pytest.mark.parametrize("read", [arrived, parse_elements])
def test_a_bomb_is_never_inflated_whole(
    read: Callable[[bytes], object], body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxreader.imaging.dicom.encoding.MAX_BYTES", 2**20)
    data = deflated(body)
    assert len(data) < 2**18
    tracemalloc.start()
    with suppress(ImageError, EOFError):
        read(data)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 8 * 2**20


def test_a_bomb_is_refused_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxreader.imaging.dicom.encoding.MAX_BYTES", 2**20)
    with pytest.raises(ImageError, match="the deflated data set has more than"):
        arrived(deflated(BOMB))


def test_no_file_from_outside_is_given_to_pydicoms_own_reader() -> None:
    """It inflates without a bound. What the sender and the demonstration read was written here."""
    found = {path.name for path in Path(serving.__file__).parent.rglob("*.py") if "dcmread" in path.read_text()}
    assert found == {"stow.py", "store_scu.py", "demonstration.py"}
