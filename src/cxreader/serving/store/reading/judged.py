"""What readers said of answers, and what was received and refused, as rows for statistics: no name, no key of a patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.serving.store.reading.exported import label_of
from cxreader.serving.store.tables.images import Instance, Study, WorklistRow
from cxreader.serving.store.tables.people import User, Verdict
from cxreader.serving.store.tables.readings import Result

MOST = 5_000
"""Verdicts that are looked at, the latest ones."""
MOST_ANSWERS = 10_000
"""Answers that are looked at, the latest ones."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict on an answer. `patient`: what tells patients apart; a study whose patient is not known is one of its own.

    `label`: normal or abnormal, what the verdict makes of the answer's `decision`, or empty. `value`: its probability or
    score. `step`: where the study stands in the worklist. Moments in seconds since 1970.
    """

    study: int
    patient: str
    user: str
    stage: str
    mode: str
    kind: str
    decision: str | None
    label: str
    value: float | None
    step: int
    received_at: float
    given_at: float
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Answered:
    """The first answer to an image: `acceptance` is accepted, warning or refused, None for what could not be read."""

    patient: str
    acceptance: str | None
    reasons: tuple[str, ...]
    decision: str | None
    read_at: float


def judged(session: Session, since: float) -> list[Judged]:
    """The verdicts given since this moment, in their order; the latest MOST of them."""
    reading = Result.reading
    query = (
        select(
            Verdict,
            User.name,
            Study,
            WorklistRow.step,
            WorklistRow.received_at,
            reading["decision"].as_string(),
            reading["probability"].as_float(),
            reading["score"].as_float(),
        )
        .join(User, User.id == Verdict.user_id)
        .join(Study, Study.id == Verdict.study_id)
        .join(WorklistRow, WorklistRow.study_id == Study.id)
        .outerjoin(Result, Result.id == Verdict.result_id)
        .where(Verdict.given_at >= since)
        .order_by(Verdict.id.desc())
        .limit(MOST)
    )
    return [_judged(*row) for row in reversed(session.execute(query).all())]


def answered(session: Session, since: float) -> list[Answered]:
    """The first answers to images that were read since this moment, in their order; the latest MOST_ANSWERS of them."""
    reading = Result.reading
    query = (
        select(
            Study,
            reading["acceptance"].as_string(),
            reading["reasons"],
            reading["decision"].as_string(),
            Result.read_at,
        )
        .join(Instance, Instance.id == Result.instance_id)
        .join(Study, Study.id == Instance.study_id)
        .where(Result.read_at >= since, Result.revision == 1)
        .order_by(Result.id.desc())
        .limit(MOST_ANSWERS)
    )
    return [
        Answered(_patient(study), acceptance, tuple(reasons or ()), decision, read_at)
        for study, acceptance, reasons, decision, read_at in reversed(session.execute(query).all())
    ]


def received(session: Session, since: float) -> Sequence[tuple[float, int]]:
    """When each image was received since this moment, and the number of its study."""
    query = select(Instance.received_at, Instance.study_id).where(Instance.received_at >= since)
    return [(at, study) for at, study in session.execute(query.order_by(Instance.received_at))]


def operating_point(session: Session) -> dict[str, Any] | None:
    """That of the latest answer, as plain values; None before the first."""
    found = session.scalar(select(Result).order_by(Result.id.desc()).limit(1))
    return None if found is None else dict(found.reading["operating_point"])


def _judged(
    verdict: Verdict,
    user: str,
    study: Study,
    step: int,
    received_at: float,
    decision: str | None,
    probability: float | None,
    score: float | None,
) -> Judged:
    return Judged(
        study=study.id,
        patient=_patient(study),
        user=user,
        stage=verdict.stage,
        mode=verdict.mode,
        kind=verdict.kind,
        decision=decision,
        label=verdict.impression or label_of(verdict.kind, decision),
        value=score if probability is None else probability,
        step=step,
        received_at=received_at,
        given_at=verdict.given_at,
        seconds=verdict.seconds,
    )


def _patient(study: Study) -> str:
    return f"{len(study.issuer)}:{study.issuer}{study.patient_id}" if study.patient_id else f"study {study.id}"
