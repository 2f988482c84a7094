"""Earlier and later studies of one patient."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.serving.store.tables.images import Instance, Study

MOST = 12
"""Other images of a patient that are offered beside one."""


def other_images(session: Session, study: Study) -> Sequence[tuple[Study, Instance]]:
    """Images of the same patient (identifier and its issuer) in other studies whose bytes are there, the latest first.

    None for a study without a patient's identifier: nothing says whose others are.
    """
    if not study.patient_id:
        return ()
    query = (
        select(Study, Instance)
        .join(Instance, Instance.study_id == Study.id)
        .where(Study.patient_id == study.patient_id, Study.issuer == study.issuer, Study.id != study.id)
        .where(Instance.purged_at.is_(None))
        .order_by(Study.study_date.desc(), Study.received_at.desc(), Instance.id)
        .limit(MOST)
    )
    return [(of, image) for of, image in session.execute(query)]
