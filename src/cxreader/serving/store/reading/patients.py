"""Whose images these are: what their headers say of it, in what those differ, and a patient's other studies."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from itertools import islice

from sqlalchemy import or_, select, true
from sqlalchemy.orm import Session

from cxreader.serving.store.tables.images import Instance, Study

MOST = 12
"""Other images of a patient that are offered beside one."""
_LOOKED_AT = 500
"""Of the latest images under a patient's identifier so many are looked at: some sites give one identifier to many patients."""
IDENTITY: Mapping[str, str] = {
    "patient_name": "patient name",
    "birth_date": "birth date",
    "sex": "sex",
    "accession_number": "accession number",
}
"""Columns of `Study` by which a mix-up shows where the identifier does not, and their words."""
_COLUMNS = tuple(
    column.key for column in Study.__table__.columns if column.key not in ("id", "key", "received_at", "hold")
)


def header_of(study: Study, image: Instance) -> dict[str, str]:
    """What the header of an image says of patient and study, by column of `Study`."""
    return {name: getattr(study, name) for name in _COLUMNS} | (image.differs or {})


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The words of IDENTITY in which two headers differ; what one of them leaves out it does not say otherwise."""
    return [IDENTITY[name] for name in IDENTITY if one[name] and other[name] and not _same(name, one, other)]


def other_images(session: Session, study: Study) -> Sequence[tuple[Study, Instance]]:
    """Images of the same patient in other studies whose bytes are there, the latest first.

    The identifier and its issuer, where both say one, are the same, and so is the name or the birth date: one alone may be
    mistyped. None for a study without a patient's identifier: nothing says whose others are.
    """
    if not study.patient_id:
        return ()
    issuer = or_(Study.issuer == study.issuer, Study.issuer == "") if study.issuer else true()
    query = (
        select(Study, Instance)
        .join(Instance, Instance.study_id == Study.id)
        .where(Study.patient_id == study.patient_id, issuer, Study.id != study.id)
        .where(Instance.purged_at.is_(None))
        .order_by(Study.study_date.desc(), Study.received_at.desc(), Instance.id)
        .limit(_LOOKED_AT)
    )
    told = {name: getattr(study, name) for name in IDENTITY}
    found = ((of, image) for of, image in session.execute(query) if _agree(told, header_of(of, image)))
    return list(islice(found, MOST))


def _agree(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return any(one[name] and other[name] and _same(name, one, other) for name in ("patient_name", "birth_date"))


def _same(name: str, one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return _plain(name, one[name]) == _plain(name, other[name])


def _plain(name: str, value: str) -> str:
    """Without what writers of one name differ in: case, composition, spaces, empty components, further groups (PS3.5 6.2.1)."""
    text = unicodedata.normalize("NFKC", value).casefold()
    if name == "patient_name":
        group = next((one for one in text.split("=") if one.strip("^ ")), "")
        text = "^".join(" ".join(part.split()) for part in group.split("^")).rstrip("^")
    return text.strip()
