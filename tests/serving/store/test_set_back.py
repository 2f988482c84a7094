"""A clock that is set back by hours: nothing waits until it has caught up."""

from __future__ import annotations

from tests.serving.world import active_digest, dicom, leases, png

from cxreader.serving.clock import SetClock
from cxreader.serving.service import TriageService
from cxreader.serving.store.work import queue
from cxreader.serving.store.work.set_back import Steps

HOURS = 7200.0


def test_a_step_back_is_noticed_and_a_clock_s_own_trembling_is_not() -> None:
    steps = Steps()
    assert [steps.back(now) for now in (100.0, 100.0, 99.5, 300.0, 200.0, 201.0)] == [
        True,
        False,
        False,
        False,
        True,
        False,
    ]


def test_what_was_received_before_is_read_at_once(service: TriageService, clock: SetClock) -> None:
    digest = active_digest(service)
    held = leases(service, "running all the while")
    assert held.claim(digest, 1) == []
    service.receive(dicom(1), door="dicom")
    clock.forward(-HOURS)
    service.receive(dicom(2), door="dicom")
    assert len(held.claim(digest, 16)) == 2


def test_so_it_is_after_a_restart(service: TriageService, clock: SetClock) -> None:
    service.receive(png(1), door="http")
    clock.forward(-HOURS)
    assert len(leases(service, "new").claim(active_digest(service), 16)) == 1
    assert [entry.waited for entry in service.worklist().entries] == [0.0]


def test_a_lease_of_who_died_does_not_last_for_hours(service: TriageService, clock: SetClock) -> None:
    service.receive(dicom(1), door="dicom")
    digest, seconds = active_digest(service), service.settings.worker.lease
    assert len(leases(service, "killed").claim(digest, 1)) == 1
    clock.forward(-HOURS)
    other = leases(service, "other")
    assert other.claim(digest, 1) == []
    clock.forward(seconds + 0.1)
    assert other.claim(digest, 1) == []  # a failed attempt, which is tried again after its pause
    clock.forward(queue.BACK_OFF)
    assert [one.attempt for one in other.claim(digest, 1)] == [2]


def test_an_attempt_that_was_put_off_stays_so_for_no_longer_than_it_could(
    service: TriageService, clock: SetClock
) -> None:
    service.receive(dicom(1), door="dicom")
    digest, worker = active_digest(service), leases(service)
    for _ in range(2):
        worker.fail(worker.claim(digest, 1), "ModelError")
        clock.forward(queue.BACK_OFF)
    clock.forward(-HOURS)
    assert len(worker.claim(digest, 1)) == 1
