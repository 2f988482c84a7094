"""Sending images: a DICOM file, a PNG or JPEG, or a zip archive of them, as the body itself or as a form's files."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from cxreader.serving.web.allowed import Uploader
from cxreader.serving.web.api.shapes import KEY
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses
from cxreader.serving.web.received import Received, receive_files
from cxreader.serving.web.spooled import spooled

router = APIRouter(prefix="/api/v1", tags=["images"])


class Kept(BaseModel):
    """What became of one file: kept and queued when this is answered, or refused with a `reason`.

    `number` counts the files of this upload from 1, in their order: names may tell of patients and are not repeated.
    """

    number: int = Field(examples=[1])
    outcome: Literal["new", "again", "conflict", "own", "refused"] = Field(
        description="again: these bytes are here already, nothing else happened; conflict: other bytes are here under its UID, "
        "or its study's images name another patient, birth date, sex or accession number: all are kept; own: a result of this "
        "service that came back, nothing is kept."
    )
    study: str | None = Field(examples=[KEY])
    image: str | None = Field(examples=["b2Nq8fYw0KdXe7Ju"])
    sha256: str | None
    reason: str | None

    @classmethod
    def of(cls, one: Received) -> Kept:
        """What became of a file."""
        got = one.receipt
        if got is None:
            return cls(number=one.number, outcome="refused", study=None, image=None, sha256=None, reason=one.reason)
        told = {"study": got.study, "image": got.instance, "sha256": got.sha256, "reason": None}
        return cls(number=one.number, outcome=got.outcome, **told)


class Upload(BaseModel):
    """What became of every file of an upload."""

    files: list[Kept]


_DONE: dict[int | str, dict[str, Any]] = {
    200: {"description": "All of it was here already."},
    201: {"description": "Something new is kept and queued.", "model": Upload},
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            **{
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in ("application/dicom", "image/png", "image/jpeg", "application/zip")
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
        },
    }
}


@router.post(
    "/images",
    openapi_extra=_BODY,
    responses={**_DONE, **responses(400, 408, 413, 429)},
)
async def upload(request: Request, response: Response, door: TheDoor, principal: Uploader) -> Upload:
    """Send images. The same bytes again change nothing: 201 where something new came, else 200, 422 where nothing was kept."""
    door.uploads.take(principal.user.key)
    async with spooled(request, door) as files:
        found = await run_in_threadpool(receive_files, door, files, principal.user.name)
    kept = [Kept.of(one) for one in found]
    outcomes = {one.outcome for one in kept}
    response.status_code = 201 if outcomes & {"new", "conflict"} else 200 if outcomes & {"again", "own"} else 422
    return Upload(files=kept)
