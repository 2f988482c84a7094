"""What is received is kept once, in its patient's study, and nothing of the patient stands anywhere else."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text
from tests.serving.world import dicom, png, read_all

from cxreader.errors import AbsentError, ImageError, SilentError, StorageError
from cxreader.serving.clock import SetClock
from cxreader.serving.home import SECRET
from cxreader.serving.sending.making import Maker
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store.files.objects import FolderStore
from cxreader.serving.store.reading import models, receiving
from cxreader.serving.store.reading.receiving import Receipt
from cxreader.serving.store.tables.images import Instance, Study
from cxreader.serving.store.tables.readings import Job, Result, ResultObject
from cxreader.serving.store.tables.trail import AuditEntry


def count(service: TriageService, kind: type) -> int:
    with service.database.reading() as session:
        return session.scalar(select(func.count()).select_from(kind)) or 0


def audited(service: TriageService) -> list[str]:
    with service.database.reading() as session:
        return list(session.scalars(select(AuditEntry.event).order_by(AuditEntry.number)))


def test_the_header_gives_patient_study_and_image(service: TriageService, clock: SetClock) -> None:
    data = dicom(
        1,
        IssuerOfPatientID="A",
        StudyDate="20260102",
        InstanceNumber="3",
        PatientName="Ünlü^Jane",
        SpecificCharacterSet="ISO_IR 192",
    )
    receipt = service.receive(data, door="dicom", sender="MODALITY", name="x.dcm")
    found = service.study(receipt.study)
    assert (found.study.patient_name, found.study.patient_id, found.study.issuer) == ("Ünlü^Jane", "P1", "A")
    assert (found.study.study_uid, found.study.study_date, found.study.received_at) == (
        "1.2.3.1",
        "20260102",
        clock.now,
    )
    (image,) = found.images
    assert image.instance.key == receipt.instance
    assert image.instance.sha256 == receipt.sha256 == hashlib.sha256(data).hexdigest()
    assert (image.instance.modality, image.instance.view, image.instance.instance_number) == ("DX", "PA", "3")
    assert (image.instance.door, image.instance.sender, image.instance.name) == ("dicom", "MODALITY", "x.dcm")
    assert image.instance.transfer_syntax == "1.2.840.10008.1.2.1"
    assert image.instance.sop_instance_uid == receipt.sop_instance_uid
    assert service.original(receipt.instance)[1] == data


def test_the_same_bytes_are_received_once(service: TriageService) -> None:
    first, again = (service.receive(dicom(1), door="dicom") for _ in range(2))
    assert (first.outcome, again.outcome) == ("new", "again")
    assert (first.study, first.instance) == (again.study, again.instance)
    assert (count(service, Instance), count(service, Job)) == (1, 1)
    assert audited(service) == ["received"]


def test_other_bytes_under_one_uid_are_both_kept_and_read_and_told(service: TriageService) -> None:
    uid = "1.2.3.4.5"
    first = service.receive(dicom(1, SOPInstanceUID=uid), door="dicom")
    other = service.receive(dicom(1, SOPInstanceUID=uid, PatientComments="later"), door="dicom")
    assert (first.outcome, other.outcome) == ("new", "conflict")
    assert first.study == other.study
    assert first.instance != other.instance
    read_all(service)
    found = service.study(first.study)
    assert [(i.instance.version, len(i.results)) for i in found.images] == [(0, 1), (1, 1)]
    assert found.row.conflict
    assert audited(service)[1] == "received under a UID that other bytes have"


def test_two_patients_under_one_study_uid_are_two_studies(service: TriageService) -> None:
    first = service.receive(dicom(1), door="dicom")
    other = service.receive(dicom(2, StudyInstanceUID="1.2.3.1"), door="dicom")
    assert first.study != other.study
    assert count(service, Study) == 2


def test_a_picture_without_a_header_is_a_study_of_its_own_whose_uids_come_from_its_bytes(
    service: TriageService,
) -> None:
    receipt = service.receive(png(1), door="http", sender="jane", name="a.png")
    found = service.study(receipt.study)
    assert receipt.sop_instance_uid.startswith("2.25.")
    assert len({receipt.sop_instance_uid, found.study.study_uid, found.images[0].instance.series_uid}) == 3
    assert found.images[0].instance.kind == "png"
    assert service.receive(png(2), door="http").study != receipt.study


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"hello, this is no image at all" * 9, "not a DICOM, PNG or JPEG"),
        (dicom(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", Modality="SR"), "another DICOM object"),
    ],
)
def test_what_is_no_image_is_refused_and_nothing_is_kept(service: TriageService, data: bytes, why: str) -> None:
    with pytest.raises(ImageError, match=why):
        service.receive(data, door="http")
    assert count(service, Instance) == 0


def test_a_damaged_picture_and_what_is_no_chest_are_received_and_said_to_be_so(service: TriageService) -> None:
    cut = service.receive(dicom(1)[:-3000], door="dicom")
    hand = service.receive(dicom(2, BodyPartExamined="HAND"), door="dicom")
    read_all(service)
    for receipt, verdict, word in ((cut, None, "pixel"), (hand, "refused", "HAND")):
        (image,) = service.study(receipt.study).images
        reading = image.results[0].reading
        assert reading["acceptance"] == verdict
        assert word.lower() in " ".join(reading["reasons"]).lower()
    assert [e.band for e in service.worklist().entries] == ["no answer"] * 2


def test_an_acknowledged_file_is_forced_to_the_disk_first(
    service: TriageService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> str:
        raise StorageError("no room", mend="free space")

    monkeypatch.setattr(FolderStore, "put", full)
    with pytest.raises(StorageError):
        service.receive(dicom(1), door="dicom")
    assert count(service, Instance) == 0


def test_the_same_files_from_several_threads_are_received_once(service: TriageService) -> None:
    files, got = [dicom(n % 2, SOPInstanceUID=f"1.9.{n}") for n in range(6)], list[Receipt]()

    def send() -> None:
        for data in files:
            got.append(service.receive(data, door="dicom"))

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receipt.outcome for receipt in got) == ["again"] * 12 + ["new"] * 6
    assert (count(service, Instance), count(service, Study), count(service, Job)) == (6, 2, 6)


def test_a_new_image_opens_a_study_that_was_done(service: TriageService, clock: SetClock) -> None:
    receipt = service.receive(dicom(1), door="dicom")
    with service.database.writing() as session:
        session.execute(text("UPDATE worklist SET state = 'done', reader = 'grey'"))
    assert service.worklist().entries == ()
    clock.forward(3600)
    service.receive(dicom(1, SOPInstanceUID="1.9.9"), door="dicom")
    (entry,) = service.worklist().entries
    assert (entry.study.key, entry.waited, entry.row.images) == (receipt.study, 0, 2)
    assert entry.row.reader == ""


def test_audit_and_events_hold_nothing_of_the_patient(service: TriageService) -> None:
    service.receive(
        dicom(1, PatientName="Zebra^Quagga", PatientID="QX77", AccessionNumber="ACC99"), door="dicom", name="Zebra.dcm"
    )
    read_all(service)
    with service.database.reading() as session:
        rows = [
            str(row)
            for table in ("audit", "events", "jobs", "results")
            for row in session.execute(text(f"SELECT * FROM {table}"))  # noqa: S608
        ]
    assert rows
    assert not [row for row in rows for word in ("Zebra", "QX77", "ACC99") if word in row]


def test_a_silent_service_reads_and_shows_nothing(service: TriageService, settings: Settings) -> None:
    silent = TriageService(settings.model_copy(update={"silent": True}), service.database, service.objects)
    receipt = silent.receive(dicom(1), door="dicom")
    read_all(silent)
    for show in (silent.worklist, lambda: silent.study(receipt.study), lambda: silent.maps("x")):
        with pytest.raises(SilentError, match="shows nothing"):
            show()
    assert silent.events(0) == ()
    assert service.study(receipt.study).row.read == 1  # it was read all the same


def test_what_is_not_there_is_said_to_be_absent(service: TriageService, tmp_path: Path) -> None:
    for ask in (service.study, service.original, service.pixels, service.maps):
        with pytest.raises(AbsentError, match="there is no such"):
            ask("nothing")


def made(service: TriageService, kind: str, **elements: Any) -> tuple[Receipt, bytes]:
    """An image's receipt, and an object that was made of its answer."""
    service.settings.home.mkdir(exist_ok=True)
    (service.settings.home / SECRET).write_bytes(b"s" * 32)
    receipt = service.receive(dicom(1, **elements), door="dicom")
    read_all(service)
    with service.database.writing() as session:
        result = session.scalars(select(Result)).one()
        # any image may stand for a secondary capture: it is known by its UID
        data = dicom(7, SOPInstanceUID="2.25.7") if kind == "sc" else b""
        if data:
            row = ResultObject(result_id=result.id, kind="sc", sop_class="1.2", bytes=2, made_at=0.0, series_uid="1.2")
            row.sop_instance_uid, row.sha256 = "2.25.7", "0" * 64
            session.add(row)
    return receipt, data or Maker(service).file_of(result.id, kind)


