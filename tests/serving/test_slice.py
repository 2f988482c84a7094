"""From a file to the worklist: received, read, ordered."""

from __future__ import annotations

from tests.serving.world import dicom, png, read_all

from cxreader.inference.triage import urgency
from cxreader.serving.service import TriageService
from cxreader.serving.worker.models import load_reader


def test_what_is_received_is_read_and_listed_as_read_sort_orders_it(service: TriageService) -> None:
    files = [dicom(n) for n in range(6)] + [png(n) for n in range(4)] + [dicom(90, BodyPartExamined="HAND")]
    receipts = [service.receive(data, door="folder") for data in files]
    assert {r.outcome for r in receipts} == {"new"}
    waiting = service.worklist()
    assert [e.reason for e in waiting.entries] == ["waiting to be read"] * 11
    read_all(service)
    reader = load_reader(service.settings)
    places = [urgency(reading) for reading in reader.read_many(files)]
    order = sorted(range(len(files)), key=lambda i: (places[i].step, -places[i].height))
    shown = service.worklist()
    assert [e.study.key for e in shown.entries] == [receipts[i].study for i in order]
    assert [e.reason for e in shown.entries] == [places[i].reason for i in order]
    assert len({p.step for p in places}) > 1
