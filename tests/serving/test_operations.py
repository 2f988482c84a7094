"""Health and metrics: what they tell, and that nothing of a patient is in them."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import delete, event, inspect, select
from tests.serving.world import dicom, png, read_all

from cxreader.errors import StorageError
from cxreader.serving.clock import SetClock
from cxreader.serving.operations.health import STUCK, ready
from cxreader.serving.operations.metrics import metrics
from cxreader.serving.operations.state import state_of
from cxreader.serving.service import TriageService
from cxreader.serving.store import destinations
from cxreader.serving.store.reading.results import reading_of
from cxreader.serving.store.tables.images import WorklistRow
from cxreader.serving.store.tables.people import ShownAnswer, Verdict
from cxreader.serving.store.tables.readings import ModelSet, Result
from cxreader.serving.store.tables.sending import Destination, OutboxEntry
from cxreader.serving.web.dicomweb.holdings import held

Usage = namedtuple("Usage", "free total", defaults=(2**40,))


@pytest.fixture(autouse=True)
def made(service: TriageService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without a node, on a disk with room."""
    without = service.settings.dicom.model_copy(update={"enabled": False})
    service.settings = service.settings.model_copy(update={"dicom": without})
    service.settings.home.mkdir(exist_ok=True)
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(2**40))


def wrong(service: TriageService) -> dict[str, str]:
    """The checks that fail, with what is wrong."""
    return {one.name: one.why for one in ready(service) if one.why}


def test_each_thing_that_is_wrong_is_told(
    service: TriageService, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [one.name for one in ready(service)] == ["database", "disk", "models", "queue", "node", "outbox"]
    assert wrong(service) == {}
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(2**30))
    assert wrong(service) == {"disk": "1.0 GiB are free, below 2"}
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(2**40))
    service.receive(dicom(1), door="http")
    clock.forward(STUCK - 1)
    assert wrong(service) == {}
    clock.forward(2)
    assert wrong(service) == {"queue": "an image has waited 10 minutes for somebody to take it"}
    read_all(service)
    assert wrong(service) == {}
    with service.database.writing() as session:
        session.query(ModelSet).update({"active": False})
    assert wrong(service) == {"models": "none is active"}


def test_the_outbox_of_destinations_that_are_switched_on_is_looked_at_and_a_dead_letter_is_told_alone(
    service: TriageService, clock: SetClock
) -> None:
    service.receive(dicom(1), door="http")
    read_all(service)
    with service.database.writing() as session:
        (result,) = session.query(Result)
        for name, state in (("on", "waiting"), ("off", "waiting"), ("on", "dead"), ("off", "dead")):
            of = session.query(Destination).filter_by(name=name).one_or_none()
            of = of or destinations.add(session, clock.now, name, {"url": "http://a"}, ["sr"])
            entry = OutboxEntry(destination_id=of.id, result_id=result.id, kind=state, state=state)
            entry.available_at = entry.created_at = clock.now
            session.add(entry)
        of.enabled = False
        off: int = of.id

    def looked() -> tuple[dict[str, str], str]:
        return wrong(service), next(one.noted for one in ready(service) if one.name == "outbox")

    assert looked() == ({}, "1 result was given up")
    clock.forward(STUCK + 1)
    assert looked()[0] == {"outbox": "a result has waited 10 minutes for somebody to take it"}
    with service.database.writing() as session:
        session.execute(delete(OutboxEntry).where(OutboxEntry.state == "waiting", OutboxEntry.destination_id != off))
    assert looked() == ({}, "1 result was given up")  # what waits for the other one is no fault
    service.settings = service.settings.model_copy(update={"silent": True})
    assert looked() == ({}, "")


def test_what_is_asked_for_all_day_scans_neither_images_nor_answers(service: TriageService) -> None:
    """SQLite tells how it would look each up: metrics, state, what a study holds, and what is deleted with an answer.

    PostgreSQL scans tables as small as these whatever indices they have: of it the indices are asked for.
    """
    if service.database.engine.dialect.name != "sqlite":
        found = inspect(service.database.engine)
        for name in ("verdicts", "shown_answers", "worklist"):
            assert f"ix_{name}_result_id" in {one["name"] for one in found.get_indexes(name)}
        return
    asked: list[tuple[str, Any]] = []
    service.receive(dicom(1), door="http")
    read_all(service)
    (entry,) = service.worklist().entries
    listen = lambda *given: asked.append((given[2], given[3]))  # noqa: E731
    event.listen(service.database.engine, "before_cursor_execute", listen)
    metrics(service)
    state_of(service)
    with service.database.reading() as session:
        held(session, entry.study, regions=True)
        for table in (Verdict, ShownAnswer, WorklistRow):
            session.execute(select(table).where(table.result_id == 1)).all()
    event.remove(service.database.engine, "before_cursor_execute", listen)
    plans = []
    with service.database.engine.connect() as connection:
        for statement, given in asked:
            if statement.startswith("SELECT"):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
                plans += [row[3] for row in rows]
    scanned = ("results", "instances", "verdicts", "shown_answers")
    assert [one for one in plans if one.startswith(tuple(f"SCAN {table}" for table in scanned))] == []
    assert {one.split()[4] for one in plans if "_result_id" in one} == {
        "ix_verdicts_result_id",
        "ix_shown_answers_result_id",
        "ix_worklist_result_id",
    }


def test_a_database_that_is_gone_is_told(service: TriageService, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> Iterator[None]:
        raise StorageError("the database cannot be reached", where="postgresql://user@host/name")

    monkeypatch.setattr(service.database, "reading", gone)
    assert set(wrong(service)) == {"database", "models", "queue", "outbox"}
    assert "host" not in str(wrong(service))


def test_metrics_count_what_is_there(service: TriageService, clock: SetClock) -> None:
    for n in range(3):
        service.receive(dicom(n), door="http")
    clock.forward(7)
    read_all(service)
    service.receive(png(1), door="http")
    clock.forward(130 * 60)
    text = metrics(service).decode()
    found = {
        (s.name, *(v for k, v in s.labels.items())): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }
    assert found["cxreader_jobs", "done"] == 3
    assert found["cxreader_jobs", "waiting"] == 1
    assert found["cxreader_studies", "open"] == 4
    assert found["cxreader_longest_wait_seconds", "no answer"] == 130 * 60
    assert found["cxreader_overdue_studies", "no answer"] == 1  # of 120 minutes
    assert found["cxreader_day_answers", "accepted"] == 3
    assert found["cxreader_day_read_seconds_bucket", "5.0"] == 0
    assert found["cxreader_day_read_seconds_bucket", "10.0"] == 3
    assert found["cxreader_day_read_seconds_sum",] == 21
    found_by_hand = [reading_of(one.result) for one in service.worklist().entries if one.result is not None]
    values = [one.probability if one.score is None else one.score for one in found_by_hand]
    known = [value for value in values if value is not None]
    assert found["cxreader_day_score_sum",] == pytest.approx(sum(known))
    assert found["cxreader_day_score_bucket", "0.5"] == sum(value <= 0.5 for value in known)
    scores = [one.row.result_id for one in service.worklist().entries]
    assert found["cxreader_day_score_count",] == sum(one is not None for one in scores)
    assert "Doe" not in text
    clock.forward(86_400)
    assert 'acceptance="accepted"' not in metrics(service).decode()
