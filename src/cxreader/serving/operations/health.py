"""Whether the service can take images and answer them: what a load balancer and a person ask first."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from cxreader.counting import format_count
from cxreader.errors import CxreaderError
from cxreader.serving.dicom import listening
from cxreader.serving.service import TriageService
from cxreader.serving.store.migrate import head, revision
from cxreader.serving.store.reading import models
from cxreader.serving.store.tables.readings import Job
from cxreader.serving.store.tables.sending import Destination, OutboxEntry
from cxreader.serving.worker.models import installed

LEAST_FREE = 2 * 2**30
"""Bytes that must be free in the home: an hour of a busy department."""
STUCK = 600.0
"""Seconds after which a job that waits, or an outbox entry that is due, tells that nobody works on it."""
MENDS = {
    "database": "see that it runs and can be reached; after an update, back it up and call `cxreader serve init`",
    "disk": "free space: delete old images and decoded pixels (Retention), or move the home",
    "models": "activate models that are on this machine (Models)",
    "queue": "see that workers run (Processes), and what they wrote to the log",
    "node": "see the log of the DICOM node, and that no other program uses its port",
    "outbox": "test the destination's answer, then send its dead letters again (Destinations)",
}
"""What helps against each."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `why`: what is wrong, without paths or patients; empty where nothing is.

    `noted`: what a person should see to, though the service takes images and answers them all the same; empty where nothing is.
    """

    name: str
    why: str = ""
    noted: str = ""

    @property
    def mend(self) -> str:
        """What would help."""
        return MENDS[self.name]


def ready(service: TriageService) -> list[Check]:
    """Every check, in a fixed order; one that fails does not stop the next."""
    checks: dict[str, Callable[[TriageService], str]] = {
        "database": _database,
        "disk": _disk,
        "models": _models,
        "queue": _queue,
        "node": _node,
        "outbox": _outbox,
    }
    notes: dict[str, Callable[[TriageService], str]] = {"outbox": _given_up}
    return [
        Check(name, _tried(check, service), _tried(notes[name], service) if name in notes else "")
        for name, check in checks.items()
    ]


def _tried(check: Callable[[TriageService], str], service: TriageService) -> str:
    try:
        return check(service)
    except CxreaderError as error:
        return error.what


def _database(service: TriageService) -> str:
    there = revision(service.database)
    return "" if there == head() else f"its tables are at revision {there}, not {head()}"


def _disk(service: TriageService) -> str:
    free = shutil.disk_usage(service.settings.home).free
    return "" if free >= LEAST_FREE else f"{free / 2**30:.1f} GiB are free, below {LEAST_FREE / 2**30:.0f}"


def _models(service: TriageService) -> str:
    with service.database.reading() as session:
        active = models.active(session)
    if active is None:
        return "none is active"
    missing = set(active.rule["artifacts"]) - installed(service.settings).keys()
    workers = service.settings.worker.processes
    return f"{', '.join(sorted(missing))} reads, and is not on this machine" if missing and workers else ""


def _queue(service: TriageService) -> str:
    with service.database.reading() as session:
        now = service.database.now(session)
        since = session.scalar(select(func.min(Job.available_at)).where(Job.state == "waiting"))
    return _waits(now, since, "an image")


def _node(service: TriageService) -> str:
    section = service.settings.dicom
    if not section.enabled:
        return ""
    port = listening.told(service.settings.home)
    return "" if port and listening.accepts(section.host, port) else "it does not listen"


def _outbox(service: TriageService) -> str:
    """A destination that is switched off, and a service that is silent, owe nothing."""
    if service.settings.silent:
        return ""
    with service.database.reading() as session:
        now = service.database.now(session)
        since = session.scalar(_of_enabled(func.min(OutboxEntry.available_at), "waiting"))
    return _waits(now, since, "a result")


def _given_up(service: TriageService) -> str:
    """One object that a destination refuses must not take the whole service from its load balancer."""
    if service.settings.silent:
        return ""
    with service.database.reading() as session:
        dead = session.scalar(_of_enabled(func.count(OutboxEntry.id), "dead")) or 0
    return format_count(dead, "[result was|results were] given up") if dead else ""


def _of_enabled(wanted: ColumnElement[Any], state: str) -> Select[Any]:
    """What is wanted of outbox entries in a state whose destination is switched on."""
    return (
        select(wanted)
        .join(Destination, Destination.id == OutboxEntry.destination_id)
        .where(Destination.enabled, OutboxEntry.state == state)
    )


def _waits(now: float, since: float | None, what: str) -> str:
    if since is None or now - since < STUCK:
        return ""
    return f"{what} has waited {(now - since) / 60:.0f} minutes for somebody to take it"
