"""DICOM objects as DICOMweb sees them: studies that match, and what each holds, received or made here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, exists, false, func, or_, select
from sqlalchemy.orm import Session

from cxreader.errors import UsageError
from cxreader.serving.results.uids import LOCATED, SERIES
from cxreader.serving.store.reading.filters import writings
from cxreader.serving.store.reading.withheld import withheld
from cxreader.serving.store.tables.images import Instance, Study, current
from cxreader.serving.store.tables.people import User
from cxreader.serving.store.tables.readings import Result, ResultObject

AT_ONCE = 200
"""Studies that are fetched together."""
EXACT, NAME, TEXT, DATE, TIME, UID, MODALITIES = "exact", "name", "text", "date", "time", "uid", "modalities"
STUDY_KEYS: Mapping[str, tuple[str, str]] = {
    "StudyInstanceUID": ("study_uid", UID),
    "PatientID": ("patient_id", TEXT),
    "IssuerOfPatientID": ("issuer", EXACT),
    "PatientName": ("patient_name", NAME),
    "PatientBirthDate": ("birth_date", DATE),
    "PatientSex": ("sex", EXACT),
    "AccessionNumber": ("accession_number", TEXT),
    "StudyDate": ("study_date", DATE),
    "StudyTime": ("study_time", TIME),
    "ModalitiesInStudy": ("", MODALITIES),
    "StudyID": ("study_id", TEXT),
    "StudyDescription": ("description", TEXT),
    "ReferringPhysicianName": ("referring_physician", NAME),
}
"""Attributes of a study that are matched (PS3.18 table 10.6.1-5): column, and how (PS3.4 C.2.2.2)."""
_TIME = r"([0-9]{2}([0-9]{2}([0-9]{2}(\.[0-9]{1,6})?)?)?)?"


@dataclass(frozen=True, slots=True)
class Held:
    """A DICOM object in the object store as `sha256`; `image`: the key of one that was received, empty for what was made here."""

    study: Study
    series_uid: str
    series_number: str
    series_description: str
    modality: str
    sop_class: str
    sop_instance_uid: str
    instance_number: str
    rows: int
    columns: int
    sha256: str
    image: str = ""


def matching(session: Session, keys: Mapping[str, str]) -> Iterator[Study]:
    """Studies that hold a DICOM object and whose attributes match, the latest first. Raises UsageError for one not in STUDY_KEYS.

    By `ModalitiesInStudy` also those of which nobody may be shown what matches: `has_modality` says it of what is shown.
    """
    query = select(Study).where(_holds(), *(_condition(name, value) for name, value in keys.items() if value))
    query, last = query.order_by(Study.id.desc()).limit(AT_ONCE), None
    while True:
        found = session.scalars(query if last is None else query.where(Study.id < last)).all()
        yield from found
        if len(found) < AT_ONCE:
            return
        last = found[-1].id


def held(session: Session, study: Study, *, regions: bool, reader: User | None = None) -> list[Held]:
    """What a study holds: first images as they came, then what was made of their latest results, which stays without them.

    Without `regions` nothing that tells where a finding lies; nothing of results that are withheld from this `reader`. Images
    that are not the `current` one of their UID, or without a DICOM file, are no part of it.
    """
    query = select(Instance).where(Instance.study_id == study.id, *_received()).order_by(Instance.id)
    images = session.scalars(query).all()
    found = [_image(study, one) for one in images if one.purged_at is None]
    if reader is not None and withheld(session, reader, [study.id]):
        return found
    mine = Result.instance_id.in_([one.id for one in images])
    revision = func.max(Result.revision).label("revision")
    latest = select(Result.instance_id, revision).where(mine).group_by(Result.instance_id).subquery()
    made = session.scalars(
        select(ResultObject)
        .join(Result, Result.id == ResultObject.result_id)
        .join(latest, and_(latest.c.instance_id == Result.instance_id, latest.c.revision == Result.revision))
        .order_by(ResultObject.id)
    )
    return found + [_made(study, one) for one in made if regions or one.kind not in LOCATED]


def has_modality(holds: Sequence[Held], wanted: str) -> bool:
    """Whether any of it is of this modality, in which `*` and `?` stand for others."""
    return any(_is_like(one.modality, wanted) for one in holds)


def _received() -> tuple[ColumnElement[bool], ...]:
    return Instance.kind == "dicom", current()


def _holds() -> ColumnElement[bool]:
    """Whether a study has an image whose file is here, or an object that was made of one."""
    made = exists().where(ResultObject.result_id == Result.id, Result.instance_id == Instance.id).correlate(Instance)
    is_there = or_(Instance.purged_at.is_(None), made)
    return exists().where(Instance.study_id == Study.id, *_received(), is_there).correlate(Study)


def _image(study: Study, one: Instance) -> Held:
    same = ("series_uid", "series_number", "series_description", "modality", "sop_class", "sop_instance_uid")
    more = ("instance_number", "rows", "columns", "sha256")
    return Held(study, **{name: getattr(one, name) for name in (*same, *more)}, image=one.key)


def _made(study: Study, one: ResultObject) -> Held:
    series = SERIES[one.kind]
    about = (one.series_uid, str(series.number), series.description, series.modality)
    named = (*about, one.sop_class, one.sop_instance_uid)
    return Held(study, *named, "", 0, 0, one.sha256)


def _condition(name: str, value: str) -> ColumnElement[bool]:
    if name not in STUDY_KEYS:
        raise UsageError(f"studies are not matched by {name}", mend=f"known: {', '.join(STUDY_KEYS)}")
    column_name, how = STUDY_KEYS[name]
    if how == MODALITIES:
        return _of_modality(value)
    column: SQLColumnExpression[str] = getattr(Study, column_name)
    if how == UID:
        return column.in_(value.replace("\\", ",").split(","))
    if how == DATE:
        return _dates(column, value)
    if how == TIME:
        return _times(column, value)
    if how == NAME:
        return or_(*(_text(func.lower(column), one, func.lower) for one in writings(value)))
    return column == value if how == EXACT else _text(column, value)


def _text(
    column: SQLColumnExpression[str], value: str, folded: Callable[[str], Any] = lambda value: value
) -> ColumnElement[bool]:
    """Wild cards (PS3.4 C.2.2.2.4) where there are any. Capitals matter, unless both sides are `folded`."""
    if set("*?") & set(value):
        return column.like(folded(_like(value)), escape="!")
    is_it: ColumnElement[bool] = column == folded(value)
    return is_it


def _of_modality(value: str) -> ColumnElement[bool]:
    """Studies with an image that was received, or an object that was made here, of this modality."""
    kinds = [kind for kind, series in SERIES.items() if _is_like(series.modality, value)]
    made = select(Instance.study_id).join(Result).join(ResultObject).where(ResultObject.kind.in_(kinds))
    images = select(Instance.study_id).where(_text(Instance.modality, value), Instance.purged_at.is_(None))
    return or_(Study.id.in_(images.where(*_received())), Study.id.in_(made) if kinds else false())


def _is_like(text: str, pattern: str) -> bool:
    return fnmatchcase(text, pattern.replace("[", "[[]"))


def _dates(column: SQLColumnExpression[str], value: str) -> ColumnElement[bool]:
    """A date, or a range of dates, YYYYMMDD-YYYYMMDD, either side open (PS3.4 C.2.2.2.5)."""
    first, dash, last = value.partition("-")
    if not all(re.fullmatch(r"([0-9]{8})?", one) for one in (first, last)):
        raise UsageError("no date or range of dates", mend="give YYYYMMDD or YYYYMMDD-YYYYMMDD")
    if not dash:
        return column == first
    bounds = [column >= first] if first else []
    return and_(column != "", *bounds, *([column <= last] if last else []))


def _times(column: SQLColumnExpression[str], value: str) -> ColumnElement[bool]:
    """A time, or a range of times, HHMMSS-HHMMSS, either side open; each is meant as precisely as it is given: 09 is 09 to 10."""
    first, dash, last = value.partition("-")
    if not all(re.fullmatch(_TIME, one) for one in (first, last)):
        raise UsageError("no time or range of times", mend="give HH, HHMM, HHMMSS, or a range as 0900-1130")

    def to(bound: str) -> ColumnElement[str]:
        return func.substr(column, 1, len(bound))

    if not dash:
        return to(first) == first
    bounds = [to(first) >= first] if first else []
    return and_(column != "", *bounds, *([to(last) <= last] if last else []))


def _like(value: str) -> str:
    """`*` and `?` as SQL has them, everything else as it stands."""
    for sign in "!%_":
        value = value.replace(sign, f"!{sign}")
    return value.replace("*", "%").replace("?", "_")


def by_uid(session: Session, study_uid: str, *, regions: bool, reader: User | None = None) -> Sequence[Held]:
    """All that the studies of this UID hold: several, where one UID came with several patients."""
    return [
        one
        for study in matching(session, {"StudyInstanceUID": study_uid})
        for one in held(session, study, regions=regions, reader=reader)
    ]
