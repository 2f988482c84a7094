"""Numbers for Prometheus, counted in the database when they are asked for, so that every process and host tells the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from cxreader.serving.order.places import BANDS
from cxreader.serving.service import TriageService
from cxreader.serving.store.tables.images import Instance, WorklistRow
from cxreader.serving.store.tables.readings import Job, Result
from cxreader.serving.store.tables.sending import OutboxEntry

WINDOW = 24 * 3600.0
"""Seconds that histograms look back."""
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
    of_day = Result.read_at > now - WINDOW, Result.revision == 1
    accepted = GaugeMetricFamily(
        "cxreader_day_answers", "Answers of the last day, by acceptance.", labels=["acceptance"]
    )
    kind = Result.reading["acceptance"].as_string()
    for name, count in session.execute(select(kind, func.count()).where(*of_day).group_by(kind).order_by(kind)):
        accepted.add_metric([name or "not read"], count)
    yield accepted
    found = session.execute(
        select(*(one for histogram in _HISTOGRAMS for one in histogram.columns()))
        .join(Instance, Instance.id == Result.instance_id)
        .where(*of_day)
    ).one()
    left = list(found)
    for histogram in _HISTOGRAMS:
        count, total, *buckets = (left.pop(0) or 0 for _ in range(2 + len(histogram.bounds)))
        named = [(str(float(bound)), float(bucket)) for bound, bucket in zip(histogram.bounds, buckets, strict=True)]
        yield HistogramMetricFamily(
            histogram.name, histogram.told, buckets=[*named, ("+Inf", float(count))], sum_value=float(total)
        )


@dataclass(frozen=True, slots=True)
class _Histogram:
    """A `value` of each answer, counted at or below each bound."""

    name: str
    told: str
    value: Any
    bounds: Sequence[float]

    def columns(self) -> list[ColumnElement[Any]]:
        """How many values there are, their sum, and how many at or below each bound."""
        at_or_below = [func.count(case((self.value <= bound, 1))) for bound in self.bounds]
        return [func.count(self.value), func.sum(self.value), *at_or_below]


_READING = Result.reading
_HISTOGRAMS = (
    _Histogram(
        "cxreader_day_read_seconds",
        "From received to read, last day.",
        Result.read_at - Instance.received_at,
        SECONDS,
    ),
    _Histogram(
        "cxreader_day_score",
        "Probabilities and scores, last day.",
        func.coalesce(_READING["score"].as_float(), _READING["probability"].as_float()),
        SHARES,
    ),
    _Histogram(
        "cxreader_day_ood_score",
        "Out-of-distribution scores, last day.",
        _READING["ood_score"].as_float(),
        DISTANCES,
    ),
)
