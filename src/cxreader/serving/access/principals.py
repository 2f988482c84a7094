"""Who makes a request."""

from __future__ import annotations

from dataclasses import dataclass

from cxreader.serving.access.refusals import ForbiddenError
from cxreader.serving.roles import Scope
from cxreader.serving.store.tables.people import User


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, by a session of a browser or by an API token, with what that allows.

    `token`: of the session, as the browser holds it; None for an API token.
    """

    user: User
    scopes: frozenset[Scope]
    token: str | None = None

    def require(self, scope: Scope) -> None:
        """Raise ForbiddenError without this scope."""
        if scope not in self.scopes:
            raise ForbiddenError(f"this needs the scope {scope!r}", mend="ask an administrator")
