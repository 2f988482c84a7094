"""QIDO-RS (PS3.18 10.6): searching studies, series and instances by attributes of their studies."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from cxreader.errors import UsageError
from cxreader.serving.access.principals import Principal
from cxreader.serving.store.tables.images import Study
from cxreader.serving.web.allowed import Reader
from cxreader.serving.web.dicomweb.dicom_json import KEYWORDS, MEDIA, Json, answer, of_instance, of_series, of_study
from cxreader.serving.web.dicomweb.holdings import Held, has_modality, held, matching
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.problems import responses
from cxreader.serving.web.withholding import reader_of

MOST = 1_000
"""Results of one answer."""
_OTHER = frozenset({"limit", "offset", "includefield", "fuzzymatching"})
_SERIES = {"SeriesInstanceUID": "series_uid", "SeriesNumber": "series_number", "Modality": "modality"}
_INSTANCE = {"SOPInstanceUID": "sop_instance_uid", "SOPClassUID": "sop_class", "InstanceNumber": "instance_number"}
router = APIRouter(prefix="/dicomweb", tags=["DICOMweb"])
Asking = tuple[Door, Principal]
Limit = Annotated[int, Query(ge=1, le=MOST)]
Offset = Annotated[int, Query(ge=0, le=10**6)]
_TOLD: dict[str, Any] = {
    "response_class": JSONResponse,
    "responses": {200: {"content": {MEDIA: {"schema": {"type": "array", "items": {"type": "object"}}}}}}
    | responses(400),
}


@router.get("/studies", **_TOLD)
def studies(request: Request, door: TheDoor, principal: Reader, limit: Limit = 100, offset: Offset = 0) -> JSONResponse:
    """Studies, the latest first, whose attributes match those of the query (`PatientID=...`, `00100020=...`)."""

    def work(session: Session, _: float) -> list[Json]:
        keys, _rest = _keys(request, {})
        found = islice(_studies(session, (door, principal), keys), offset, offset + limit)
        return [of_study(study, holds, _base(door)) for study, holds in found]

    return _answered(door, principal, door.read(work))


@router.get("/series", **_TOLD)
@router.get("/studies/{study}/series", **_TOLD)
def series(
    request: Request, door: TheDoor, principal: Reader, study: str = "", limit: Limit = 100, offset: Offset = 0
) -> JSONResponse:
    """Series, of one study or of all whose attributes match."""

    def work(session: Session, _: float) -> list[Json]:
        found = _found(session, (door, principal), request, study, _SERIES)
        groups = (list(of) for _, of in groupby(found, key=lambda one: (one.study.id, one.series_uid)))
        return [of_series(of, _base(door)) for of in islice(groups, offset, offset + limit)]

    return _answered(door, principal, door.read(work))


@router.get("/instances", **_TOLD)
@router.get("/studies/{study}/instances", **_TOLD)
@router.get("/studies/{study}/series/{series_uid}/instances", **_TOLD)
def instances(
    request: Request,
    door: TheDoor,
    principal: Reader,
    study: str = "",
    series_uid: str = "",
    limit: Limit = 100,
    offset: Offset = 0,
) -> JSONResponse:
    """Instances, of one series, of one study, or of all whose attributes match."""

    def work(session: Session, _: float) -> list[Json]:
        found = _found(session, (door, principal), request, study, _SERIES | _INSTANCE)
        wanted = (one for one in found if series_uid in ("", one.series_uid))
        return [of_instance(one, _base(door)) for one in islice(wanted, offset, offset + limit)]

    return _answered(door, principal, door.read(work))


def _answered(door: Door, principal: Principal, found: list[Json]) -> JSONResponse:
    """The answer to a search, which the audit log notes without its words."""
    door.shown(principal, "search")
    return answer(found)


def _found(session: Session, asking: Asking, request: Request, study: str, own: dict[str, str]) -> Iterator[Held]:
    """What matching studies hold, series by series, as far as attributes of series and instances match too."""
    keys, rest = _keys(request, own)
    for _, holds in _studies(session, asking, keys | ({"StudyInstanceUID": study} if study else {})):
        for item in sorted(holds, key=lambda item: item.series_uid):
            if all(getattr(item, own[name]) in value.split(",") for name, value in rest.items()):
                yield item


def _studies(session: Session, asking: Asking, keys: dict[str, str]) -> Iterator[tuple[Study, list[Held]]]:
    """Matching studies with what is shown of each; none of which nothing is."""
    modality = keys.get("ModalitiesInStudy", "")
    for study in matching(session, keys):
        holds = _held(asking, session, study)
        if holds and (not modality or has_modality(holds, modality)):
            yield study, holds


def _keys(request: Request, own: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The query's attributes by keyword: those of the study, and those of `own`. Raises UsageError for one given twice."""
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        keyword = KEYWORDS.get(name.upper(), name)
        if keyword in _OTHER:
            continue
        if keyword in given:
            raise UsageError("an attribute is given twice", mend="separate UIDs with a comma")
        given[keyword] = value.replace("\0", "")
    return {k: v for k, v in given.items() if k not in own}, {k: v for k, v in given.items() if k in own and v}


def _held(asking: Asking, session: Session, study: Study) -> list[Held]:
    door, principal = asking
    return held(session, study, regions=door.settings.show_regions, reader=reader_of(principal))


def _base(door: Door) -> str:
    return f"{door.settings.web.origin}/dicomweb"