@pytest.mark.parametrize("kind", ["sr", "sc"])
@pytest.mark.parametrize("door", ["dicom", "http", "folder"])
def test_a_result_that_comes_back_is_no_new_image_at_any_door(service: TriageService, kind: str, door: str) -> None:
    receipt, data = made(service, kind)
    before = count(service, AuditEntry)
    back = service.receive(data, door=door)
    assert (back.outcome, back.study, back.instance) == ("own", receipt.study, receipt.instance)
    assert (count(service, Instance), count(service, Job), count(service, AuditEntry)) == (1, 1, before)


def test_what_still_waits_is_not_read_twice(service: TriageService) -> None:
    """It waits for the models that were active when it came; those that are active now read it in any case."""
    receipts = [service.receive(dicom(n), door="dicom") for n in (1, 2)]
    with service.database.writing() as session:
        models.activate(session, 0.0, {"artifacts": ["another"]})
    assert service.reread("a test") == 0
    assert service.reread("a test", [receipts[0].study]) == 0
    assert count(service, Job) == 2


def test_many_images_are_queued_anew_in_several_transactions(
    service: TriageService, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        service.receive(dicom(n), door="dicom")
    read_all(service)
    with service.database.writing() as session:
        models.activate(session, 0.0, {"artifacts": ["another"]})
    monkeypatch.setattr(receiving, "AT_ONCE", 2)
    assert service.reread("a test") == 5
    with service.database.reading() as session:
        entries = session.scalars(
            select(AuditEntry).where(AuditEntry.event == "read again").order_by(AuditEntry.number)
        )
        assert [entry.detail["images"] for entry in entries] == [2, 2, 1]
        assert sorted(session.scalars(select(Job.revision))) == [1] * 5 + [2] * 5
    assert service.reread("a test") == 0
