"""What stands around every request: our own host alone, headers that bind browsers, a line in the access log, no leaking error.

The access log names the route's template, never the path or the query: a DICOMweb query names patients.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cxreader.serving.operations.logs import frames_of
from cxreader.serving.web.problems import answer
from cxreader.serving.web_settings import WebSection

log = logging.getLogger(__name__)
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


class Guard:
    """The middleware around the application."""

    def __init__(self, app: ASGIApp, web: WebSection) -> None:
        self._app = app
        self._hosts = _LOCAL | {str(urlsplit(web.origin).hostname)}
        self._headers = HEADERS | ({"strict-transport-security": "max-age=31536000"} if web.secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        request, begun, status = secrets.token_hex(8), time.monotonic(), 0

        async def headed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in (self._headers | {"x-request-id": request, "cache-control": "no-store"}).items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            if self._is_ours(scope):
                await self._app(scope, receive, headed)
            else:
                await answer(421, "host", "this host is not served here")(scope, receive, headed)
        except Exception as error:  # noqa: BLE001 - whatever it is, its text may quote a patient
            told = {"request": request, "error": type(error).__name__, "at": frames_of(error)}
            log.error("request failed", extra=told)  # noqa: TRY400 - the same
            if not status:
                await answer(500, "error", f"something failed; the log tells more of request {request}")(
                    scope, receive, headed
                )
        log.info("request", extra=_told(scope, status, begun) | {"request": request})

    def _is_ours(self, scope: Scope) -> bool:
        """A page of another name that leads here (DNS rebinding) gets nothing."""
        host = Headers(scope=scope).get("host", "")
        try:
            return urlsplit(f"//{host}").hostname in self._hosts
        except ValueError:
            return False


def _told(scope: Scope, status: int, begun: float) -> dict[str, Any]:
    route = getattr(scope.get("route"), "path", "none")
    user = scope.get("state", {}).get("user", "")
    seconds = round(time.monotonic() - begun, 4)
    return {"method": scope["method"], "route": route, "status": status, "seconds": seconds, "user": user}
