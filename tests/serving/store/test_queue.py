"""The queue by itself: leases, fencing, attempts, dead letters."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from sqlalchemy import select
from tests.serving.rows import queued

from cxreader.serving.clock import SetClock
from cxreader.serving.store.database import Database
from cxreader.serving.store.tables.readings import Job
from cxreader.serving.store.work import queue
from cxreader.serving.store.work.queue import BACK_OFF, Claim

LEASE, ATTEMPTS = 30.0, 3


@pytest.fixture
def models(database: Database, clock: SetClock) -> int:
    """Five images wait for them."""
    with database.writing() as session:
        return queued(session, 5, clock.now)[0].id


def claim(database: Database, models: int, most: int = 16, holder: str = "a") -> list[Claim]:
    with database.writing() as session:
        now = database.now(session)
        return queue.claim(session, now, models, holder=holder, most=most, until=now + LEASE)


def finish(database: Database, claims: Sequence[Claim]) -> list[bool]:
    with database.writing() as session:
        done = queue.finish(session, database.now(session), claims)
        return [one.job in done for one in claims]


def expire(database: Database, holder: str | None = None) -> list[int]:
    with database.writing() as session:
        return queue.expire(session, database.now(session), attempts=ATTEMPTS, holder=holder)


def fail(database: Database, one: Claim) -> bool:
    with database.writing() as session:
        return queue.fail(session, database.now(session), one, error="ModelError", attempts=ATTEMPTS)


def states(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(Job.state).order_by(Job.id)))


def test_what_waits_is_leased_oldest_first_and_once(database: Database, models: int) -> None:
    first, second = claim(database, models, 2), claim(database, models, 16, "b")
    assert [one.instance for one in first + second] == [1, 2, 3, 4, 5]
    assert claim(database, models) == []
    assert {(one.token, one.attempt, one.revision) for one in first + second} == {(1, 1, 1)}
    assert finish(database, first + second) == [True] * 5
    assert states(database) == ["done"] * 5


def test_a_late_worker_cannot_end_a_job_that_is_anothers(database: Database, clock: SetClock, models: int) -> None:
    (late,) = claim(database, models, 1)
    clock.forward(LEASE - 1)
    assert expire(database) == []
    assert states(database)[0] == "leased"
    clock.forward(2)
    expire(database)
    assert finish(database, [late]) == [False]  # nobody has it, and it is not his
    clock.forward(BACK_OFF)
    others = claim(database, models, 16, "b")
    again = next(one for one in [*others, *claim(database, models, 16, "b")] if one.instance == late.instance)
    assert (again.token, again.attempt) == (2, 2)
    assert finish(database, [late]) == [False]
    assert finish(database, [again]) == [True]
    assert finish(database, [again]) == [False]


def test_a_renewed_lease_lasts(database: Database, clock: SetClock, models: int) -> None:
    claims = claim(database, models, 1)
    clock.forward(LEASE - 1)
    with database.writing() as session:
        queue.renew(session, claims, clock.now + LEASE)
    clock.forward(LEASE - 1)
    expire(database)
    assert finish(database, claims) == [True]


def test_what_failed_is_tried_later_alone_and_at_last_a_dead_letter(
    database: Database, clock: SetClock, models: int
) -> None:
    claims = claim(database, models)
    assert not fail(database, claims[0])
    assert not fail(database, claims[1])
    assert finish(database, claims[2:]) == [True] * 3
    clock.forward(BACK_OFF - 0.1)
    assert claim(database, models) == []
    clock.forward(0.2)
    (second,) = claim(database, models)
    assert (second.instance, second.attempt) == (1, 2)
    assert not fail(database, second)
    clock.forward(2 * BACK_OFF - 0.1)
    (other,) = claim(database, models)
    assert other.instance == 2
    assert claim(database, models) == []
    clock.forward(0.2)
    (third,) = claim(database, models)
    assert fail(database, third)
    clock.forward(10_000)
    assert claim(database, models) == []
    assert states(database)[0] == "dead"
    with database.writing() as session:
        assert queue.revive(session, clock.now) == [1]
    assert claim(database, models)[0].attempt == 1


def test_leases_that_run_out_are_attempts_and_those_of_a_dead_holder_end_at_once(
    database: Database, clock: SetClock, models: int
) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        claims = claim(database, models, 1, "dying")
        assert [one.attempt for one in claims] == [attempt]
        assert expire(database, "another") == []
        assert expire(database, "dying") == ([1] if attempt == ATTEMPTS else [])
        with database.writing() as session:
            session.get_one(Job, 1).available_at = clock.now - 1
    assert states(database)[0] == "dead"


def test_what_was_not_begun_is_given_back_without_an_attempt(database: Database, clock: SetClock, models: int) -> None:
    claims = claim(database, models)
    with database.writing() as session:
        queue.give_back(session, clock.now, claims)
    again = claim(database, models)
    assert [(one.instance, one.attempt, one.token) for one in again] == [(n, 1, 2) for n in range(1, 6)]


def test_threads_that_claim_at_the_same_time_never_get_the_same_job(database: Database) -> None:
    with database.writing() as session:
        models = queued(session, 60)[0].id
    got: list[list[int]] = [[], [], []]

    def work(mine: list[int]) -> None:
        while claims := claim(database, models, 4):
            mine += [one.instance for one in claims]

    threads = [threading.Thread(target=work, args=(mine,)) for mine in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one for mine in got for one in mine) == list(range(1, 61))
