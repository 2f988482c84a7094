"""Destinations: where results go, what each is sent, and whether it answers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from cxreader.errors import UsageError
from cxreader.serving.access.principals import Principal
from cxreader.serving.administration import credentials, sending
from cxreader.serving.results.uids import GSPS, SC, SR, SR_REGIONS
from cxreader.serving.sending import addresses
from cxreader.serving.store import destinations
from cxreader.serving.web.allowed import Administrator, ConfirmedForm
from cxreader.serving.web.api.administration.fields import Place
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.pages.administration.room import attempted, done, shown

router = APIRouter(prefix="/administration/destinations", include_in_schema=False)
OBJECTS = {
    SR: "report (SR)",
    SR_REGIONS: "report of regions (SR)",
    SC: "picture with heat map (SC)",
    GSPS: "presentation state with regions (GSPS)",
}
"""What may be sent, in words."""
Kinds = Annotated[list[str] | None, Form(max_length=8)]


@router.get("")
def list_destinations(request: Request, door: TheDoor, principal: Administrator) -> Response:
    """All destinations, and the form for another one."""
    return _page(request, door, principal)


@router.post("")
def add(
    request: Request,
    door: TheDoor,
    principal: ConfirmedForm,
    name: Annotated[str, Form(max_length=64)] = "",
    address: Annotated[str, Form(max_length=500)] = "",
    sends: Kinds = None,
    tls: Annotated[bool, Form()] = False,
    calling: Annotated[str, Form(max_length=16)] = "",
    secret: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Add one: AE_TITLE@HOST:PORT is a DICOM node, a URL a DICOMweb service."""

    def work() -> None:
        given = address.strip()
        found = (
            addresses.by_stow(given) if "://" in given else addresses.by_store(given, tls=tls, calling=calling.strip())
        )
        own: dict[str, Any] = {"name": name.strip(), "address": found, "sends": _some(sends)}
        with credentials.kept(door.settings.home, secret or None) as path:
            if "url" in found:
                found["credentials"] = path
            door.write(lambda s, now: sending.add(s, now, principal.user.name, **own))

    problem = attempted(work)
    entered = {"name": name, "address": address, "sends": sends or [], "tls": tls, "calling": calling}
    return _page(request, door, principal, problem, entered=entered) if problem else done(_at(name.strip()), "added")


@router.post("/{name}/change")
def change(
    door: TheDoor,
    principal: ConfirmedForm,
    name: Place,
    sends: Kinds = None,
    enabled: Annotated[bool, Form()] = False,
) -> Response:
    """Other objects from now on, or nothing for a while."""
    given: dict[str, Any] = {"sends": _some(sends), "enabled": enabled}
    door.write(lambda s, now: sending.change(s, now, principal.user.name, name, **given))
    return done(_at(name), "changed")


@router.post("/{name}/remove")
def remove(door: TheDoor, principal: ConfirmedForm, name: Place, unsent: Annotated[bool, Form()] = False) -> Response:
    """Send nothing there any more."""
    home = door.settings.home
    door.write(lambda s, now: sending.remove(s, now, principal.user.name, name, unsent=unsent, home=home))
    return done("/administration/destinations", "removed")


def _some(sends: list[str] | None) -> list[str]:
    if not sends:
        raise UsageError("nothing would be sent", mend="choose an object at least")
    return sends


def _at(name: str) -> str:
    return f"/administration/destinations/{name}"


def _page(
    request: Request, door: Door, principal: Principal, problem: str = "", *, entered: dict[str, Any] | None = None
) -> Response:
    def work(session: Session, _: float) -> list[dict[str, Any]]:
        counts = destinations.counts(session)
        return [
            {"row": one, "address": addresses.place(one), "counts": counts.get(one.id, {})}
            for one in destinations.every(session)
        ]

    told = {"destinations": door.read(work), "objects": OBJECTS, "entered": entered or {"sends": list(OBJECTS)}}
    return shown(request, door, principal, "destinations", problem=problem, **told)
