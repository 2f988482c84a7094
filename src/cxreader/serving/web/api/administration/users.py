"""People: adding, roles, passwords, disabling, ending sessions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from cxreader.serving.access import people
from cxreader.serving.roles import Role
from cxreader.serving.store.tables.people import User
from cxreader.serving.web.allowed import Administrator, ConfirmedAdministrator, Key
from cxreader.serving.web.api.administration.fields import Line, Secret
from cxreader.serving.web.api.shapes import KEY, moment
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses

router = APIRouter(prefix="/api/v1", tags=["administration"])


class Person(BaseModel):
    """A user. `signs_in`: by a password of this service, or elsewhere, by the provider."""

    key: str = Field(examples=[KEY])
    name: str = Field(examples=["dr-grey"])
    role: str = Field(examples=["reader"])
    enabled: bool
    signs_in: str = Field(examples=["password"])
    created_at: str
    rests_until: str | None = Field(description="Nobody signs in before then: too many wrong passwords.")

    @classmethod
    def of(cls, user: User) -> Person:
        """A user of the store."""
        rests = None if user.locked_until is None else moment(user.locked_until)
        told = {"key": user.key, "name": user.name, "role": user.role, "created_at": moment(user.created_at)}
        return cls(
            **told,
            enabled=user.disabled_at is None,
            signs_in="provider" if user.issuer else "password",
            rests_until=rests,
        )


class NewPerson(BaseModel):
    """A user to be added; a password is made up where none is given."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Line, Field(examples=["dr-grey"])]
    role: Role = "reader"
    password: Secret | None = None


class WithPassword(Person):
    """A user whose password was made up: it is shown this once; None where one was given."""

    password: str | None


class Held(BaseModel):
    """A role."""

    model_config = ConfigDict(extra="forbid")

    role: Role


class Access(BaseModel):
    """Whether a user may enter."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool


class Password(BaseModel):
    """A new password; one is made up where none is given."""

    model_config = ConfigDict(extra="forbid")

    password: Secret | None = None


@router.get("/users", responses=responses())
def list_users(door: TheDoor, _: Administrator) -> list[Person]:
    """Everybody, by name."""
    return door.read(lambda session, _: [Person.of(one) for one in people.everybody(session)])


@router.post("/users", status_code=201, responses=responses(400))
def add_user(door: TheDoor, principal: ConfirmedAdministrator, wanted: NewPerson) -> WithPassword:
    """Add a user who signs in by a password."""
    given = wanted.password or people.new_password()
    fields = {"name": wanted.name, "role": wanted.role, "password": given}
    user = door.write(lambda s, now: people.add(s, now, principal.user.name, **fields))  # type: ignore[arg-type]
    return WithPassword(**Person.of(user).model_dump(), password=None if wanted.password else given)


@router.put("/users/{key}/role", responses=responses(400, 404))
def set_role(door: TheDoor, principal: ConfirmedAdministrator, key: Key, wanted: Held) -> Person:
    """Give a user another role; their sessions end."""

    def work(session: Session, now: float) -> Person:
        user = people.by_key(session, key)
        people.set_role(session, now, principal.user.name, user, wanted.role)
        return Person.of(user)

    return door.write(work)


@router.put("/users/{key}/access", responses=responses(400, 404))
def set_access(door: TheDoor, principal: ConfirmedAdministrator, key: Key, wanted: Access) -> Person:
    """Let a user enter no more, or again; sessions and tokens end, verdicts stay."""

    def work(session: Session, now: float) -> Person:
        user = people.by_key(session, key)
        people.set_disabled(session, now, principal.user.name, user, disabled=not wanted.enabled)
        return Person.of(user)

    return door.write(work)


@router.put("/users/{key}/password", responses=responses(400, 404))
def set_password(door: TheDoor, principal: ConfirmedAdministrator, key: Key, wanted: Password) -> WithPassword:
    """Give a user another password; their sessions and tokens end."""
    given = wanted.password or people.new_password()

    def work(session: Session, now: float) -> Person:
        user = people.by_key(session, key)
        people.set_password(session, now, principal.user.name, user, given)
        return Person.of(user)

    return WithPassword(**door.write(work).model_dump(), password=None if wanted.password else given)


@router.delete("/users/{key}/sessions", status_code=204, responses=responses(404))
def end_sessions(door: TheDoor, principal: Administrator, key: Key) -> None:
    """Sign a user out everywhere; tokens stay."""
    door.write(lambda s, now: people.end_sessions(s, now, principal.user.name, people.by_key(s, key)))
