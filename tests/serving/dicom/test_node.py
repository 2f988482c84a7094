"""The node against pynetdicom's own SCU: what it accepts, what it keeps, and whom it rejects."""

from __future__ import annotations

import os
import resource
import signal
import tempfile
from threading import Thread

import pytest
from tests.serving.dicom.conftest import Started
from tests.serving.dicom.scu import DX, as_dataset, sending, stored
from tests.serving.world import dicom, read_all

from cxreader.errors import StorageError
from cxreader.serving.incoming import made
from cxreader.serving.operations.health import ready
from cxreader.serving.service import TriageService
from cxreader.serving.settings import DicomSection

CT = "1.2.840.10008.5.1.4.1.1.2"
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")  # pynetdicom's own sockets


def test_what_is_stored_stands_in_the_worklist_and_is_read(service: TriageService, started: Started) -> None:
    node = started()
    with sending(node.port) as association:
        assert association.send_c_echo().Status == 0x0000
        assert stored(association, dicom(1)) == 0x0000
    (entry,) = service.worklist().entries
    assert entry.study.study_uid == "1.2.3.1"
    (image,) = service.study(entry.study.key).images
    assert (image.instance.door, image.instance.sender) == ("dicom", "CT1")
    read_all(service)
    assert service.worklist().entries[0].result is not None


def test_the_kept_file_holds_the_pixels_that_were_sent(service: TriageService, started: Started) -> None:
    sent = as_dataset(dicom(2))
    with sending(started().port) as association:
        assert association.send_c_store(sent).Status == 0x0000
    (entry,) = service.worklist().entries
    _, kept = service.original(service.study(entry.study.key).images[0].instance.key)
    found = as_dataset(kept)
    assert found.file_meta.MediaStorageSOPInstanceUID == sent.SOPInstanceUID
    assert found.PixelData == sent.PixelData
    assert {e.tag: e.value for e in found} == {e.tag: e.value for e in sent}


def test_the_same_again_is_one_image_and_other_bytes_under_its_uid_another(
    service: TriageService, started: Started
) -> None:
    uid = as_dataset(dicom(3)).SOPInstanceUID
    with sending(started().port) as association:
        statuses = [stored(association, dicom(3)) for _ in range(3)]
        statuses.append(stored(association, dicom(4, SOPInstanceUID=uid, StudyInstanceUID="1.2.3.3", PatientID="P3")))
    assert statuses == [0x0000] * 4
    (entry,) = service.worklist().entries
    assert (entry.row.images, entry.row.conflict) == (2, True)


def test_another_modality_is_kept_and_refused_as_a_reading(service: TriageService, started: Started) -> None:
    with sending(started().port, classes=(CT,)) as association:
        assert stored(association, dicom(5, SOPClassUID=CT, Modality="CT")) == 0x0000
    read_all(service)
    (entry,) = service.worklist().entries
    assert entry.reason.startswith("refused") or "must look" in entry.reason


def test_a_full_store_is_told_as_out_of_resources(
    service: TriageService, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> str:
        raise StorageError("the disk is full")

    node = started()
    monkeypatch.setattr(service.objects, "put", full)
    with sending(node.port) as association:
        assert stored(association, dicom(6)) == 0xA700
    assert service.worklist().entries == ()


def test_a_data_set_that_is_none_cannot_be_understood(
    service: TriageService, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = started()
    with sending(node.port, classes=(DX,)) as association:
        monkeypatch.setattr("pynetdicom.association.encode", lambda *_: b"\x08\x00\x05\x00CS\xff\xffshort")
        assert stored(association, dicom(7)) == 0xC000
    assert service.worklist().entries == ()


def test_who_is_not_known_is_rejected(started: Started) -> None:
    peers = ({"ae_title": "CT1", "addresses": ("127.0.0.0/8",)}, {"ae_title": "FAR", "addresses": ("10.0.0.7",)})
    node = started(peers=peers)
    established = {}
    for title, called in (("CT1", "CXREADER"), ("CT1", "OTHER"), ("CT2", "CXREADER"), ("FAR", "CXREADER")):
        with sending(node.port, title=title, called=called) as association:
            established[title, called] = association.is_established
    assert established == {
        ("CT1", "CXREADER"): True,
        ("CT1", "OTHER"): False,
        ("CT2", "CXREADER"): False,
        ("FAR", "CXREADER"): False,
    }


def test_no_more_associations_than_allowed(started: Started) -> None:
    node = started(associations=2)
    with sending(node.port) as one, sending(node.port) as two, sending(node.port) as three:
        assert [a.is_established for a in (one, two, three)] == [True, True, False]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - with nobody allowed but this machine
def test_readiness_sees_whether_the_node_listens(service: TriageService, started: Started, host: str) -> None:
    def told() -> str:
        return next(one.why for one in ready(service) if one.name == "node")

    node = started(host=host)
    assert told() == ""
    with sending(node.port) as association:
        assert association.is_established
    port_file = service.settings.home / "node.port"
    assert port_file.read_text() == str(node.port)
    node.stop()
    assert told() == "it does not listen"
    port_file.write_text(str(node.port))  # as a node leaves it that was killed
    assert told() == "it does not listen"
    service.settings = service.settings.model_copy(update={"dicom": DicomSection(enabled=False)})
    assert told() == ""


def test_nothing_of_a_data_set_stays_in_the_folder_where_it_arrives(service: TriageService, started: Started) -> None:
    node = started()
    with sending(node.port) as association:
        for n in range(5):
            assert stored(association, dicom(n)) == 0x0000
    assert list((service.settings.home / "incoming" / "node").iterdir()) == []


def test_a_disk_that_is_full_while_a_data_set_arrives_has_its_status(
    service: TriageService, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, folder = started().port, service.settings.home / "incoming" / "node"
    with sending(port) as association:
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, unlimited[1]))
        try:
            assert stored(association, dicom(1)) == 0xA700
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
            signal.signal(signal.SIGXFSZ, ignored)
        assert (list(folder.iterdir()), service.worklist().entries) == ([], ())
        with monkeypatch.context() as away:
            away.setattr(tempfile, "tempdir", str(folder / "absent"))
            assert stored(association, dicom(1)) == 0xA700
        assert stored(association, dicom(1)) == 0x0000
    assert list(folder.iterdir()) == []


def test_a_node_that_starts_removes_what_a_killed_one_left_and_nothing_of_another_door(
    service: TriageService, started: Started
) -> None:
    left, others = (made(service.settings.home, door) / "left" for door in ("node", "web"))
    for one in (left, others):
        one.write_bytes(b"half a data set")
        os.utime(one, (0, 0))
    started()
    assert [one.exists() for one in (left, others)] == [False, True]


def test_a_data_set_that_finds_no_room_in_memory_waits(service: TriageService, started: Started) -> None:
    port, answers = started().port, []

    def send() -> None:
        with sending(port) as association:
            answers.append(stored(association, dicom(1)))

    sender = Thread(target=send)
    with service.room.taken(service.settings.receiving_mib * 2**20):
        sender.start()
        sender.join(1)
        assert (answers, service.worklist().entries) == ([], ())
    sender.join(30)
    assert answers == [0x0000]
