"""Deleting: what goes is gone from every table and from the store, what is held or shared stays, and the log tells of it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select
from tests.serving.world import dicom, png, read_all

from cxreader.errors import AbsentError, MissingObjectError, UsageError
from cxreader.serving.clock import SetClock
from cxreader.serving.retaining.retention import DAY, Retention
from cxreader.serving.service import TriageService
from cxreader.serving.store import audit, users
from cxreader.serving.store.reading.verdicts import Opinion, take
from cxreader.serving.store.tables.base import metadata
from cxreader.serving.store.tables.readings import Result, ResultObject
from cxreader.serving.store.tables.sending import Destination, OutboxEntry
from cxreader.serving.store.tables.trail import AuditEntry

STAY = {"alembic_version", "audit", "events", "models", "users", "destinations"}
"""Tables that tell of no study but by its key."""


def filled(service: TriageService, *files: bytes) -> list[Any]:
    """Receipts of files that are read, with a verdict, a lock, an object that was made of each, and that object in the outbox."""
    receipts = [service.receive(data, door="http") for data in files]
    read_all(service)
    with service.database.writing() as session:
        now = service.database.now(session)
        user = users.add(session, now, name="reader", role="reader", password="a long password")  # noqa: S106
        place = Destination(name="pacs", kind="dicom", address={}, sends=["sr"], enabled=True, changed_at=now)
        session.add(place)
        session.flush()
        for number, result in enumerate(session.scalars(select(Result))):
            made = ResultObject(result_id=result.id, kind="sr", sop_class="1.2", bytes=2, made_at=now, series_uid="1.2")
            made.sop_instance_uid, made.sha256 = f"1.2.{number}", service.objects.put(b"object %d" % number)
            session.add(made)
            entry = OutboxEntry(
                destination_id=place.id, result_id=result.id, kind="sr", available_at=now, created_at=now
            )
            entry.holder = entry.error = ""
            session.add(entry)
    for receipt in receipts:
        service.pixels(receipt.instance)
        service.give_verdict(receipt.study, user, Opinion("accepted", stage="provisional"))
        with service.database.writing() as session:
            study = service.study(receipt.study).study
            take(session, service.database.now(session), study, user)
    return receipts


def rows(service: TriageService) -> dict[str, int]:
    """Rows of each table that has any."""
    with service.database.reading() as session:
        found = {one.name: session.scalar(select(func.count()).select_from(one)) or 0 for one in metadata.sorted_tables}
    return {name: count for name, count in found.items() if count}


def test_a_study_goes_whole_and_the_log_still_verifies(service: TriageService) -> None:
    gone, stays = filled(service, dicom(1), dicom(2))
    before = set(service.objects.digests())
    assert {"locks", "verdicts", "outbox", "result_objects", "results", "jobs", "pixels"} <= set(rows(service))
    done = Retention(service, "a test").delete("study", [gone.study])
    assert (done.studies, done.held, done.objects) == (1, 0, 3)  # the file, its pixels, the object made of it
    with pytest.raises(AbsentError):
        service.study(gone.study)
    assert service.study(stays.study).verdicts
    assert service.objects.get(stays.sha256) == dicom(2)
    assert before - set(service.objects.digests()) >= {gone.sha256}
    Retention(service, "a test").delete("study", [stays.study])
    assert list(service.objects.digests()) == []
    assert set(rows(service)) <= STAY
    with service.database.reading() as session:
        assert audit.verify(session).number is None
        last = session.scalars(select(AuditEntry).order_by(AuditEntry.number.desc())).first()
    assert last is not None
    assert (last.event, last.actor, last.subject) == ("study deleted", "a test", stays.study)
    assert service.receive(dicom(1), door="http").outcome == "new"  # nothing remembers it


@pytest.mark.parametrize("what", ["study", "images", "derived"])
def test_nothing_of_a_study_under_legal_hold_goes(service: TriageService, what: Any, clock: SetClock) -> None:
    (held,) = filled(service, dicom(1))
    retention, before = Retention(service, "a test"), set(service.objects.digests())
    retention.hold(held.study, "case 7")
    clock.forward(10 * DAY)
    assert retention.chosen([], 5) == []
    done = retention.delete(what, [held.study])
    assert (done.held, done.objects) == (1, 0)
    assert set(service.objects.digests()) == before
    assert service.study(held.study).verdicts
    retention.hold(held.study, "")
    assert retention.chosen([], 5) == [held.study]
    assert retention.chosen([], 15) == []
    assert retention.delete(what, [held.study]).objects > 0


def test_images_go_and_their_answers_stay_until_they_come_again(service: TriageService) -> None:
    (one,) = filled(service, dicom(1))
    done = Retention(service, "a test").delete("images", [one.study])
    assert done.objects == 2
    with pytest.raises(AbsentError, match="was deleted"):
        service.original(one.instance)
    with pytest.raises(MissingObjectError):
        service.objects.get(one.sha256)
    assert service.study(one.study).images[0].results
    again = service.receive(dicom(1), door="http")
    assert again.outcome == "again"
    assert service.original(one.instance)[1] == dicom(1)
    with service.database.reading() as session:
        events = session.scalars(select(AuditEntry.event)).all()
    assert events[-2:] == ["images deleted", "bytes kept anew"]


def test_an_image_that_waits_to_be_read_keeps_its_bytes(service: TriageService) -> None:
    one = service.receive(dicom(1), door="http")
    assert Retention(service, "a test").delete("images", [one.study]).objects == 0
    read_all(service)
    assert service.study(one.study).images[0].results[0].reading["acceptance"] is not None


def test_what_was_derived_goes_and_pixels_are_made_again(service: TriageService) -> None:
    (one,) = filled(service, dicom(1))
    retention = Retention(service, "a test")
    assert retention.delete("derived", [one.study]).objects == 1
    left = rows(service)
    assert not {"result_objects", "outbox", "maps"} & set(left)
    assert left["results"] == 1
    pixels = service.pixels(one.instance)
    assert retention.clear_cache(1) == 0  # not that old
    assert retention.clear_cache(-1) == 1
    assert not service.objects.has(pixels.sha256)
    assert service.pixels(one.instance) == pixels
    assert service.objects.has(pixels.sha256)


def test_the_outbox_loses_what_has_ended_alone(service: TriageService, clock: SetClock) -> None:
    filled(service, dicom(1), dicom(2), png(3))
    with service.database.writing() as session:
        first, second, _ = session.scalars(select(OutboxEntry)).all()
        first.state, first.ended_at = "sent", clock.now
        second.state, second.ended_at = "dead", clock.now
    clock.forward(10 * DAY)
    retention = Retention(service, "a test")
    assert retention.clear_outbox(11) == 0
    assert retention.clear_outbox(9) == 2
    assert rows(service)["outbox"] == 1


def test_a_file_that_is_named_twice_goes_with_the_last_name(service: TriageService) -> None:
    """Two files whose decoded pixels are the same share them."""
    one, other = (
        service.receive(dicom(1, StudyInstanceUID=f"1.2.{n}", SOPInstanceUID=f"1.2.{n}.1"), door="http") for n in (1, 2)
    )
    shared = service.pixels(one.instance).sha256
    assert service.pixels(other.instance).sha256 == shared
    retention = Retention(service, "a test")
    retention.delete("study", [one.study])
    assert service.objects.has(shared)
    retention.delete("study", [other.study])
    assert not service.objects.has(shared)


def test_bytes_that_come_while_they_are_deleted_are_kept(
    service: TriageService, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = service.receive(dicom(1), door="http")
    put = service.objects.put

    def put_then_deleted(data: bytes, **more: Any) -> str:
        digest = put(data, **more)
        if monkey:
            monkey.clear()
            Retention(service, "a test").delete("study", [one.study])
        return digest

    monkey = [True]
    monkeypatch.setattr(service.objects, "put", put_then_deleted)
    again = service.receive(dicom(1), door="http")
    assert again.outcome == "new"
    assert service.original(again.instance)[1] == dicom(1)


def test_what_nothing_names_is_swept(service: TriageService) -> None:
    (one,) = filled(service, dicom(1))
    service.objects.put(b"left by an interrupted deletion")
    assert Retention(service, "a test").sweep() == 1
    assert service.original(one.instance)[1] == dicom(1)


def test_which_studies_must_be_said(service: TriageService) -> None:
    for keys, days in (([], None), (["a key"], 5.0)):
        with pytest.raises(UsageError, match="which studies"):
            Retention(service, "a test").chosen(keys, days)
    with pytest.raises(AbsentError):
        Retention(service, "a test").delete("study", ["a key"])


def test_cache_and_outbox_keep_what_is_of_a_study_under_legal_hold(service: TriageService, clock: SetClock) -> None:
    held, other = filled(service, dicom(1), dicom(2))
    with service.database.writing() as session:
        for entry in session.scalars(select(OutboxEntry)):
            entry.state, entry.ended_at = "sent", clock.now
    retention = Retention(service, "a test")
    retention.hold(held.study, "case 7")
    clock.forward(10 * DAY)
    would = retention.would_delete(5)
    assert (would.decoded, would.sent) == (1, 1)
    assert (retention.clear_cache(5), retention.clear_outbox(5)) == (1, 1)
    left = rows(service)
    assert (left["pixels"], left["outbox"]) == (1, 1)
    with service.database.reading() as session:
        (entry,) = session.scalars(select(OutboxEntry))
        assert session.get_one(Result, entry.result_id).sha256 == held.sha256
    assert other.study != held.study


def test_open_lists_are_told_that_a_study_is_gone(service: TriageService) -> None:
    one = service.receive(dicom(1), door="http")
    last = service.events(0)[-1]
    Retention(service, "a test").delete("study", [one.study])
    (told,) = service.events(last.number)
    assert (told.kind, told.study, told.revision) == ("deleted", one.study, last.revision + 1)
