"""Errors as pages, for who looks with a browser: the same words as the problem details."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from cxreader.serving.web.rendering import page

CLEARED = {"Clear-Site-Data": '"cache"'}
"""Where a session ends the browser forgets the pictures that it keeps."""


def page_of(request: Request, status: int, title: str, detail: str, mend: str | None) -> Response:
    """The page of a problem; who is not signed in goes to the form, and from there back."""
    if status == 401 and request.method == "GET" and not request.url.path.startswith("/login"):
        return RedirectResponse(_form(request), 303, CLEARED)
    return page(request, "problem.html.jinja", status=status, title=title, detail=detail, mend=mend)


def asking(path: str) -> RedirectResponse:
    """To the form, from what a page's form asked for; back from there to that page."""
    return RedirectResponse(f"/confirm?{urlencode({'to': room_of(path)})}", 303)


def room_of(path: str) -> str:
    """The room of the administration that a path belongs to: its first two names."""
    return "/".join(path.split("/")[:3])


def local(to: str) -> str:
    """A path of this service; the first page for what leads elsewhere (an open redirect)."""
    mild = to.startswith("/") and to[1:2] not in ("/", "\\") and to.isascii() and to.isprintable()
    return to if mild else "/"


def _form(request: Request) -> str:
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return "/login" if asked == "/" else f"/login?{urlencode({'to': asked})}"
