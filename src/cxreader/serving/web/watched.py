"""What those ask who watch the service: does it run, can it work, how much waits."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from cxreader.serving.operations.health import ready
from cxreader.serving.operations.metrics import metrics
from cxreader.serving.web.allowed import Watcher
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses

router = APIRouter(tags=["operations"])
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_METRICS: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


@router.get("/healthz", include_in_schema=False)
def healthz() -> dict[str, str]:
    """That this process answers."""
    return {"status": "running"}


@router.get("/readyz", include_in_schema=False)
def readyz(door: TheDoor) -> JSONResponse:
    """Each check with what is wrong or should be seen to, empty where nothing is; 503 where anything is wrong."""
    found = ready(door.service)
    told = {one.name: one.why or one.noted for one in found}
    return JSONResponse(told, 503 if any(one.why for one in found) else 200)


@router.get("/metrics", response_class=Response, responses={**_METRICS, **responses()})
def get_metrics(door: TheDoor, _: Watcher) -> Response:
    """Prometheus' text format: what waits, how long, answers and scores of the last day, the outbox."""
    return Response(metrics(door.service), media_type=_TEXT)
