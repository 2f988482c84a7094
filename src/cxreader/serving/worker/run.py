"""The worker: takes what waits, reads it in batches, and keeps the answers of a batch in one transaction."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import wait
from contextlib import closing, suppress
from functools import partial

from cxreader.errors import ImageError, MissingObjectError, StorageError
from cxreader.serving.settings import Settings, WorkerSection
from cxreader.serving.store.opened import opened_database, opened_objects
from cxreader.serving.store.reading import models
from cxreader.serving.store.tables.readings import ModelSet
from cxreader.serving.store.work.queue import Claim
from cxreader.serving.worker.leases import Leases
from cxreader.serving.worker.models import load_reader, rule_of, settings_of
from cxreader.serving.worker.pipeline import Batch, Pipeline

log = logging.getLogger(__name__)
AHEAD = 3
"""Batches under way: two in the network, and the next one being decoded."""
LOOK = 2.0
"""Seconds between two looks at which models are active."""
IDLE = 0.1
"""Seconds between two looks at an empty queue."""
AGAIN = 2.0
"""Seconds before what cannot be used now is tried again."""
UNSEEN = 2000
"""Images that were read and wait to be decoded for the viewer, when there is nothing to read; the latest ones."""


def run(settings: Settings, stopped: Callable[[], bool], name: str) -> None:
    """Read as `name`, a lease's holder, until `stopped`; what is under way is ended first. Raises StorageError, ArtifactError.

    Where an administrator activates other models that are on this machine, it goes on with those. Where database or store
    cannot be used it tries again and again: to load the networks anew would take longer.
    """
    with closing(opened_database(settings)) as database:
        leases, objects = Leases(database, settings, name), opened_objects(settings)
        while not stopped():
            own = settings_of(settings, leases.active())
            turn = _Turn(settings, leases, models.digest_of(rule_of(own)))
            with Pipeline(load_reader(own), objects) as pipeline:
                _read(Worker(leases, pipeline, turn.digest, settings.worker), partial(_either, stopped, turn.is_over))


def _either(stopped: Callable[[], bool], over: Callable[[], bool]) -> bool:
    return stopped() or over()


def _read(worker: Worker, over: Callable[[], bool]) -> None:
    """Read until it is `over`, whatever becomes of database and store in between."""
    while not over():
        try:
            worker.work(over)
        except StorageError as error:
            log.warning("reading waits for database or store", extra={"told": error.what})
            time.sleep(AGAIN)


class _Turn:
    """While the models of one digest read: it is over when others are active that are on this machine."""

    def __init__(self, settings: Settings, leases: Leases, digest: str) -> None:
        self.digest, self._settings, self._leases = digest, settings, leases
        self._looked, self._not_here, self._over = time.monotonic(), "", False

    def is_over(self) -> bool:
        """Looked at every few seconds; what is not here is looked for once."""
        if self._over or time.monotonic() < self._looked + LOOK:
            return self._over
        self._looked, active = time.monotonic(), self._active()
        if active is None or active.digest in (self.digest, self._not_here):
            return False
        if models.digest_of(rule_of(settings_of(self._settings, active))) == active.digest:
            self._over = True
            return True
        self._not_here = active.digest
        return False

    def _active(self) -> ModelSet | None:
        """None too while the database cannot be asked."""
        try:
            return self._leases.active()
        except StorageError:
            return None


def died(settings: Settings, name: str) -> None:
    """What the worker of this name held is free."""
    database = opened_database(settings)
    Leases(database, settings, name).end_of(name)
    database.close()


class Worker:
    """One worker's loop over the queue; `digest`: of its models (`store.models.digest_of`)."""

    def __init__(self, leases: Leases, pipeline: Pipeline, digest: str, options: WorkerSection) -> None:
        self._leases, self._pipeline, self._options = leases, pipeline, options
        self._digest, self._held = digest, time.monotonic()
        self._running: deque[Batch] = deque()
        self._unseen: deque[Claim] = deque(maxlen=UNSEEN)
        self._owed: list[Claim] = []

    def work(self, stopped: Callable[[], bool]) -> None:
        """Until `stopped`, then end what is under way.

        Raises StorageError; what was under way then is given back, if need be when this is called again.
        """
        try:
            self._give_back()
            while not stopped():
                if not self._fill() and not self._running:
                    self._idle()
                self._end_first()
            while self._running:
                self._end_first()
        except StorageError:
            self._owed += [one for batch in self._running for one in batch.claims]
            self._running.clear()
            with suppress(StorageError):
                self._give_back()
            raise

    def _give_back(self) -> None:
        """What a failed round left: others, or this worker, may have it."""
        if self._owed:
            self._leases.give_back(self._owed)
            self._owed.clear()

    def _fill(self) -> bool:
        """Begin batches while there is something to begin with; whether there was. What failed before is under way alone."""
        began = False
        while len(self._running) < AHEAD and not self._on_trial() and (claims := self._claim()):
            self._running.append(self._pipeline.begin(claims))
            began = True
        return began

    def _on_trial(self) -> bool:
        """Whether something is under way that failed before: if it kills this process, nothing else is to die with it."""
        return any(one.attempt > 1 for batch in self._running for one in batch.claims)

    def _claim(self) -> list[Claim]:
        """What waits. A batch that is not full waits a moment for more, where nothing else is under way meanwhile."""
        claims = self._leases.claim(self._digest, self._options.batch, beside=bool(self._running))
        until = time.monotonic() + self._options.linger
        while self._may_linger(claims) and time.monotonic() < until:
            time.sleep(0.02)
            claims += self._leases.claim(self._digest, self._options.batch - len(claims), beside=True)
        return claims

    def _may_linger(self, claims: list[Claim]) -> bool:
        """A batch that has room; but what failed before is read alone."""
        return 0 < len(claims) < self._options.batch and not self._running and claims[-1].attempt == 1

    def _idle(self) -> None:
        """Decode one of the images that were read for the viewer, so that who opens it need not wait; nothing hangs on it."""
        if not self._unseen:
            time.sleep(IDLE)
            return
        one = self._unseen.popleft()
        with suppress(ImageError, MissingObjectError):
            self._leases.keep_pixels(one, self._pipeline.pixels(one))

    def _hold(self) -> None:
        """Hold all leases longer, where a third of their time has passed."""
        now = time.monotonic()
        if now >= self._held + self._options.lease / 3:
            self._leases.renew([one for batch in self._running for one in batch.claims])
            self._held = now

    def _end_first(self) -> None:
        """Wait for the answers to the first batch, holding all leases meanwhile, and keep them."""
        if not self._running:
            return
        batch = self._running[0]
        self._hold()
        while not wait([batch.answers], timeout=self._options.lease / 6).done:
            self._hold()
        try:
            answers = batch.answers.result()
        except StorageError as error:
            if not isinstance(error, MissingObjectError):
                raise
            self._leases.fail(batch.claims, type(error).__name__)
        except Exception as error:  # noqa: BLE001 - a defect of a reader is a failed attempt, not the worker's end
            self._leases.fail(batch.claims, type(error).__name__)
        else:
            self._leases.keep(answers)
            if self._options.pixels:
                self._unseen += [one.claim for one in answers if one.reading.acceptance is not None]
        self._running.popleft()
