"""What readers say is kept beside what they were shown; a lock warns and keeps nobody out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests.serving.world import active_digest, dicom, leases, read_all

from cxreader.errors import UsageError
from cxreader.records import Decision, OperatingPoint, Reading
from cxreader.serving.clock import SetClock
from cxreader.serving.service import TriageService
from cxreader.serving.store import events, users
from cxreader.serving.store.reading import verdicts, views
from cxreader.serving.store.reading.filters import ALL
from cxreader.serving.store.reading.news import news
from cxreader.serving.store.reading.results import Answer
from cxreader.serving.store.reading.verdicts import LOCKED, Opinion
from cxreader.serving.store.tables.images import Study
from cxreader.serving.store.tables.people import User
from cxreader.serving.store.tables.trail import AuditEntry


@pytest.fixture
def people(service: TriageService) -> list[User]:
    with service.database.writing() as session:
        return [users.add(session, 0.0, name=n, role="reader", password="correct horse") for n in ("jane", "joe")]  # noqa: S106


@pytest.fixture
def study(service: TriageService, people: list[User]) -> str:
    receipt = service.receive(dicom(1), door="dicom")
    read_all(service)
    return receipt.study


def holder(service: TriageService, study: str) -> int | None:
    lock = service.study(study).lock
    return None if lock is None else lock.user_id


def take(service: TriageService, study: str, user: User, *, over: bool = False) -> int | None:
    with service.database.writing() as session:
        of = views.by_key(session, Study, study)
        lock = verdicts.take(session, service.database.now(session), of, user, over=over)
        return None if lock is None else lock.user_id


def test_a_final_verdict_ends_the_reading_and_stands_beside_what_was_shown(
    service: TriageService, study: str, people: list[User]
) -> None:
    take(service, study, people[0])
    first = Opinion("rejected", "provisional", "read-first", comment="no effusion", seconds=12.5)
    service.give_verdict(study, people[0], first)
    assert [e.study.key for e in service.worklist().entries] == [study]
    service.give_verdict(study, people[0], Opinion("supplemented", findings=[{"finding": "Mass"}]))
    assert service.worklist().entries == ()
    assert [e.study.key for e in service.worklist(state="done").entries] == [study]
    found = service.study(study)
    assert found.lock is None
    assert [(v.kind, v.stage, v.mode, v.seconds) for v in found.verdicts] == [
        ("rejected", "provisional", "read-first", 12.5),
        ("supplemented", "final", "read-first", None),
    ]
    assert {v.result_id for v in found.verdicts} == {found.images[0].results[0].id}
    with service.database.reading() as session:
        noted = session.scalars(select(AuditEntry).where(AuditEntry.event == "verdict")).all()
    assert [(n.actor, n.subject) for n in noted] == [("jane", study)] * 2
    assert not [n for n in noted if "effusion" in str(n.detail)]


def test_a_lock_is_one_readers_until_it_ends_is_released_or_handed_over(
    service: TriageService, study: str, people: list[User], clock: SetClock
) -> None:
    jane, joe = people
    assert take(service, study, jane) == jane.id
    assert take(service, study, joe) == jane.id
    clock.forward(LOCKED - 1)
    assert take(service, study, jane) == jane.id  # a heartbeat
    clock.forward(LOCKED - 1)
    assert holder(service, study) == jane.id
    assert take(service, study, joe, over=True) == joe.id
    clock.forward(LOCKED)
    assert holder(service, study) is None
    assert take(service, study, jane) == jane.id
    with service.database.writing() as session:
        of = views.by_key(session, Study, study)
        verdicts.release(session, clock.now, of, joe)
    assert holder(service, study) == jane.id
    with service.database.writing() as session:
        verdicts.release(session, clock.now, of, jane)
    assert holder(service, study) is None


def test_looking_at_a_study_takes_it_from_nobody(
    service: TriageService, study: str, people: list[User], clock: SetClock
) -> None:
    """Jane reads it, hands it over to joe, looks at it, and so does he, and she again once he ended it: who is named?"""
    jane, joe = people

    def after(*work: Callable[[Session, Study], object]) -> list[str]:
        told = []
        for one in work:
            with service.database.writing() as session:
                one(session, views.by_key(session, Study, study))
            told.append(service.study(study).row.reader)
        return told

    def looks(who: User, *, over: bool = False) -> Callable[[Session, Study], object]:
        return lambda s, of: verdicts.take(s, clock.now, of, who, over=over)

    def leaves(who: User) -> Callable[[Session, Study], object]:
        return lambda s, of: verdicts.release(s, clock.now, of, who)

    assert after(looks(jane), leaves(jane)) == ["jane", ""]
    assert after(looks(jane), looks(joe, over=True), leaves(joe)) == ["jane", "joe", ""]
    assert after(lambda s, of: verdicts.hand_over(s, clock.now, of, jane, joe)) == ["joe"]
    assert after(looks(jane), leaves(jane), looks(joe), leaves(joe)) == ["joe"] * 4
    assert after(looks(joe), looks(jane, over=True), leaves(jane)) == ["joe", "jane", "joe"]
    assert after(lambda s, of: verdicts.put(s, clock.now, of, joe, "done")) == ["joe"]
    assert after(looks(jane), leaves(jane)) == ["joe"] * 2


def test_a_study_is_put_aside_and_back(service: TriageService, study: str, people: list[User]) -> None:
    for state, lists in (("pending", "pending"), ("open", "open")):
        with service.database.writing() as session:
            of = views.by_key(session, Study, study)
            verdicts.put(session, 0.0, of, people[0], state)  # type: ignore[arg-type]
        assert len(service.worklist(state=lists).entries) == 1  # type: ignore[arg-type]
    assert service.worklist(state="pending").entries == ()


@pytest.mark.parametrize(
    ("name", "role", "why"), [("jane", "reader", "is there already"), ("ann", "boss", "no role is called 'boss'")]
)
def test_users_that_cannot_be_are_refused(
    service: TriageService, people: list[User], name: str, role: str, why: str
) -> None:
    with pytest.raises(UsageError, match=why), service.database.writing() as session:
        users.add(session, 0.0, name=name, role=role, password="correct horse")  # type: ignore[arg-type]  # noqa: S106


def answered(service: TriageService, decision: Decision) -> None:
    """A worker's answer to whatever waits, without a network."""
    point, held = OperatingPoint("given", 0.5, "given", 1, 1), leases(service)
    for claim in held.claim(active_digest(service), 10):
        value = 0.9 if decision == "abnormal" else 0.1
        reading = Reading(claim.key, "m", point, decision=decision, probability=value, acceptance="accepted")
        assert held.keep([Answer(claim, reading, {})]) == 1


