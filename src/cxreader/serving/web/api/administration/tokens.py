"""API tokens of everybody."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy.orm import Session

from cxreader.serving.access import people, tokens
from cxreader.serving.access.refusals import ForbiddenError
from cxreader.serving.web.allowed import Administrator, ConfirmedAdministrator, Key
from cxreader.serving.web.api.session import MadeToken, NewToken, Token
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses

router = APIRouter(prefix="/api/v1/users/{key}/tokens", tags=["administration"])


@router.get("", responses=responses(404))
def list_tokens(door: TheDoor, _: Administrator, key: Key) -> list[Token]:
    """A user's API tokens, the newest first, without their texts."""
    return door.read(lambda s, _: [Token.of(one) for one in tokens.of_user(s, people.by_key(s, key))])


@router.post("", status_code=201, responses=responses(400, 404))
def add_token(door: TheDoor, principal: ConfirmedAdministrator, key: Key, wanted: NewToken) -> MadeToken:
    """Make an API token of a user, shown this once; a browser's session is needed, so that no token makes others."""
    if principal.token is None:
        raise ForbiddenError("a token makes no tokens", mend="sign in with a browser, or use `cxreader serve token`")

    def work(session: Session, now: float) -> MadeToken:
        given = {"name": wanted.name, "scopes": wanted.scopes, "days": wanted.days, "actor": principal.user.name}
        made = tokens.add(session, now, people.by_key(session, key), **given)  # type: ignore[arg-type]
        return MadeToken(**Token.of(made.row).model_dump(), text=made.text)

    return door.write(work)


@router.delete("/{token}", status_code=204, responses=responses(404))
def revoke_token(door: TheDoor, principal: ConfirmedAdministrator, key: Key, token: Key) -> None:
    """End a user's token."""
    name = principal.user.name
    door.write(lambda s, now: tokens.revoke(s, now, people.by_key(s, key), token, actor=name))
