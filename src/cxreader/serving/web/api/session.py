"""Who is signed in, and the API tokens of that user."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from cxreader.serving.access import tokens
from cxreader.serving.access.refusals import ForbiddenError
from cxreader.serving.access.secrets import form_token
from cxreader.serving.roles import Scope
from cxreader.serving.store.tables.people import ApiToken
from cxreader.serving.web.allowed import Anybody, Key
from cxreader.serving.web.api.shapes import KEY, moment
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses

router = APIRouter(prefix="/api/v1", tags=["session"])


class Me(BaseModel):
    """Who is signed in, and what that allows. `csrf`: for the header X-CSRF-Token; None for an API token, which needs none."""

    user: str = Field(examples=["dr-grey"])
    role: str = Field(examples=["reader"])
    scopes: list[Scope]
    csrf: str | None


class Token(BaseModel):
    """An API token, without its text."""

    key: str = Field(examples=[KEY])
    name: str = Field(examples=["nightly export"])
    scopes: list[Scope]
    created_at: str
    ends_at: str
    used_at: str | None
    revoked_at: str | None

    @classmethod
    def of(cls, row: ApiToken) -> Token:
        """A token of the store."""
        times = {name: getattr(row, name) for name in ("created_at", "ends_at", "used_at", "revoked_at")}
        told = {name: None if at is None else moment(at) for name, at in times.items()}
        return cls.model_validate({"key": row.key, "name": row.name, "scopes": row.scopes} | told)


class NewToken(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["nightly export"])]
    scopes: list[Scope] = Field(examples=[["read"]])
    days: float = Field(gt=0, le=tokens.LONGEST, examples=[90])


class MadeToken(Token):
    """A token that was made: `text` is shown this once."""

    text: str


@router.get("/session", responses=responses())
def session(door: TheDoor, principal: Anybody) -> Me:
    """Who is signed in."""
    csrf = None if principal.token is None else form_token(door.secret, principal.token)
    user = principal.user
    return Me(user=user.name, role=user.role, scopes=sorted(principal.scopes), csrf=csrf)


@router.get("/tokens", responses=responses())
def list_tokens(door: TheDoor, principal: Anybody) -> list[Token]:
    """Your API tokens, the newest first."""
    return door.read(lambda session, _: [Token.of(one) for one in tokens.of_user(session, principal.user)])


@router.post("/tokens", status_code=201, responses=responses(400))
def add_token(door: TheDoor, principal: Anybody, wanted: NewToken) -> MadeToken:
    """Make an API token; a browser's session is needed, so that no token makes others."""
    if principal.token is None:
        raise ForbiddenError("a token makes no tokens", mend="sign in with a browser, or use `cxreader serve token`")
    principal.require_confirmed()
    given = {"name": wanted.name, "scopes": wanted.scopes, "days": wanted.days}
    made = door.write(lambda session, now: tokens.add(session, now, principal.user, **given))  # type: ignore[arg-type]
    return MadeToken(**Token.of(made.row).model_dump(), text=made.text)


@router.delete("/tokens/{key}", status_code=204, responses=responses(404))
def revoke_token(door: TheDoor, principal: Anybody, key: Key) -> None:
    """End one of your tokens."""
    door.write(lambda session, now: tokens.revoke(session, now, principal.user, key))
