"""Signing in by an OpenID Connect provider: authorization code flow with PKCE (OpenID Connect Core 3.1; RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlencode

from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.serving.access import sessions
from cxreader.serving.access.refusals import SignInError
from cxreader.serving.access.secrets import keyed
from cxreader.serving.access.sessions import Lasting
from cxreader.serving.roles import Role
from cxreader.serving.store import audit
from cxreader.serving.store.audit import Noted
from cxreader.serving.store.tables.people import User
from cxreader.serving.web_settings import OidcSection

_LEEWAY = 60
"""Seconds by which the provider's clock may differ."""
_PATIENCE = 10.0
_MEND = "sign in again, or ask an administrator"


@dataclass(frozen=True, slots=True)
class Started:
    """What the provider's answer must fit. `sealed` is all of it for a cookie, under the home's secret; `url` leads there.

    `since`: the second at which a session's user was asked to prove to be there, 0 for signing in; `to`: the page that asked.
    """

    state: str
    nonce: str
    verifier: str
    since: int = 0
    to: str = ""
    sealed: str = ""
    url: str = ""

    @classmethod
    def opened(cls, sealed: str, secret: bytes) -> Started:
        """What was sealed. Raises SignInError for what this home did not seal."""
        text, _, seal = sealed.partition("~")
        if not hmac.compare_digest(seal.encode(), keyed(secret, "oidc", text).encode()):
            raise SignInError("signing in was not begun here, or took too long", mend=_MEND)
        state, nonce, verifier, since, to = text.split(".")
        return cls(state, nonce, verifier, int(since), bytes.fromhex(to).decode())


@dataclass(frozen=True, slots=True)
class Person:
    """Whom the provider named: `subject` is for ever the same person's, `name` is shown, `role` is ours.

    `authenticated_at`: when they last signed in there, in seconds since 1970; None where the provider does not say.
    """

    subject: str
    name: str
    role: Role
    authenticated_at: float | None = None


class Provider:
    """The provider of the settings; `redirect` is where it sends browsers back to."""

    def __init__(self, options: OidcSection, redirect: str) -> None:
        self._options, self._redirect = options, redirect

    def start(self, secret: bytes, *, since: int = 0, to: str = "") -> Started:
        """Begin: fresh random state, nonce and verifier. Raises SignInError where the provider cannot be reached.

        With `since` the provider is to ask anew who is there, whatever it knows (OpenID Connect Core 3.1.2.1).
        """
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        text = f"{state}.{nonce}.{verifier}.{since}.{to.encode().hex()}"
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._options.client_id,
            "redirect_uri": self._redirect,
            "scope": "openid profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        } | ({"prompt": "login", "max_age": "0"} if since else {})
        url = f"{self._discovered()['authorization_endpoint']}?{urlencode(query)}"
        return Started(state, nonce, verifier, since, to, f"{text}~{keyed(secret, 'oidc', text)}", url)

    def person(self, code: str, state: str, started: Started, now: float) -> Person:
        """Whom the provider named for this code. Raises SignInError for an answer that does not fit, and for no role of ours."""
        if not code or not hmac.compare_digest(state.encode(), started.state.encode()):
            raise SignInError("the provider's answer does not fit", mend=_MEND)
        found = self._discovered()
        secret = self._options.client_secret.get_secret_value()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect,
            "client_id": self._options.client_id,
            "code_verifier": started.verifier,
        } | ({"client_secret": secret} if secret else {})
        answer = _fetched(found["token_endpoint"], form)
        claims = self._claims(str(answer.get("id_token", "")), _fetched(found["jwks_uri"]), started.nonce, now)
        held = claims.get(self._options.role_claim, ())
        held = [held] if isinstance(held, str) else held
        roles = [self._options.roles[one] for one in held if one in self._options.roles]
        if not roles:
            raise SignInError("the provider names no role that may enter", mend="ask an administrator")
        name = str(claims.get(self._options.name_claim) or claims["sub"])
        at = claims.get("auth_time")
        when = float(at) if isinstance(at, int | float) else None
        return Person(str(claims["sub"]), name, min(roles, key=get_args(Role).index), when)

    def sign_in(self, session: Session, now: float, person: Person, lasting: Lasting) -> str:
        """The token of a new session of this person, who becomes a user at the first time; the role is the provider's.

        Raises SignInError for a user who is disabled, and for a name that another user has.
        """
        issuer = self._options.issuer
        user = session.scalar(select(User).where(User.issuer == issuer, User.subject == person.subject))
        if user is None:
            if session.scalar(select(User.id).where(User.name == person.name)) is not None:
                raise SignInError("another user has this name here", mend="ask an administrator")
            user = User(name=person.name, role=person.role, password="", created_at=now)
            user.issuer, user.subject = issuer, person.subject
            session.add(user)
            session.flush()
            audit.note(session, now, [Noted("user added", "oidc", user.key, {"role": person.role})])
        if user.disabled_at is not None:
            raise SignInError("this user may not enter", mend="ask an administrator")
        user.role = person.role
        return sessions.start(session, now, user, lasting, how="oidc")

    def confirm(self, session: Session, now: float, person: Person, started: Started, who: tuple[User, str]) -> None:
        """The user of a session, `who` with its token, proved to be there.

        Raises SignInError where the provider named somebody else, or did not ask anew.
        """
        user, token = who
        if (user.issuer, user.subject) != (self._options.issuer, person.subject):
            raise SignInError("the provider names another user than the session", mend="sign in as the same")
        if person.authenticated_at is None or person.authenticated_at < started.since - _LEEWAY:
            raise SignInError("the provider did not ask anew who is there", mend="ask an administrator of the provider")
        sessions.confirm(session, now, token, user, how="oidc")

    def _discovered(self) -> Mapping[str, Any]:
        """The provider's own description (OpenID Connect Discovery 4). Its issuer must be ours."""
        found = _fetched(f"{self._options.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self._options.issuer:
            raise SignInError("the provider describes another one", mend="check web.oidc.issuer")
        return found

    def _claims(self, token: str, keys: Mapping[str, Any], nonce: str, now: float) -> Mapping[str, Any]:
        """The claims of an ID token whose signature, issuer, audience, times and nonce are right."""
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        rules = jwt.JWTClaimsRegistry(
            now=int(now),
            leeway=_LEEWAY,
            iss={"essential": True, "value": self._options.issuer},
            aud={"essential": True, "value": self._options.client_id},
            nonce={"essential": True, "value": nonce},
            exp={"essential": True},
            sub={"essential": True},
        )
        try:
            found = jwt.decode(token, KeySet.import_key_set(dict(keys)), algorithms=list(self._options.algorithms))  # type: ignore[arg-type]
            rules.validate(found.claims)
        except (JoseError, ValueError, KeyError, TypeError):
            raise SignInError("the provider's token cannot be believed", mend=_MEND) from None
        return found.claims


def _fetched(url: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The JSON object at a URL, by POST where there is a form. Raises SignInError."""
    import httpx2

    try:
        made = (
            httpx2.get(url, timeout=_PATIENCE) if form is None else httpx2.post(url, data=dict(form), timeout=_PATIENCE)
        )
        found = json.loads(made.content) if made.status_code == 200 else None
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError):
        found = None
    if not isinstance(found, dict):
        raise SignInError("the provider does not answer as it should", mend="wait, or ask an administrator")
    return found
