"""The API, version 1. Keys in its paths are random and tell nothing of a patient."""

from cxreader.serving.web.api import (
    administration,
    audit,
    events,
    export,
    images,
    session,
    studies,
    uploads,
    verdicts,
    worklist,
)

ROUTERS = (
    *(one.router for one in (session, worklist, studies, images, verdicts, events, export, audit)),
    *administration.ROUTERS,
)
"""Every room of the API whose requests are small."""
UPLOADS = (uploads.router, *administration.UPLOADS)
"""Those that take images, or artifacts."""
