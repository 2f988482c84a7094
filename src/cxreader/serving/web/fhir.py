"""FHIR R4: a result as an Observation, its study as an ImagingStudy."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from cxreader.serving.fhir.coded import key_of
from cxreader.serving.fhir.imaging_study import imaging_study
from cxreader.serving.fhir.observation import observation
from cxreader.serving.store.reading.views import by_key
from cxreader.serving.store.tables.images import Instance, Study
from cxreader.serving.store.tables.readings import Result
from cxreader.serving.web.allowed import Key, Reader
from cxreader.serving.web.api.shapes import moment
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses
from cxreader.serving.web.withholding import refuse_before_verdict

MEDIA = "application/fhir+json"
router = APIRouter(prefix="/fhir", tags=["FHIR"])
_TOLD: dict[str, Any] = {
    "response_class": JSONResponse,
    "responses": {200: {"content": {MEDIA: {"schema": {"type": "object"}}}}} | responses(404),
}


@router.get("/Observation/{resource}", **_TOLD)
def get_observation(door: TheDoor, principal: Reader, resource: Key) -> JSONResponse:
    """One revision of the answer to an image; 403 while it waits for this reader's own verdict.

    `resource`: the result's key, with . in the place of _.
    """

    def work(session: Session, _: float) -> dict[str, Any]:
        result = by_key(session, Result, key_of(resource))
        instance = session.get_one(Instance, result.instance_id)
        study = session.get_one(Study, instance.study_id)
        refuse_before_verdict(session, principal, study.id)
        return observation(study, instance, result, moment(result.read_at))

    made = door.read(work)
    door.shown(principal, "result", key_of(resource))
    return JSONResponse(made, media_type=MEDIA)


@router.get("/ImagingStudy/{resource}", **_TOLD)
def get_imaging_study(door: TheDoor, principal: Reader, resource: Key) -> JSONResponse:
    """A study; `resource`: its key, with . in the place of _."""
    view = door.service.study(key_of(resource))
    door.shown(principal, "study", view.study.key)
    made = imaging_study(view.study, [one.instance for one in view.images])
    return JSONResponse(made, media_type=MEDIA)