def reopened(service: TriageService) -> list[str]:
    with service.database.reading() as session:
        wanted = AuditEntry.event == "opened again by an alarm"
        return list(session.scalars(select(AuditEntry.subject).where(wanted).order_by(AuditEntry.number)))


def test_an_alarm_after_the_final_verdict_opens_the_study_again(
    service: TriageService, people: list[User], clock: SetClock
) -> None:
    """Of two studies that were ended before they were read, the one with the alarm; and again, when other models say so."""
    late, calm = (service.receive(dicom(n), door="dicom").study for n in (1, 2))
    service.give_verdict(calm, people[0], Opinion("accepted"))
    answered(service, "normal")
    assert (service.study(calm).row.state, service.study(late).row.decision) == ("done", "normal")
    service.give_verdict(late, people[0], Opinion("accepted"))
    assert service.worklist().entries == ()
    clock.forward(60)
    with service.database.reading() as session:
        seen, at = events.last(session), clock.now
    service.reread("a test", [late])
    answered(service, "abnormal")
    (entry,) = service.worklist().entries
    assert (entry.study.key, entry.row.state, entry.row.reader, entry.waited) == (late, "open", "", 0)
    assert entry.reason.endswith("; read after the final verdict")
    assert reopened(service) == [late]
    with service.database.reading() as session:
        told = news(session, clock.now, after=seen, as_of=at - 1, state="open", filters=ALL)
    assert (told.urgent, told.new, late in told.changed) == (1, 1, True)
    clock.forward(60)
    service.give_verdict(late, people[0], Opinion("accepted"))
    service.receive(dicom(1, SOPInstanceUID="1.9"), door="dicom")
    assert "after the final verdict" not in service.study(late).row.reason


def test_an_alarm_on_another_image_opens_it_though_an_earlier_alarm_was_judged(
    service: TriageService, people: list[User], clock: SetClock
) -> None:
    study = service.receive(dicom(1), door="dicom").study
    answered(service, "abnormal")
    service.receive(dicom(1, SOPInstanceUID="1.9"), door="dicom")
    service.give_verdict(study, people[0], Opinion("accepted"))
    clock.forward(1)
    answered(service, "abnormal")
    assert (service.study(study).row.state, reopened(service)) == ("open", [study])


def test_an_alarm_that_was_judged_opens_nothing_again_when_other_models_repeat_it(
    service: TriageService, people: list[User], clock: SetClock
) -> None:
    study = service.receive(dicom(1), door="dicom").study
    answered(service, "abnormal")
    service.give_verdict(study, people[0], Opinion("rejected"))
    clock.forward(1)
    service.reread("a test", [study])
    answered(service, "abnormal")
    assert (service.study(study).row.state, reopened(service)) == ("done", [])
