"""Health: every check in words with its mend, what waits, the processes, the disk."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from cxreader import __version__
from cxreader.serving.operations.health import ready
from cxreader.serving.operations.state import state_of
from cxreader.serving.web.allowed import Administrator, Anybody
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.pages.administration.room import shown

router = APIRouter(prefix="/administration", include_in_schema=False)
CHECKS = {
    "database": ("Database", "answers, and its tables are of this version"),
    "disk": ("Disk", "has room for an hour of a busy department at least"),
    "models": ("Models", "are active, and on this machine"),
    "queue": ("Queue", "no image waits long for somebody to take it"),
    "node": ("DICOM node", "listens, or is switched off"),
    "outbox": ("Outbox", "no result waits long for a destination that is switched on, none was given up"),
}
"""What each check looks at, and what it means that it is right."""


@router.get("")
def first(principal: Anybody) -> Response:
    """To the first page that this person may see."""
    return RedirectResponse(f"/administration/{'people' if 'admin' in principal.scopes else 'audit'}", 303)


@router.get("/health")
def show(request: Request, door: TheDoor, principal: Administrator) -> Response:
    """How the service does."""
    settings = door.settings
    told = {"checks": ready(door.service), "words": CHECKS, "state": state_of(door.service), "version": __version__}
    kept = settings.objects if settings.objects and "://" in settings.objects else None
    shape = {"database": "PostgreSQL" if settings.database_url.startswith("postgres") else "SQLite in the home"}
    shape |= {"objects": "a store elsewhere" if kept else "a folder of this machine"}
    return shown(request, door, principal, "health", settings=settings, shape=shape, **told)
