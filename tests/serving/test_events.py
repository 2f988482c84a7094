"""Events follow one another without a gap, in the order of their commits, and hold keys alone."""

from __future__ import annotations

import threading

from tests.serving.world import dicom, read_all

from cxreader.serving.service import TriageService
from cxreader.serving.store import events
from cxreader.serving.store.database import Database
from cxreader.serving.store.tables.trail import Event


def test_what_happens_to_a_study_is_told(service: TriageService) -> None:
    receipt = service.receive(dicom(1), door="dicom")
    service.receive(dicom(1), door="dicom")  # the same bytes: nothing happens
    read_all(service)
    told = service.events(0)
    assert [(one.kind, one.study, one.revision) for one in told] == [
        ("received", receipt.study, 1),
        ("read", receipt.study, 2),
    ]
    assert [one.kind for one in service.events(told[0].number)] == ["read"]


def test_numbers_have_no_gap_and_old_events_go(database: Database) -> None:
    def work() -> None:
        for _ in range(5):
            with database.writing() as session:
                events.tell(session, 0.0, [("received", "k", 1), ("read", "k", 2)])

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.writing() as session:
        assert [one.number for one in events.since(session, 0)] == list(range(1, 31))
        session.query(Event).filter(Event.number == 30).update({"number": 10_999})
        events.tell(session, 0.0, [("read", "k", 3)] * 2)
        session.flush()
        assert events.since(session, 0)[0].number == 10_999
        assert events.last(session) == 11_001
