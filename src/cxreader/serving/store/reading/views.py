"""One study as it is shown: its images with their results, verdicts, and who reads it now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.errors import AbsentError
from cxreader.serving.store.reading.results import HEAT, revisions
from cxreader.serving.store.tables.images import Instance, Study, WorklistRow
from cxreader.serving.store.tables.people import StudyLock, Verdict
from cxreader.serving.store.tables.readings import HeatMap, Result

T = TypeVar("T", Study, Instance, Result)


@dataclass(frozen=True, slots=True)
class ImageView:
    """An image with all its results, the latest first; none while it waits to be read."""

    instance: Instance
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class StudyView:
    """A study, its place in the worklist, its images in the order in which they came, its verdicts in theirs, and its lock."""

    study: Study
    row: WorklistRow
    images: tuple[ImageView, ...]
    verdicts: tuple[Verdict, ...]
    lock: StudyLock | None


def by_key(session: Session, kind: type[T], key: str) -> T:
    """The study, instance or result of this key. Raises AbsentError."""
    found = session.scalar(select(kind).where(kind.key == key))
    if found is None:
        raise AbsentError(f"there is no such {kind.__name__.lower()}", mend="it may have been deleted")
    return found


def study_view(session: Session, now: float, key: str) -> StudyView:
    """The study of this key. Raises AbsentError."""
    study = by_key(session, Study, key)
    images = session.scalars(select(Instance).where(Instance.study_id == study.id).order_by(Instance.id)).all()
    verdicts = session.scalars(select(Verdict).where(Verdict.study_id == study.id).order_by(Verdict.id)).all()
    lock = session.scalar(select(StudyLock).where(StudyLock.study_id == study.id, StudyLock.until > now))
    each = tuple(ImageView(image, tuple(revisions(session, image.id))) for image in images)
    return StudyView(study, session.get_one(WorklistRow, study.id), each, tuple(verdicts), lock)


def maps(session: Session, result: Result) -> Sequence[HeatMap]:
    """All maps of a result, heat maps first."""
    kept = session.scalars(select(HeatMap).where(HeatMap.result_id == result.id).order_by(HeatMap.id)).all()
    return sorted(kept, key=lambda one: one.kind != HEAT)
