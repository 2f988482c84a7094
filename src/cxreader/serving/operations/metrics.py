"""Numbers for Prometheus, counted in the database when they are asked for, so that every process and host tells the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cxreader.serving.order.places import BANDS
from cxreader.serving.service import TriageService
from cxreader.serving.store.tables.images import Instance, WorklistRow
from cxreader.serving.store.tables.readings import Job, Result
from cxreader.serving.store.tables.sending import OutboxEntry

WINDOW = 24 * 3600.0
"""Seconds that histograms look back."""
MOST = 20_000
"""Answers of that window that are looked at, the latest first."""
SECONDS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
SHARES = tuple(n / 10 for n in range(1, 11))
DISTANCES = (0.25, 0.5, 0.75, 1, 1.5, 2, 4)


def metrics(service: TriageService) -> bytes:
    """All of them in Prometheus' text format. Raises StorageError."""
    registry = CollectorRegistry()
    with service.database.reading() as session:
        registry.register(_Counted(list(_all(session, service.database.now(session)))))
    return generate_latest(registry)


class _Counted(Collector):
    def __init__(self, found: Sequence[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        """What was counted."""
        return self._found


def _all(session: Session, now: float) -> Iterator[Metric]:
    yield _by_state(session, "cxreader_jobs", "Images to be read, by state.", Job.state)
    yield _by_state(session, "cxreader_outbox", "Results to be sent, by state.", OutboxEntry.state)
    yield _by_state(session, "cxreader_studies", "Studies of the worklist, by state.", WorklistRow.state)
    yield from _waiting(session, now)
    yield from _answers(session, now)


def _by_state(session: Session, name: str, told: str, column: object) -> Metric:
    made = GaugeMetricFamily(name, told, labels=["state"])
    for state, count in session.execute(select(column, func.count()).group_by(column)):  # type: ignore[call-overload]
        made.add_metric([state], count)
    return made


def _waiting(session: Session, now: float) -> Iterator[Metric]:
    """Open studies and the longest wait among them, by band."""
    count = GaugeMetricFamily("cxreader_open_studies", "Open studies, by band.", labels=["band"])
    oldest = GaugeMetricFamily(
        "cxreader_longest_wait_seconds", "The longest wait of an open study, by band.", labels=["band"]
    )
    overdue = GaugeMetricFamily(
        "cxreader_overdue_studies", "Open studies beyond their longest wait, by band.", labels=["band"]
    )
    rows = session.execute(
        select(
            WorklistRow.step,
            func.count(),
            func.min(WorklistRow.received_at),
            func.count().filter(WorklistRow.due_at <= now),
        )
        .where(WorklistRow.state == "open")
        .group_by(WorklistRow.step)
    )
    for step, studies, first, late in rows:
        for metric, value in ((count, studies), (oldest, now - first), (overdue, late)):
            metric.add_metric([BANDS[step]], value)
    yield from (count, oldest, overdue)


def _answers(session: Session, now: float) -> Iterator[Metric]:
    """Of the last day: answers by acceptance, seconds from received to read, scores, out-of-distribution scores."""
    found = session.execute(
        select(Result.reading, Result.read_at - Instance.received_at)
        .join(Instance, Instance.id == Result.instance_id)
        .where(Result.read_at > now - WINDOW, Result.revision == 1)
        .order_by(Result.id.desc())
        .limit(MOST)
    ).all()
    accepted = GaugeMetricFamily(
        "cxreader_day_answers", "Answers of the last day, by acceptance.", labels=["acceptance"]
    )
    kinds = [reading.get("acceptance") or "not read" for reading, _ in found]
    for kind in sorted(set(kinds)):
        accepted.add_metric([kind], kinds.count(kind))
    yield accepted
    values = [reading.get("probability") if reading.get("score") is None else reading["score"] for reading, _ in found]
    distances = [reading.get("ood_score") for reading, _ in found]
    yield _histogram("cxreader_day_read_seconds", "From received to read, last day.", [s for _, s in found], SECONDS)
    yield _histogram("cxreader_day_score", "Probabilities and scores, last day.", values, SHARES)
    yield _histogram("cxreader_day_ood_score", "Out-of-distribution scores, last day.", distances, DISTANCES)


def _histogram(name: str, told: str, values: Iterable[float | None], bounds: Sequence[float]) -> Metric:
    """Counts at or below each bound."""
    known = [value for value in values if value is not None]
    buckets = [(str(float(bound)), float(sum(value <= bound for value in known))) for bound in bounds]
    return HistogramMetricFamily(name, told, buckets=[*buckets, ("+Inf", float(len(known)))], sum_value=sum(known))
