"""What browsers and programs hold, and what is kept of it: random tokens, of which the database has the SHA-256 alone."""

from __future__ import annotations

import hashlib
import hmac
import secrets

PREFIX = "cxr_"
"""API tokens begin so: programs that look for secrets in files can find them."""


def new_token(prefix: str = "") -> str:
    """256 random bits as text; nobody can guess it, so that a fast hash keeps it."""
    return prefix + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What the database keeps of a token: 64 hex digits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def form_token(secret: bytes, session: str) -> str:
    """The CSRF token of a session: who does not hold session and secret cannot make it."""
    return keyed(secret, "form", session)


def keyed(secret: bytes, purpose: str, *parts: str) -> str:
    """HMAC-SHA256 under the home's secret, 64 hex digits, of parts whose borders count."""
    text = "".join(f"{len(part)}:{part}" for part in (purpose, *parts))
    return hmac.new(secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
