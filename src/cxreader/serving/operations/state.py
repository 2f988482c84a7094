"""What waits, what runs and how much room there is, for an administrator."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from cxreader.serving.operations import processes
from cxreader.serving.operations.processes import Running
from cxreader.serving.service import TriageService
from cxreader.serving.store.tables.images import Instance
from cxreader.serving.store.tables.readings import Job, Result
from cxreader.serving.store.tables.sending import OutboxEntry

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class State:
    """`jobs`, `outbox`: by state. `oldest`: seconds that the longest waiting image waits, None without one.

    `received`, `read`: images of the last hour. `free`, `total`: bytes of the home's disk. `processes`: of this machine.
    """

    jobs: dict[str, int]
    outbox: dict[str, int]
    oldest: float | None
    received: int
    read: int
    free: int
    total: int
    processes: tuple[Running, ...]


def state_of(service: TriageService) -> State:
    """As it is now. Raises StorageError."""
    home = service.settings.home
    disk = shutil.disk_usage(home)
    with service.database.reading() as session:
        now = service.database.now(session)
        jobs = _by_state(session, Job.state)
        outbox = _by_state(session, OutboxEntry.state)
        since = session.scalar(select(func.min(Job.created_at)).where(Job.state.in_(("waiting", "leased"))))
        received = session.scalar(select(func.count()).where(Instance.received_at > now - HOUR)) or 0
        read = session.scalar(select(func.count()).where(Result.read_at > now - HOUR)) or 0
    oldest = None if since is None else now - since
    return State(jobs, outbox, oldest, received, read, disk.free, disk.total, tuple(processes.told(home)))


def _by_state(session: Session, column: InstrumentedAttribute[str]) -> dict[str, int]:
    return {str(state): int(count) for state, count in session.execute(select(column, func.count()).group_by(column))}
