"""The queue in the database: leases by its clock, a fencing token a lease, attempts, dead letters.

A lease that ran out, or whose holder died, is somebody else's; who held it can no longer end the job, since the token has moved
on. What failed once is read alone, so that an image that kills its reader takes no other with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from cxreader.serving.store.tables.images import Instance
from cxreader.serving.store.tables.readings import Job, ModelSet

BACK_OFF = 5.0
"""Seconds before a second attempt; doubled with each further one, up to LONGEST."""
LONGEST = 60.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A leased job: its image, the `token` of this lease, and which attempt it is, from 1."""

    job: int
    token: int
    models: int
    instance: int
    study: int
    key: str
    sha256: str
    revision: int
    attempt: int


def enqueue(session: Session, now: float, instance: Instance, models: ModelSet) -> Job:
    """A job for an image, numbered behind those it had."""
    last = session.scalar(select(func.max(Job.revision)).where(Job.instance_id == instance.id)) or 0
    job = Job(instance_id=instance.id, models_id=models.id, revision=last + 1, available_at=now, created_at=now)
    job.holder = job.error = ""
    session.add(job)
    return job


def claim(
    session: Session, now: float, models: int, *, holder: str, most: int, until: float, beside: bool = False
) -> list[Claim]:
    """Up to `most` jobs that wait, the oldest first, leased to `holder` for these models; one alone where it failed before.

    `beside`: the holder has others under way. Where the oldest failed before there is nothing for it then, until those have
    ended: what may kill the reader takes no other with it.
    """
    waiting = (
        select(Job)
        .where(Job.state == "waiting", Job.available_at <= now)
        .order_by(Job.available_at, Job.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    jobs = session.scalars(waiting).all()
    failed = bool(jobs and jobs[0].attempts)
    jobs = jobs[: 0 if beside else 1] if failed else [job for job in jobs if not job.attempts]
    for job in jobs:
        job.state, job.models_id, job.holder, job.leased_until = "leased", models, holder, until
        job.token += 1
        job.attempts += 1
    images = {i.id: i for i in session.scalars(select(Instance).where(Instance.id.in_([j.instance_id for j in jobs])))}
    each = [(job, images[job.instance_id]) for job in jobs]
    return [
        Claim(j.id, j.token, j.models_id, i.id, i.study_id, i.key, i.sha256, j.revision, j.attempts) for j, i in each
    ]


def renew(session: Session, claims: Sequence[Claim], until: float) -> None:
    """These leases last until then, where they are still theirs."""
    for one in claims:
        session.execute(update(Job).where(*_held(one)).values(leased_until=until))


def finish(session: Session, now: float, claims: Sequence[Claim]) -> set[int]:
    """End these jobs; returns the ids of those that are done. Of the others the lease was lost: nothing may be kept."""
    tokens = {one.job: one.token for one in claims}
    leased = select(Job.id, Job.token).where(Job.id.in_(tokens), Job.state == "leased").order_by(Job.id)
    held = {job for job, token in session.execute(leased.with_for_update()) if token == tokens[job]}
    ended = {"state": "done", "leased_until": None, "ended_at": now, "error": ""}
    session.execute(update(Job).where(Job.id.in_(held)).values(ended))
    return held


def fail(session: Session, now: float, one: Claim, *, error: str, attempts: int) -> bool:
    """The attempt failed: another one later, or, after so many `attempts`, a dead letter. True for a dead letter."""
    job = session.scalar(select(Job).where(*_held(one)))
    return job is not None and _again(job, now, error, attempts)


def give_back(session: Session, now: float, claims: Sequence[Claim]) -> None:
    """Jobs that were not begun: they wait again, and no attempt is counted."""
    for one in claims:
        back = {"state": "waiting", "attempts": Job.attempts - 1, "leased_until": None, "available_at": now}
        session.execute(update(Job).where(*_held(one)).values(back))


def expire(session: Session, now: float, *, attempts: int, holder: str | None = None) -> list[int]:
    """Leases that ran out, or all of a `holder` that died, are failed attempts. Returns the images of the new dead letters."""
    lost = select(Job).where(Job.state == "leased").with_for_update(skip_locked=True)
    lost = lost.where(Job.leased_until < now) if holder is None else lost.where(Job.holder == holder)
    jobs = session.scalars(lost).all()
    return [job.instance_id for job in jobs if _again(job, now, "its reader ended without an answer", attempts)]


def revive(session: Session, now: float) -> list[int]:
    """Every dead letter waits again, with all its attempts. Returns their images."""
    jobs = session.scalars(select(Job).where(Job.state == "dead")).all()
    for job in jobs:
        job.state, job.attempts, job.available_at, job.ended_at, job.error = "waiting", 0, now, None, ""
    return [job.instance_id for job in jobs]


def _held(one: Claim) -> tuple[ColumnElement[bool], ...]:
    return Job.id == one.job, Job.token == one.token, Job.state == "leased"


def _again(job: Job, now: float, error: str, attempts: int) -> bool:
    dead = job.attempts >= attempts
    job.state, job.error, job.leased_until = "dead" if dead else "waiting", error, None
    job.available_at = now + min(LONGEST, BACK_OFF * 2.0 ** (job.attempts - 1))
    job.ended_at = now if dead else None
    return dead
