"""The worklist: its page, what changed since it was drawn, and looking for a patient."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse

from cxreader.errors import UsageError
from cxreader.serving.access.principals import Principal
from cxreader.serving.store import events
from cxreader.serving.store.reading import listing
from cxreader.serving.store.reading.facets import facets
from cxreader.serving.store.reading.listing import Sort, States
from cxreader.serving.store.reading.news import News, news
from cxreader.serving.web.allowed import Anybody, Reader, person_of
from cxreader.serving.web.api.asked import Asked
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.pages import searches
from cxreader.serving.web.pages.lines import Moment, lines
from cxreader.serving.web.pages.shown import Shown
from cxreader.serving.web.rendering import fragment, page

router = APIRouter(include_in_schema=False)
SIZE = 50
FEW = 1_000
"""Studies that are looked up and sorted, rather than looked for in the order of the list."""
Cursor = Annotated[str | None, Query(max_length=500)]
Token = Annotated[str, Query(max_length=64)]


@router.get("/")
def worklist(
    request: Request,
    door: TheDoor,
    principal: Anybody,
    filters: Asked,
    state: States = "open",
    sort: Sort = "urgency",
    cursor: Cursor = None,
    search: Token = "",
) -> HTMLResponse:
    """The studies that wait, the most urgent first; who may see none is told why."""
    if (why := _closed(door, principal)) is not None:
        return page(request, "worklist/closed.html.jinja", person=person_of(door, principal), here="worklist", why=why)
    door.shown(principal, "worklist")
    terms = searches.found(door, principal, search)
    asked = Shown(filters.looking_for(terms or ""), state, sort, search if terms else "", dict(request.query_params))
    values = _listed(door, principal, asked, cursor) | {"lost_search": bool(search and not terms), "terms": terms or ""}
    return page(request, "worklist/page.html.jinja", person=person_of(door, principal), here="worklist", **values)


@router.get("/worklist/news")
def get_news(
    door: TheDoor,
    principal: Reader,
    filters: Asked,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)],
    as_of: Annotated[float, Query(ge=0, allow_inf_nan=False)],
    seen: Annotated[str, Query(max_length=4_000)] = "",
    state: States = "open",
    search: Token = "",
) -> HTMLResponse:
    """What happened since a page was drawn, in words, and those of its lines that changed; none of them moves."""
    asked = filters.looking_for(searches.found(door, principal, search) or "")
    told: News = door.read(lambda s, now: news(s, now, after=after, as_of=as_of, state=state, filters=asked))
    user, zone, keys = principal.user, door.settings.zone, told.among(seen.split(","))
    changed = door.read(lambda s, now: lines(s, now, listing.of_keys(s, now, keys), user, zone))
    return HTMLResponse(fragment("worklist/news.html.jinja", news=told, lines=changed))


@router.post("/worklist/search")
def search(door: TheDoor, principal: Reader, terms: Annotated[str, Form(max_length=200)] = "") -> Response:
    """Look for a patient: what was typed stays in the session, the address names it by chance."""
    if not terms.strip() or "\0" in terms:
        raise UsageError(
            "nothing to look for", where="terms", mend="type a name, a patient's number or an accession number"
        )
    token = searches.keep(door, principal, terms.strip())
    led = urlencode({"state": "any", "sort": "newest", "search": token})
    return Response(status_code=204, headers={"HX-Redirect": f"/?{led}"})


def _closed(door: Door, principal: Principal) -> str | None:
    if "read" not in principal.scopes:
        return "role"
    return "silent" if door.settings.silent else None


def _listed(door: Door, principal: Principal, asked: Shown, cursor: str | None) -> dict[str, Any]:
    """A page's values, all of one state of the database."""
    with door.service.database.reading() as session:
        now = door.service.database.now(session)
        last = events.last(session)  # before the list: what comes between the two is told once more
        as_of = listing.moment_of(cursor, now)
        counts = facets(session, asked.state, asked.filters, as_of)
        few = counts.shown(asked.filters) <= FEW
        more: dict[str, Any] = {"cursor": cursor, "size": SIZE, "few": few}
        found = listing.page(session, now, state=asked.state, filters=asked.filters, sort=asked.sort, **more)
        made = lines(session, now, found.entries, principal.user, door.settings.zone)
    return asked.values(counts, made) | {
        "last": last,
        "as_of": found.as_of,
        "at": Moment.of(found.as_of, now, door.settings.zone),
        "next": asked.link(cursor=found.cursor) if found.cursor else "",
        "first": asked.link() if cursor else "",
        "node": door.settings.dicom,
        "origin": door.settings.web.origin,
        "readers": door.service.readers(),
        "limits": door.settings.web,
    }
