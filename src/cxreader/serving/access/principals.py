"""Who makes a request."""

from __future__ import annotations

from dataclasses import dataclass

from cxreader.serving.access.refusals import ConfirmationError, ForbiddenError
from cxreader.serving.roles import Scope
from cxreader.serving.store.tables.people import User


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, by a session of a browser or by an API token, with what that allows.

    `token`: of the session, as the browser holds it; None for an API token. `confirmed_for`: seconds for which the user counts
    as there; a program needs no confirmation.
    """

    user: User
    scopes: frozenset[Scope]
    token: str | None = None
    confirmed_for: float = 0.0

    def require(self, scope: Scope) -> None:
        """Raise ForbiddenError without this scope."""
        if scope not in self.scopes:
            raise ForbiddenError(f"this needs the scope {scope!r}", mend="ask an administrator")

    def require_confirmed(self) -> None:
        """Raise ConfirmationError where the user of a session did not prove to be there in the last ten minutes."""
        if self.token is not None and not self.confirmed_for:
            raise ConfirmationError("this needs a fresh confirmation that it is you", mend="confirm it at /confirm")
