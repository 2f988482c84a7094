"""The whole review of some weeks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cxreader.evaluation.decisions.refusals import Refusals, count_refusals
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.serving.review import weeks
from cxreader.serving.review.agreement import Agreed, agreed
from cxreader.serving.review.alarms import Alarms, rejected_alarms
from cxreader.serving.review.turnaround import Simulated, Waited, simulated, waited
from cxreader.serving.review.volumes import Volume, volumes
from cxreader.serving.service import TriageService
from cxreader.serving.store.reading import judged as rows
from cxreader.serving.store.reading.judged import Answered, Judged

RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Review:
    """What the verdicts and answers of the last `weeks` weeks tell. `refusals`: None where nothing was read.

    `verdicts`, `answers`: how many were looked at; `cut`: whether there are more, earlier ones.
    """

    weeks: int
    verdicts: int
    answers: int
    cut: bool
    agreed: list[Agreed]
    alarms: Alarms
    volumes: list[Volume]
    waited: list[Waited]
    refusals: Refusals | None
    patients: int


def review(service: TriageService, count: int) -> Review:
    """Of the last so many weeks, the current one among them. Raises StorageError, SilentError."""
    service.refuse_silent()
    zone = service.settings.zone
    with service.database.reading() as session:
        of = weeks.last(service.database.now(session), count, zone)
        since = weeks.begins(of[0], zone)
        verdicts, answers, came = (
            rows.judged(session, since),
            rows.answered(session, since),
            rows.received(session, since),
        )
    return Review(
        weeks=count,
        verdicts=len(verdicts),
        answers=len(answers),
        cut=len(verdicts) == rows.MOST or len(answers) == rows.MOST_ANSWERS,
        agreed=agreed(verdicts),
        alarms=rejected_alarms(verdicts, of, zone),
        volumes=volumes(came, answers, verdicts, of, zone),
        waited=waited(verdicts),
        refusals=_refusals(answers),
        patients=len({one.patient for one in answers}),
    )


def simulation(service: TriageService, count: int, shift: str) -> Simulated:
    """The worklist of those weeks under other orders. Raises DataError for too little of them, UsageError for a wrong shift."""
    service.refuse_silent()
    zone = service.settings.zone
    with service.database.reading() as session:
        of = weeks.last(service.database.now(session), count, zone)
        verdicts: list[Judged] = rows.judged(session, weeks.begins(of[0], zone))
        point: dict[str, Any] | None = rows.operating_point(session)
    return simulated(verdicts, point, shift, service.settings.worklist.below, zone)


def _refusals(answers: list[Answered]) -> Refusals | None:
    if not answers:
        return None
    refused = np.array([one.acceptance in ("refused", None) for one in answers])
    groups = np.unique([one.patient for one in answers], return_inverse=True)[1]
    reasons = [one.reasons if no else () for one, no in zip(answers, refused, strict=True)]
    return count_refusals(refused, reasons, Sample(np.zeros(len(answers), np.int8), groups), n_resamples=RESAMPLES)
