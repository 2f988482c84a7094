"""Answers and verdicts as a table, without anybody's name: what `cxreader evaluate --predictions` takes as it is."""

from __future__ import annotations

import secrets
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from cxreader.serving.access.refusals import WithheldError
from cxreader.serving.access.secrets import keyed
from cxreader.serving.store import audit
from cxreader.serving.store.audit import Noted
from cxreader.serving.store.reading import modes
from cxreader.serving.store.reading.exported import rows, write
from cxreader.serving.web.allowed import Exporter
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses

router = APIRouter(prefix="/api/v1", tags=["export"])
_TABLE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {}, "application/vnd.apache.parquet": {}}},
}
_MEDIA = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


@router.get(
    "/export",
    response_class=FileResponse,
    responses={**_TABLE, **responses()},
)
def export(door: TheDoor, principal: Exporter, form: Literal["csv", "parquet"] = "csv") -> FileResponse:
    """The latest answer to every image, with the label that a reader's final verdict on it gives.

    Images and patients go by pseudonyms that only this home can make; sex, age and view are kept.
    A browser's session of somebody who reads first is refused: the table holds answers that wait for their reading.
    """
    if principal.token is not None and modes.mode_of(principal.user) == modes.READ_FIRST:
        raise WithheldError(
            "the table holds answers to studies that wait for your reading",
            mend="use an API token, or see answers at once",
        )
    path = door.incoming / f"{secrets.token_hex(16)}.{form}"
    try:
        with door.service.database.reading() as session:  # ends before the first byte leaves: no client holds it
            count = write(rows(session, lambda *parts: keyed(door.secret, "export", *parts)[:20]), path)
        done = Noted("exported", principal.user.name, detail={"images": count, "form": form})
        door.write(lambda session, now: audit.note(session, now, [done]))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return FileResponse(
        path, media_type=_MEDIA[form], filename=f"readings.{form}", background=BackgroundTask(path.unlink)
    )
