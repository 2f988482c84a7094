"""What the administration's pages share: their frame, how a form's outcome is told, and how numbers are written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse

from cxreader.counting import format_count
from cxreader.errors import CxreaderError, DataError, ModelError, UsageError
from cxreader.serving.access.principals import Principal
from cxreader.serving.web.allowed import person_of
from cxreader.serving.web.door import Door
from cxreader.serving.web.problem_pages import room_of
from cxreader.serving.web.rendering import page

SAID = {
    "access": "It is changed; the sessions of this person ended.",
    "activated": "These models read from now on. What waits is theirs; earlier answers stay as they are.",
    "added": "It is there now.",
    "changed": "It is changed, from the next result on.",
    "ended": "Signed out everywhere.",
    "held": "Under legal hold: nothing of it is deleted until the hold is lifted.",
    "lifted": "The hold is lifted.",
    "removed": "It is removed.",
    "resent": "It waits to be sent again.",
    "revoked": "The token opens nothing any more.",
    "sent": "The model is here, every byte of it checked. It reads once it is activated.",
}
"""What a form did, by the word that stands in the address of the page after it."""
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def shown(
    request: Request, door: Door, principal: Principal, template: str, *, problem: str = "", **values: Any
) -> HTMLResponse:
    """A page of the administration; `problem`: why a form did nothing, and then the status is 400."""
    told = {"problem": problem, "said": SAID.get(request.query_params.get("said", ""), ""), "room": template}
    words = {
        "when": when,
        "size": size,
        "count": format_count,
        "silent": door.settings.silent,
        "origin": door.settings.web.origin,
        "place": room_of(request.url.path),
    }
    person = person_of(door, principal)
    place = f"administration/{template}.html.jinja"
    status = 400 if problem else 200
    return page(request, place, status=status, person=person, here="administration", **told, **words, **values)


def done(to: str, said: str) -> RedirectResponse:
    """Back to a page that says what a form did; loading it again does nothing twice."""
    return RedirectResponse(f"{to}?said={said}", 303)


def attempted(work: Callable[[], Any]) -> str:
    """Do it; why it could not be done, in words for a person, empty where it was. Other errors have pages of their own."""
    try:
        work()
    except (UsageError, DataError, ModelError) as error:
        return why(error)
    return ""


def why(error: CxreaderError) -> str:
    """An error in one line, without paths of this machine."""
    text = error.what if error.mend is None else f"{error.what}; {error.mend}"
    return f"{text[:1].upper()}{text[1:]}."


def when(at: float | None, none: str = "never", *, seconds: bool = False) -> str:
    """A moment as people read it, UTC."""
    form = "%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M"
    return none if at is None else datetime.fromtimestamp(at, UTC).strftime(form)


def size(count: float) -> str:
    """Bytes as people read them."""
    unit = 0
    while count >= 1024 and unit < len(UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.0f} {UNITS[unit]}" if unit == 0 or count >= 100 else f"{count:.1f} {UNITS[unit]}"
