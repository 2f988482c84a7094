"""Storage Commitment against pynetdicom as requester: what is promised is kept, and a kill loses no answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from tests.serving.dicom.conftest import Started
from tests.serving.dicom.scu import DX, as_dataset, sending, stored
from tests.serving.world import dicom

from cxreader.serving.clock import SetClock
from cxreader.serving.dicom.commitment import GIVE_UP, INSTANCE, answer_due
from cxreader.serving.dicom.contexts import COMMITMENT
from cxreader.serving.dicom.node import Node
from cxreader.serving.service import TriageService
from cxreader.serving.store.tables.sending import Commitment

CT = "1.2.840.10008.5.1.4.1.1.2"

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")  # pynetdicom's own sockets


class Requester:
    """A node that receives answers: `reports` are (event type, kept UIDs, failed UIDs with reasons)."""

    def __init__(self) -> None:
        self.reports: list[tuple[int, set[str], dict[str, int]]] = []
        self.came, self.status = threading.Event(), 0x0000

    @contextmanager
    def listening(self) -> Iterator[int]:
        entity = ApplicationEntity(ae_title="CT1")
        entity.add_supported_context(COMMITMENT, scu_role=True, scp_role=True)
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._told)])
        assert server is not None
        yield server.server_address[1]
        server.shutdown()

    def _told(self, event: Any) -> tuple[int, None]:
        report = event.event_information
        kept = {item.ReferencedSOPInstanceUID for item in report.get("ReferencedSOPSequence", [])}
        failed = {i.ReferencedSOPInstanceUID: i.FailureReason for i in report.get("FailedSOPSequence", [])}
        self.reports.append((event.event_type, kept, failed))
        return self.status, None


def node_for(started: Started, port: int) -> Node:
    return started(peers=({"ae_title": "CT1", "addresses": ("127.0.0.1",), "port": port},))


def asked(association: Any, *items: tuple[str, str], transaction: str = "1.2.9") -> int:
    request = Dataset()
    request.TransactionUID, request.ReferencedSOPSequence = transaction, []
    for sop_class, instance in items:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
        request.ReferencedSOPSequence.append(item)
    status, _ = association.send_n_action(request, 1, COMMITMENT, INSTANCE)
    return int(status.Status)


def states(service: TriageService) -> list[str]:
    with service.database.reading() as session:
        return [row.state for row in session.query(Commitment)]


def test_what_is_kept_is_committed_and_what_is_not_has_its_reason(service: TriageService, started: Started) -> None:
    requester = Requester()
    uid = str(as_dataset(dicom(1)).SOPInstanceUID)
    with requester.listening() as port, sending(node_for(started, port).port) as association:
        assert stored(association, dicom(1)) == 0x0000
        assert asked(association, (DX, uid)) == 0x0000
        assert asked(association, (DX, uid), (DX, "1.2.3.99"), transaction="1.2.10") == 0x0000
        assert asked(association, (CT, uid), transaction="1.2.11") == 0x0000
        assert answer_due(service) == 3
    assert requester.reports == [
        (1, {uid}, {}),
        (2, {uid}, {"1.2.3.99": 0x0112}),
        (2, set(), {uid: 0x0119}),
    ]
    assert states(service) == ["sent"] * 3


def test_an_image_whose_file_is_cut_short_is_not_committed_until_it_comes_again(
    service: TriageService, started: Started
) -> None:
    requester = Requester()
    uid = str(as_dataset(dicom(1)).SOPInstanceUID)
    with requester.listening() as port, sending(node_for(started, port).port) as association:
        assert stored(association, dicom(1)) == 0x0000
        (place,) = (path for path in (service.settings.home / "objects").rglob("*") if path.is_file())
        place.write_bytes(b"")
        asked(association, (DX, uid))
        answer_due(service)
        assert stored(association, dicom(1)) == 0x0000
        asked(association, (DX, uid), transaction="1.2.10")
        answer_due(service)
    assert requester.reports == [(2, set(), {uid: 0x0112}), (1, {uid}, {})]


def test_an_image_whose_file_is_gone_is_not_committed(service: TriageService, started: Started) -> None:
    requester = Requester()
    uid = str(as_dataset(dicom(1)).SOPInstanceUID)
    with requester.listening() as port, sending(node_for(started, port).port) as association:
        assert stored(association, dicom(1)) == 0x0000
        (digest,) = service.objects.digests()
        service.objects.delete(digest)
        asked(association, (DX, uid))
        answer_due(service)
    assert requester.reports == [(2, set(), {uid: 0x0112})]


def test_an_answer_that_does_not_arrive_is_given_again(
    service: TriageService, started: Started, clock: SetClock
) -> None:
    requester = Requester()
    with requester.listening() as port, sending(node_for(started, port).port) as association:
        asked(association, (DX, "1.2.3.99"))
    assert answer_due(service) == 1  # nobody listens any more
    assert (states(service), answer_due(service)) == (["waiting"], 0)
    requester.status = 0x0110
    with requester.listening() as port:
        peers = ({"ae_title": "CT1", "addresses": ("127.0.0.1",), "port": port},)
        dicom_section = type(service.settings.dicom)(port=0, peers=peers)
        service.settings = service.settings.model_copy(update={"dicom": dicom_section})
        clock.forward(60)
        assert answer_due(service) == 1
        assert states(service) == ["waiting"]
        requester.status = 0x0000
        clock.forward(600)
        assert answer_due(service) == 1
    assert (len(requester.reports), states(service)) == (2, ["sent"])


def test_nobody_gives_an_answer_that_another_is_giving(
    service: TriageService, started: Started, clock: SetClock
) -> None:
    from cxreader.serving.store.work import commitments

    with service.database.writing() as session:
        commitments.keep(session, clock.now, "1.2.9", "CT1", [(DX, "1.2.3")])
    with service.database.writing() as session:
        (owed,) = commitments.take(session, clock.now, clock.now + 120)
        assert owed.items == ((DX, "1.2.3"),)
    assert answer_due(service) == 0
    clock.forward(121)  # whoever took it was killed
    assert answer_due(service) == 1


def test_a_clock_that_is_set_back_keeps_no_answer_waiting(service: TriageService, clock: SetClock) -> None:
    """One that was never tried, and one whose next attempt lies ahead by a day."""
    from cxreader.serving.store.work import commitments

    with service.database.writing() as session:
        commitments.keep(session, clock.now, "1.2.9", "GONE", [(DX, "1.2.3")])
    clock.forward(-86400)
    assert answer_due(service) == 1
    clock.forward(-86400)
    assert answer_due(service) == 1
    assert answer_due(service) == 0  # its next attempt is seconds ahead again


def test_it_is_given_up_in_the_end(service: TriageService, clock: SetClock) -> None:
    from cxreader.serving.store.work import commitments

    with service.database.writing() as session:
        commitments.keep(session, clock.now, "1.2.9", "GONE", [(DX, "1.2.3")])
    for _ in range(GIVE_UP):
        assert answer_due(service) == 1
        clock.forward(3 * 3600)
    assert (answer_due(service), states(service)) == (0, ["dead"])


@pytest.mark.parametrize(("tls", "why"), [(True, "TLS is not set up whole"), (False, "the sender failed (TypeError)")])
def test_an_answer_that_fails_in_any_way_ends_no_sender_and_is_given_up(
    service: TriageService, clock: SetClock, monkeypatch: pytest.MonkeyPatch, *, tls: bool, why: str
) -> None:
    """A peer is called by TLS without a certificate of ours; a library fails with what nobody foresaw."""
    from cxreader.serving.dicom import commitment
    from cxreader.serving.store.work import commitments

    def broken(*_: object, **__: object) -> None:
        raise TypeError("Doe^Jane")

    if not tls:
        monkeypatch.setattr(commitment, "associated", broken)
    peers = ({"ae_title": "CT1", "addresses": ("127.0.0.1",), "port": 1, "tls": tls},)
    section = type(service.settings.dicom)(port=0, peers=peers)
    service.settings = service.settings.model_copy(update={"dicom": section})
    with service.database.writing() as session:
        commitments.keep(session, clock.now, "1.2.9", "CT1", [(DX, "1.2.3")])
        commitments.keep(session, clock.now, "1.2.10", "CT1", [(DX, "1.2.4")])
    for _ in range(GIVE_UP):
        assert answer_due(service) == 2
        clock.forward(3 * 3600)
    assert (answer_due(service), states(service)) == (0, ["dead", "dead"])
    with service.database.reading() as session:
        assert [row.error for row in session.query(Commitment)] == [why, why]


@pytest.mark.parametrize("peers", [(), ({"ae_title": "CT1", "addresses": ("127.0.0.1",)},)])
def test_who_cannot_be_called_back_is_refused(service: TriageService, started: Started, peers: Any) -> None:
    with sending(started(peers=peers).port) as association:
        assert asked(association, (DX, "1.2.3.99")) == 0x0124
    assert states(service) == []
