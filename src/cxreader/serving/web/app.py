"""The application behind the HTTP door."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI

from cxreader import __version__
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.web import api, confirming, dicomweb, fhir, pages, problems, sign_in, watched
from cxreader.serving.web.door import Door
from cxreader.serving.web.guard import Guard
from cxreader.serving.web.static_files import PageFiles

MOST = 64 * 1024
"""Bytes of a request that sends no images."""
_DESCRIPTION = """\
The second reader's HTTP door. For research; not a medical device.

Programs give an API token: `Authorization: Bearer cxr_...`. Browsers sign in at `/login`; whatever changes something then needs
the header `X-CSRF-Token` with the value that `GET /api/v1/session` gives. Errors are problem details (RFC 9457).
"""


def create_app(settings: Settings, service: TriageService, *, stopped: Callable[[], bool] = lambda: False) -> FastAPI:
    """The application of a service; `stopped`: whether it is to end, so that streams end too.

    FastAPI's own telemetry is off: it would record what was sent, and errors with their texts.
    """
    app = FastAPI(
        title="cxreader",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    app.state.door = Door.of(settings, service, stopped)
    ways_in = sign_in.router, confirming.router
    for router in (*ways_in, watched.router, fhir.router, *pages.ROUTERS, *api.ROUTERS, *dicomweb.ROUTERS):
        app.include_router(router, max_body_size=MOST)
    for router in (*api.UPLOADS, *pages.UPLOADS, *dicomweb.UPLOADS):  # these count for themselves
        app.include_router(router)
    app.mount("/static", PageFiles())
    problems.install(app)
    app.add_middleware(Guard, web=settings.web)
    return app
