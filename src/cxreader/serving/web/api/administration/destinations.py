"""Where results go: destinations, what each is sent, and whether it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from cxreader.errors import UsageError
from cxreader.serving.administration import credentials, sending
from cxreader.serving.sending import addresses
from cxreader.serving.store import destinations
from cxreader.serving.store.tables.sending import Destination
from cxreader.serving.web.allowed import Administrator, ConfirmedAdministrator
from cxreader.serving.web.api.administration.fields import Line, Place, Secret
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses

router = APIRouter(prefix="/api/v1/destinations", tags=["administration"])
Kind = Literal["sr", "sr_regions", "sc", "gsps"]


class Target(BaseModel):
    """A destination. `sends`: which kinds of object; counts are of its outbox: `waiting`, `sent`, and dead letters (`dead`)."""

    name: str = Field(examples=["pacs"])
    kind: str = Field(examples=["dicom"])
    address: str = Field(examples=["PACS@10.1.2.3:104"])
    sends: list[str] = Field(examples=[["sr", "sc"]])
    enabled: bool
    waiting: int
    sent: int
    dead: int

    @classmethod
    def of(cls, row: Destination, counts: Mapping[str, int]) -> Target:
        """A destination of the store, with the counts of its outbox by state."""
        counted = {state: counts.get(state, 0) for state in ("waiting", "sent", "dead")}
        return cls(
            name=row.name,
            kind=row.kind,
            address=addresses.place(row),
            sends=row.sends,
            enabled=row.enabled,
            **counted,
        )


class NewTarget(BaseModel):
    """A destination to be added: by C-STORE at a `node`, or by STOW-RS at a `url`; all objects where `sends` is empty."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Line, Field(examples=["pacs"])]
    node: Annotated[Line, Field(examples=["PACS@10.1.2.3:104"])] | None = None
    url: Annotated[Line, Field(examples=["https://pacs.example.org/dicom-web"])] | None = None
    sends: list[Kind] = []
    tls: bool = False
    calling: Annotated[str, Field(max_length=16, pattern=r"^[ -\[\]-~]*$")] = ""
    credentials: Secret | None = Field(None, description="For STOW-RS: USER:PASSWORD, or a token. Never shown again.")


class Change(BaseModel):
    """What a destination is sent from now on, and whether it is sent anything."""

    model_config = ConfigDict(extra="forbid")

    sends: list[Kind] = Field(min_length=1, examples=[["sr"]])
    enabled: bool = True


class Echo(BaseModel):
    """Whether a destination answers; `why` not, empty where it does."""

    answers: bool
    why: str = Field(examples=["no connection"])


@router.get("", responses=responses())
def list_destinations(door: TheDoor, _: Administrator) -> list[Target]:
    """The destinations by name."""

    def work(session: Session, _: float) -> list[Target]:
        counts = destinations.counts(session)
        return [Target.of(one, counts.get(one.id, {})) for one in destinations.every(session)]

    return door.read(work)


@router.post("", status_code=201, responses=responses(400))
def add_destination(door: TheDoor, principal: ConfirmedAdministrator, wanted: NewTarget) -> Target:
    """Send the results of what is read from now on there, as well."""
    if (wanted.node is None) == (wanted.url is None):
        raise UsageError("one address is needed", where="node, url", mend="give a node or a URL")
    if wanted.node is not None:
        address = addresses.by_store(wanted.node, tls=wanted.tls, calling=wanted.calling)
    else:
        address = addresses.by_stow(wanted.url or "")
    name, given = principal.user.name, {"name": wanted.name, "sends": wanted.sends}
    with credentials.kept(door.settings.home, wanted.credentials) as path:
        if "url" in address:
            address["credentials"] = path
        made = door.write(lambda s, now: sending.add(s, now, name, address=address, **given))  # type: ignore[arg-type]
    return Target.of(made, {})


@router.put("/{name}", responses=responses(400, 404))
def change_destination(door: TheDoor, principal: ConfirmedAdministrator, name: Place, wanted: Change) -> Target:
    """Send other kinds of object there from now on, or nothing for a while; what waits stays."""

    def work(session: Session, now: float) -> Target:
        given = {"sends": wanted.sends, "enabled": wanted.enabled}
        found = sending.change(session, now, principal.user.name, name, **given)  # type: ignore[arg-type]
        return Target.of(found, destinations.counts(session).get(found.id, {}))

    return door.write(work)


@router.delete("/{name}", status_code=204, responses=responses(400, 404))
def remove_destination(door: TheDoor, principal: ConfirmedAdministrator, name: Place, unsent: bool = False) -> None:
    """Send nothing there any more; `unsent`: also where objects wait for it, which are dropped."""
    home = door.settings.home
    door.write(lambda s, now: sending.remove(s, now, principal.user.name, name, unsent=unsent, home=home))


@router.post("/{name}/echo", responses=responses(404))
def echo(door: TheDoor, _: Administrator, name: Place) -> Echo:
    """Ask it whether it answers: C-ECHO, or a query of the DICOMweb service."""
    why = addresses.echo(door.settings, door.read(lambda session, _: destinations.by_name(session, name)))
    return Echo(answers=not why, why=why)
