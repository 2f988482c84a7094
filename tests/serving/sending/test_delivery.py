"""From a result to a peer: what is sent, what is tried again, what is a dead letter, and what is silenced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import func, select
from tests.serving.sending.conftest import Added
from tests.serving.sending.peer import Peer
from tests.serving.world import png, read_all

from cxreader.serving.clock import SetClock
from cxreader.serving.results.sr import COMPREHENSIVE, COMPREHENSIVE_3D
from cxreader.serving.sending.delivery import AT_MOST, deliver
from cxreader.serving.sending.making import Maker
from cxreader.serving.sending.store_scu import PRESENTATION_STATE, SECONDARY_CAPTURE, echo
from cxreader.serving.service import TriageService
from cxreader.serving.store.tables.readings import Result, ResultObject
from cxreader.serving.store.tables.sending import Destination, OutboxEntry
from cxreader.serving.store.work import outbox

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")  # pynetdicom's own sockets
Read = Callable[..., None]


def update(service: TriageService, **options: object) -> None:
    service.settings = service.settings.model_copy(update=options)


def regions_on(service: TriageService) -> None:
    update(service, results=service.settings.results.model_copy(update={"regions": "on"}))


def sent(service: TriageService, to: Destination) -> int:
    return deliver(service, Maker(service), to, "a sender")


def states(service: TriageService) -> Counter[str]:
    with service.database.reading() as session:
        rows = session.execute(select(OutboxEntry.state, func.count()).group_by(OutboxEntry.state))
        return Counter(dict(rows.all()))


def decisions(service: TriageService) -> list[str | None]:
    with service.database.reading() as session:
        return [result.reading["decision"] for result in session.scalars(select(Result))]


def test_every_object_of_an_alarm_arrives_and_is_sent_once(
    secret: TriageService, peer: Peer, added: Added, read: Read
) -> None:
    to = added(peer.address)
    regions_on(secret)
    read(1)
    sent(secret, to)
    assert {one.SOPClassUID for one in peer.got} == {COMPREHENSIVE_3D, SECONDARY_CAPTURE, PRESENTATION_STATE}
    assert {one.StudyInstanceUID for one in peer.got} == {"1.2.3.1"}
    assert len(peer.got) == 4
    with secret.database.reading() as session:
        made = session.scalars(select(ResultObject)).all()
    assert {one.sop_instance_uid for one in made} == {one.SOPInstanceUID for one in peer.got}
    assert (sent(secret, to), set(states(secret))) == (0, {"sent"})


def test_what_is_not_an_alarm_is_reported_and_nothing_more(
    secret: TriageService, peer: Peer, added: Added, read: Read
) -> None:
    to = added(peer.address)
    read(1, BodyPartExamined="HAND", Modality="CT")
    assert decisions(secret)[0] is None
    sent(secret, to)
    (report,) = peer.got
    assert report.SOPClassUID == COMPREHENSIVE_3D


def test_regions_that_were_not_judged_are_not_sent_and_the_reason_is(
    secret: TriageService, peer: Peer, added: Added, read: Read
) -> None:
    to = added(peer.address)
    read(1)
    sent(secret, to)
    assert PRESENTATION_STATE not in {one.SOPClassUID for one in peer.got}
    with secret.database.reading() as session:
        whys = set(session.scalars(select(OutboxEntry.error).where(OutboxEntry.state == "none")))
    (why,) = whys
    assert "was not judged against boxes" in why
    (report,) = (one for one in peer.got if one.SOPClassUID == COMPREHENSIVE_3D)
    assert why in [element.value for element in report.iterall() if element.keyword == "TextValue"]


@pytest.mark.parametrize("when", ["before reading", "before sending"])
def test_show_regions_off_silences_every_object_that_says_where(
    secret: TriageService, peer: Peer, added: Added, read: Read, when: str
) -> None:
    to = added(peer.address)
    regions_on(secret)
    if when == "before reading":
        update(secret, show_regions=False)
    read(1)
    update(secret, show_regions=False)
    sent(secret, to)
    assert {one.SOPClassUID for one in peer.got} == {COMPREHENSIVE_3D}
    assert not any("Image Region" in str(one) for one in peer.got)


def test_a_silent_service_plans_nothing(secret: TriageService, peer: Peer, added: Added, read: Read) -> None:
    added(peer.address)
    update(secret, silent=True)
    read(1)
    assert states(secret) == {}


def test_each_destination_is_sent_what_it_asks_for(secret: TriageService, peer: Peer, added: Added, read: Read) -> None:
    to = added(peer.address, sends=("sc",))
    read(1)
    sent(secret, to)
    assert {one.SOPClassUID for one in peer.got} == {SECONDARY_CAPTURE}


def test_who_does_not_take_the_newer_report_is_sent_the_older_with_the_same_words(
    secret: TriageService, added: Added, read: Read
) -> None:
    both, old = Peer(), Peer((COMPREHENSIVE,))
    with both.listening(), old.listening():
        first, second = (added(one.address, name=str(n), sends=("sr",)) for n, one in enumerate((both, old)))
        read(1)
        sent(secret, first)
        sent(secret, second)
    assert [one.got[0].SOPClassUID for one in (both, old)] == [COMPREHENSIVE_3D, COMPREHENSIVE]
    assert both.got[0].ContentSequence == old.got[0].ContentSequence
    assert both.got[0].SOPInstanceUID != old.got[0].SOPInstanceUID


def test_an_object_that_is_not_taken_is_a_dead_letter(secret: TriageService, added: Added, read: Read) -> None:
    with Peer((SECONDARY_CAPTURE,)).listening() as peer:
        to = added(peer.address, sends=("sr",))
        read(1)
        sent(secret, to)
    with secret.database.reading() as session:
        ((entry, name, _),) = outbox.dead_letters(session)
    assert (name, entry.kind) == ("PACS", "sr")
    assert "does not take Comprehensive" in entry.error


@pytest.mark.parametrize(
    ("status", "state"),
    [(0xA700, "waiting"), (0x0110, "waiting"), (0xA900, "dead"), (0xC123, "dead"), (0x0122, "dead"), (0xB000, "sent")],
)
def test_a_status_decides_whether_it_is_tried_again(
    secret: TriageService, peer: Peer, added: Added, read: Read, clock: SetClock, status: int, state: str
) -> None:
    to = added(peer.address, sends=("sr",))
    read(1)
    peer.statuses = [status]
    sent(secret, to)
    assert set(states(secret)) == {state}
    if state == "waiting":
        assert sent(secret, to) == 0
        clock.forward(3600)
        assert sent(secret, to) == 1
        assert set(states(secret)) == {"sent"}
        uids = [one.SOPInstanceUID for one in peer.got]
        assert len(uids) == 1


def test_a_destination_that_is_down_for_an_hour_loses_nothing(
    secret: TriageService, added: Added, read: Read, clock: SetClock
) -> None:
    down = Peer()
    with down.listening():
        address = down.address
    to = added(address, sends=("sr",))
    read(1, 2, 3)
    tried = 0
    for _ in range(360):
        tried += sent(secret, to) > 0
        clock.forward(10)
    assert states(secret) == {"waiting": 3}
    assert 4 <= tried <= 30
    with down.listening(address["port"]):
        clock.forward(AT_MOST)
        sent(secret, to)
    assert (states(secret), len(down.got)) == ({"sent": 3}, 3)


def test_it_is_given_up_in_the_end_and_sent_again_when_told_to(
    secret: TriageService, peer: Peer, added: Added, read: Read, clock: SetClock
) -> None:
    to = added(peer.address, sends=("sr",))
    read(1)
    peer.statuses = [0xA700]
    clock.forward(73 * 3600)
    sent(secret, to)
    assert set(states(secret)) == {"dead"}
    with secret.database.writing() as session:
        assert outbox.revive(session, clock.now, to.id) == 1
    sent(secret, to)
    assert (set(states(secret)), len(peer.got)) == ({"sent"}, 1)


def test_who_was_killed_is_followed_by_another_with_the_same_uids(
    secret: TriageService, peer: Peer, added: Added, read: Read, clock: SetClock
) -> None:
    to = added(peer.address, sends=("sr",))
    read(1)
    with secret.database.writing() as session:
        (lost,) = outbox.take(session, clock.now, to.id, "killed", clock.now + 300)
    first = Maker(secret).file_of(lost.result, "sr")
    assert sent(secret, to) == 0
    clock.forward(301)
    assert sent(secret, to) == 1
    with secret.database.writing() as session:
        assert not outbox.end(session, clock.now, lost, "dead", "late")
    assert (states(secret), peer.got[0].SOPInstanceUID.encode() in first) == ({"sent": 1}, True)


def test_a_picture_without_a_header_is_reported_to_nobody(secret: TriageService, peer: Peer, added: Added) -> None:
    added(peer.address)
    secret.receive(png(1), door="http")
    read_all(secret)
    assert states(secret) == {}


def test_an_echo_says_why_there_is_no_answer(secret: TriageService, peer: Peer) -> None:
    assert echo(secret.settings.dicom, peer.address) == ""
    assert echo(secret.settings.dicom, peer.address | {"port": 1}) == "no connection"


def test_what_kills_its_sender_is_tried_alone_later_each_time_and_given_up(
    secret: TriageService, peer: Peer, added: Added, read: Read, clock: SetClock
) -> None:
    """Three reports are taken by a sender that dies; the second of them kills everybody who takes it."""
    to = added(peer.address, sends=("sr",))
    read(1, 2, 3)
    with secret.database.writing() as session:
        taken = outbox.take(session, clock.now, to.id, "killed", clock.now + 300)
    deadly, rounds, kills = taken[1].entry, list[int](), 0
    for _ in range(40):
        clock.forward(301)
        with secret.database.writing() as session:
            outbox.expire(session, clock.now, to.id)
            parcels = outbox.take(session, clock.now, to.id, "next", clock.now + 300)
            rounds.append(len(parcels))
            kills += deadly in [one.entry for one in parcels]
            for one in parcels:
                if one.entry != deadly:
                    outbox.end(session, clock.now, one, "sent")
    assert (states(secret), max(rounds), kills) == ({"sent": 2, "dead": 1}, 1, outbox.LOST - 1)
    with secret.database.reading() as session:
        ((letter, _, _),) = outbox.dead_letters(session)
    assert (letter.id, letter.error) == (deadly, "its sender ended without an answer")
