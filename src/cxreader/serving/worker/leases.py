"""What a worker asks of the store: jobs, more time for them, and that answers are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.inference.triage import ALARM
from cxreader.serving.results.uids import kinds_that_leave
from cxreader.serving.settings import Settings
from cxreader.serving.store import audit, events
from cxreader.serving.store.audit import Noted
from cxreader.serving.store.database import Database
from cxreader.serving.store.reading import models, results, studies
from cxreader.serving.store.reading.results import Answer, KeptPixels
from cxreader.serving.store.tables.images import Instance, Study, WorklistRow
from cxreader.serving.store.tables.readings import Job, ModelSet, Result
from cxreader.serving.store.work import outbox, queue
from cxreader.serving.store.work.queue import Claim
from cxreader.serving.store.work.set_back import Steps, bring_near


class Leases:
    """The queue as one worker, called `holder`, sees it. Each method is one transaction.

    `settings`: how long a lease lasts, after how many attempts a job is a dead letter, the longest waits, and what may leave the
    service. Raises StorageError as `Database`.
    """

    def __init__(self, database: Database, settings: Settings, holder: str) -> None:
        self._database, self.holder = database, holder
        self._waits, self._attempts = settings.worklist.waits, settings.worker.attempts
        self._seconds, self._sends = settings.worker.lease, kinds_that_leave(settings)
        self._steps = Steps()

    def claim(self, models_digest: str, most: int, *, beside: bool = False) -> list[Claim]:
        """Up to so many jobs, none where the models of this digest are not active. Leases that ran out are ended first.

        `beside`: as of `queue.claim`.
        """
        with self._database.writing() as session:
            now = self._database.now(session)
            if self._steps.back(now):
                bring_near(session, now, Job, pause=queue.LONGEST, lease=self._seconds)
            self._expire(session, now)
            active = models.active(session)
            if active is None or active.digest != models_digest:
                return []
            until = now + self._seconds
            return queue.claim(session, now, active.id, holder=self.holder, most=most, until=until, beside=beside)

    def active(self) -> ModelSet | None:
        """The models for which images are queued now."""
        with self._database.reading() as session:
            return models.active(session)

    def renew(self, claims: Sequence[Claim]) -> None:
        """Hold these for as long again."""
        with self._database.writing() as session:
            queue.renew(session, claims, self._database.now(session) + self._seconds)

    def keep(self, answers: Sequence[Answer]) -> int:
        """Keep the answers, all in one transaction, but for those whose lease was lost; how many were kept."""
        with self._database.writing() as session:
            now = self._database.now(session)
            kept = results.keep(session, now, answers)
            outbox.plan(session, now, [result for _, result in kept], self._sends)
            alarms = {answer.claim.study for answer, result in kept if _is_new_alarm(session, result)}
            done = _done(session, alarms)
            self._changed(session, now, "read", [answer.claim.study for answer, _ in kept], reopen=alarms)
            if done:
                audit.note(session, now, [Noted("opened again by an alarm", "worker", key) for key in done])
        return len(kept)

    def keep_pixels(self, one: Claim, pixels: KeptPixels) -> None:
        """Remember where the decoded pixels of an image lie."""
        self._database.write(lambda session: results.keep_pixels(session, one.instance, pixels))

    def fail(self, claims: Sequence[Claim], error: str) -> None:
        """These attempts failed by this kind of error."""
        with self._database.writing() as session:
            now = self._database.now(session)
            dead = [one for one in claims if queue.fail(session, now, one, error=error, attempts=self._attempts)]
            self._bury(session, now, {one.instance for one in dead})

    def give_back(self, claims: Sequence[Claim]) -> None:
        """These were not read, by no fault of theirs."""
        with self._database.writing() as session:
            queue.give_back(session, self._database.now(session), claims)

    def end_of(self, holder: str) -> None:
        """A worker died: what it held is free at once."""
        with self._database.writing() as session:
            self._expire(session, self._database.now(session), holder)

    def _expire(self, session: Session, now: float, holder: str | None = None) -> None:
        self._bury(session, now, queue.expire(session, now, attempts=self._attempts, holder=holder))

    def _bury(self, session: Session, now: float, dead: Iterable[int]) -> None:
        """Tell of the dead letters of these images."""
        images = [session.get_one(Instance, one) for one in sorted(dead)]
        if images:
            session.flush()
            self._changed(session, now, "failed", [image.study_id for image in images])
            audit.note(session, now, [Noted("reading failed", "worker", image.key) for image in images])

    def _changed(
        self, session: Session, now: float, kind: str, of: Iterable[int], *, reopen: Collection[int] = ()
    ) -> None:
        rows = studies.refresh(session, now, of, self._waits, reopen=reopen)
        if rows:
            events.tell(session, now, [(kind, *row) for row in rows])


def _is_new_alarm(session: Session, result: Result) -> bool:
    """Whether it is an alarm where the image's answer before it was none: who ended the study could not know of it."""
    before = select(Result.step).where(Result.instance_id == result.instance_id, Result.revision < result.revision)
    return result.step == ALARM and session.scalar(before.order_by(Result.revision.desc()).limit(1)) != ALARM


def _done(session: Session, among: Collection[int]) -> Sequence[str]:
    """Keys of these studies that are done: who ended them had not seen the alarm that comes now."""
    done = select(Study.key).join(WorklistRow, WorklistRow.study_id == Study.id).where(Study.id.in_(among))
    return session.scalars(done.where(WorklistRow.state == "done").order_by(Study.id)).all()
