"""Images whose UIDs or patients contradict each other: all are kept, the contradiction is seen, and one of them is current."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from tests.serving.world import dicom, read_all

from cxreader.serving.clock import SetClock
from cxreader.serving.home import SECRET
from cxreader.serving.retaining.retention import Retention
from cxreader.serving.sending.making import Maker
from cxreader.serving.service import TriageService
from cxreader.serving.store import destinations
from cxreader.serving.store.reading.patients import differing, header_of, other_images
from cxreader.serving.store.tables.images import Instance, Study
from cxreader.serving.store.tables.readings import Result
from cxreader.serving.store.tables.sending import OutboxEntry
from cxreader.serving.store.tables.trail import AuditEntry
from cxreader.serving.web.dicomweb.holdings import by_uid

UID = "1.2.3.4.5"


def audited(service: TriageService) -> list[tuple[str, Any]]:
    with service.database.reading() as session:
        found = session.scalars(select(AuditEntry).order_by(AuditEntry.number))
        return [(one.event, one.detail.get("differs")) for one in found]


def served(service: TriageService, study: str = "1.2.3.1") -> list[str]:
    """Keys of the images that WADO-RS gives of a study."""
    with service.database.reading() as session:
        return [one.image for one in by_uid(session, study, regions=True) if one.image]


def planned(service: TriageService) -> list[str]:
    """Keys of the images whose results are to be sent, in the order in which they were read."""
    with service.database.reading() as session:
        query = select(Instance.key).join(Result, Result.instance_id == Instance.id)
        return list(session.scalars(query.join(OutboxEntry, OutboxEntry.result_id == Result.id).order_by(Result.id)))


@pytest.fixture
def sent(service: TriageService) -> TriageService:
    """The service with a destination of reports."""
    with service.database.writing() as session:
        destinations.add(session, 0.0, "pacs", {"host": "h"}, ["sr"])
    return service


def test_the_latest_image_of_a_uid_is_served_and_sent(sent: TriageService) -> None:
    first = sent.receive(dicom(1, SOPInstanceUID=UID), door="dicom")
    assert served(sent) == [first.instance]
    corrected = sent.receive(dicom(1, SOPInstanceUID=UID, PatientComments="corrected"), door="dicom")
    assert served(sent) == [corrected.instance]
    read_all(sent)
    assert planned(sent) == [corrected.instance]


def test_what_came_for_another_patient_is_not_until_the_first_is_deleted(sent: TriageService) -> None:
    first = sent.receive(dicom(1, SOPInstanceUID=UID), door="dicom")
    other = sent.receive(dicom(2, SOPInstanceUID=UID, StudyInstanceUID="1.2.3.1"), door="dicom")
    read_all(sent)
    assert (served(sent), planned(sent)) == ([first.instance], [first.instance])
    reasons = {sent.study(one.study).row.conflict_reason for one in (first, other)}
    assert reasons == {"one of its images came for another study too"}
    Retention(sent, "a test").delete("study", [first.study])
    assert served(sent) == [other.instance]
    assert not sent.study(other.study).row.conflict
    sent.reread("a test", [other.study])
    read_all(sent)
    assert planned(sent) == [other.instance]


def test_after_a_deletion_other_bytes_under_the_uid_are_received(service: TriageService) -> None:
    """Of versions 0 and 1 the first goes: a count of what is there would give the next one 1 again."""
    first = service.receive(dicom(1, SOPInstanceUID=UID), door="dicom")
    service.receive(dicom(2, SOPInstanceUID=UID), door="dicom")
    Retention(service, "a test").delete("study", [first.study])
    assert service.receive(dicom(3, SOPInstanceUID=UID), door="dicom").outcome == "conflict"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"PatientName": "Roe^Richard"}, "patient name"),
        ({"PatientBirthDate": "19600101"}, "birth date"),
        ({"PatientSex": "M"}, "sex"),
        ({"AccessionNumber": "ACC1"}, "accession number"),
        ({"PatientName": "Roe^Richard", "PatientSex": "M"}, "patient name, sex"),
    ],
)
@pytest.mark.parametrize("identifier", ["P1", ""])
def test_a_mix_up_within_a_study_is_seen(
    service: TriageService, more: dict[str, str], words: str, identifier: str
) -> None:
    first = service.receive(dicom(1, PatientID=identifier), door="dicom")
    other = service.receive(dicom(1, PatientID=identifier, SOPInstanceUID="1.9", **more), door="dicom")
    assert (first.study, first.outcome, other.outcome) == (other.study, "new", "conflict")
    row = service.study(first.study).row
    assert (row.conflict, row.conflict_reason) == (True, f"its images differ in {words}")
    assert audited(service) == [("received", None), ("received with a header that differs from its study's", words)]


@pytest.mark.parametrize(
    "more",
    [
        {"PatientName": "DOE^JANE^^"},
        {"PatientName": "doe^jane=\u5c71\u7530^\u592a\u90ce", "SpecificCharacterSet": "ISO_IR 192"},
        {"PatientBirthDate": ""},
        {"StudyDescription": "another one", "PatientAge": "059Y"},
    ],
)
def test_what_is_only_written_otherwise_is_no_mix_up(service: TriageService, more: dict[str, str]) -> None:
    first = service.receive(dicom(1), door="dicom")
    assert service.receive(dicom(1, SOPInstanceUID="1.9", **more), door="dicom").outcome == "new"
    assert not service.study(first.study).row.conflict


def test_a_name_that_the_first_image_leaves_out_is_that_of_the_next_and_compared(service: TriageService) -> None:
    blank = service.receive(dicom(1, PatientName=None, SOPInstanceUID="1.7"), door="dicom")
    service.receive(dicom(1, SOPInstanceUID="1.8"), door="dicom")
    assert service.receive(dicom(1, PatientName="Roe^R", SOPInstanceUID="1.9"), door="dicom").outcome == "conflict"
    found = service.study(blank.study)
    names = [header_of(found.study, one.instance)["patient_name"] for one in found.images]
    assert (found.study.patient_name, names) == ("Doe^Jane", ["", "Doe^Jane", "Roe^R"])


@pytest.mark.parametrize("issuers", [("", "A"), ("A", "")])
def test_an_issuer_on_one_copy_only_splits_no_study(service: TriageService, issuers: tuple[str, str]) -> None:
    one, other = (
        service.receive(dicom(1, IssuerOfPatientID=issuer, SOPInstanceUID=f"1.9.{n}"), door="dicom")
        for n, issuer in enumerate(issuers)
    )
    assert (one.study, other.outcome) == (other.study, "new")
    assert service.study(one.study).study.issuer == "A"
    apart = service.receive(dicom(1, IssuerOfPatientID="B", SOPInstanceUID="1.9.3"), door="dicom")
    assert apart.study != one.study


def test_objects_carry_their_own_images_header(service: TriageService) -> None:
    service.settings.home.mkdir(exist_ok=True)
    (service.settings.home / SECRET).write_bytes(b"s" * 32)
    service.receive(dicom(1), door="dicom")
    other = {"PatientName": "Roe^Richard", "PatientBirthDate": "19600101", "PatientSex": "M", "AccessionNumber": "ACC1"}
    service.receive(dicom(1, SOPInstanceUID="1.9", **other), door="dicom")
    read_all(service)
    maker = Maker(service)
    with service.database.reading() as session:
        results = session.scalars(select(Result.id).order_by(Result.instance_id)).all()
    made = [maker.file_of(result, "sr") for result in results]
    assert [name in data for data in made for name in (b"Doe^Jane", b"Roe^Richard")] == [True, False, False, True]
    assert [text.encode() in made[1] for text in other.values()] == [True] * 4


@pytest.mark.parametrize(
    ("more", "offered"),
    [
        ({}, True),
        ({"PatientName": "Doe-Roe^Jane"}, True),
        ({"PatientBirthDate": "19600101"}, True),
        ({"PatientName": "Roe^Richard", "PatientBirthDate": "19600101"}, False),
        ({"PatientName": None, "PatientBirthDate": None}, False),
        ({"IssuerOfPatientID": "A"}, True),
    ],
)
def test_an_earlier_image_is_offered_where_name_or_birth_date_agree(
    service: TriageService, more: dict[str, Any], offered: bool
) -> None:
    now = service.receive(dicom(1), door="dicom")
    service.receive(dicom(2, PatientID="P1", **more), door="dicom")
    with service.database.reading() as session:
        study = session.scalars(select(Study).where(Study.key == now.study)).one()
        assert bool(other_images(session, study)) is offered


def test_differing_tells_words_alone() -> None:
    one = {"patient_name": "A^B", "birth_date": "1", "sex": "F", "accession_number": ""}
    assert differing(one, one | {"patient_name": "A^C", "accession_number": "7"}) == ["patient name"]


def test_no_word_of_the_patient_is_in_the_log(service: TriageService, clock: SetClock) -> None:
    service.receive(dicom(1), door="dicom")
    clock.forward(1)
    service.receive(
        dicom(1, SOPInstanceUID="1.9", PatientName="Zebra^Quagga", PatientBirthDate="19600102"), door="dicom"
    )
    told = str(audited(service))
    assert not [word for word in ("Zebra", "Doe", "19600102", "1950") if word in told]
