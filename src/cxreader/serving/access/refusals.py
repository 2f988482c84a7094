"""Why somebody is not let in; none of them tells whether a name or a token exists."""

from __future__ import annotations

from cxreader.errors import UsageError


class SignInError(UsageError):
    """Nobody is signed in, or a name, password, token or provider's answer will not do."""


class ForbiddenError(UsageError):
    """Who is signed in may not do this, or the request did not come from our own pages."""


class ConfirmationError(ForbiddenError):
    """Whoever sits at this session must prove again who they are, before this."""


class WithheldError(ForbiddenError):
    """The answer to a study waits for the reader's own verdict."""


class TooManyError(UsageError):
    """Too much in too short a time; `after`: seconds until the next attempt may succeed."""

    def __init__(self, what: str, *, after: float) -> None:
        super().__init__(what, mend=f"wait {after:.0f} seconds")
        self.after = after
