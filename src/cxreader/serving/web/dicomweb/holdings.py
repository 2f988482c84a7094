"""DICOM objects as DICOMweb sees them: studies that match, and what each holds, received or made here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.orm import Session

from cxreader.errors import UsageError
from cxreader.serving.results.uids import LOCATED, SERIES
from cxreader.serving.store.tables.images import Instance, Study, current
from cxreader.serving.store.tables.readings import Result, ResultObject

AT_ONCE = 200
"""Studies that are fetched together."""
EXACT, NAME, TEXT, DATE, UID = "exact", "name", "text", "date", "uid"
STUDY_KEYS: Mapping[str, tuple[str, str]] = {
    "StudyInstanceUID": ("study_uid", UID),
    "PatientID": ("patient_id", TEXT),
    "IssuerOfPatientID": ("issuer", EXACT),
    "PatientName": ("patient_name", NAME),
    "PatientBirthDate": ("birth_date", DATE),
    "PatientSex": ("sex", EXACT),
    "AccessionNumber": ("accession_number", TEXT),
    "StudyDate": ("study_date", DATE),
    "StudyID": ("study_id", TEXT),
    "StudyDescription": ("description", TEXT),
    "ReferringPhysicianName": ("referring_physician", NAME),
}
"""Attributes of a study that are matched (PS3.18 table 10.6.1-5): column, and how (PS3.4 C.2.2.2)."""


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
    """Studies with a DICOM image whose attributes match, the latest first. Raises UsageError for one not in STUDY_KEYS."""
    is_held = exists().where(Instance.study_id == Study.id, *_held())
    query = select(Study).where(is_held, *(_condition(name, value) for name, value in keys.items() if value))
    query, last = query.order_by(Study.id.desc()).limit(AT_ONCE), None
    while True:
        found = session.scalars(query if last is None else query.where(Study.id < last)).all()
        yield from found
        if len(found) < AT_ONCE:
            return
        last = found[-1].id


def held(session: Session, study: Study, *, regions: bool) -> list[Held]:
    """What a study holds: first images as they came, then what was made of their latest results.

    Without `regions` nothing that tells where a finding lies. Images that are not the `current` one of their UID,
    or without a DICOM file, are no part of it.
    """
    images = session.scalars(
        select(Instance).where(Instance.study_id == study.id, *_held()).order_by(Instance.id)
    ).all()
    found = [_image(study, one) for one in images]
    latest = (
        select(Result.instance_id, func.max(Result.revision).label("revision")).group_by(Result.instance_id).subquery()
    )
    made = session.scalars(
        select(ResultObject)
        .join(Result, Result.id == ResultObject.result_id)
        .join(latest, and_(latest.c.instance_id == Result.instance_id, latest.c.revision == Result.revision))
        .where(Result.instance_id.in_([one.id for one in images]))
        .order_by(ResultObject.id)
    )
    return found + [_made(study, one) for one in made if regions or one.kind not in LOCATED]


def _held() -> tuple[ColumnElement[bool], ...]:
    return Instance.kind == "dicom", current()


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
    column = getattr(Study, column_name)
    if how == UID:
        return column.in_(value.replace("\\", ",").split(","))  # type: ignore[no-any-return]
    if how == DATE:
        return _dates(column, value)
    if how == EXACT or not set("*?") & set(value):
        return func.lower(column) == value.lower() if how == NAME else column == value
    pattern = _like(value)
    return func.lower(column).like(pattern.lower(), escape="!") if how == NAME else column.like(pattern, escape="!")


def _dates(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    """A date, or a range of dates, YYYYMMDD-YYYYMMDD, either side open (PS3.4 C.2.2.2.5)."""
    first, dash, last = value.partition("-")
    if not all(len(one) in (0, 8) and ((one.isascii() and one.isdigit()) or not one) for one in (first, last)):
        raise UsageError("no date or range of dates", mend="give YYYYMMDD or YYYYMMDD-YYYYMMDD")
    if not dash:
        return column == first
    bounds = [column >= first] if first else []
    return and_(column != "", *bounds, *([column <= last] if last else []))


def _like(value: str) -> str:
    """`*` and `?` as SQL has them, everything else as it stands."""
    for sign in "!%_":
        value = value.replace(sign, f"!{sign}")
    return value.replace("*", "%").replace("?", "_")


def by_uid(session: Session, study_uid: str, *, regions: bool) -> Sequence[Held]:
    """All that the studies of this UID hold: several, where one UID came with several patients."""
    return [
        one
        for study in matching(session, {"StudyInstanceUID": study_uid})
        for one in held(session, study, regions=regions)
    ]
