"""Errors as HTTP answers: problem details (RFC 9457), made from the tree of `cxreader.errors`.

No answer repeats what was sent: a value that was wrong may name a patient.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from cxreader.errors import (
    AbsentError,
    ConfigError,
    CxreaderError,
    DataError,
    MissingDependencyError,
    MissingObjectError,
    ModelError,
    SilentError,
    StorageError,
    UsageError,
)
from cxreader.serving.access.refusals import ForbiddenError, SignInError, TooManyError
from cxreader.serving.web.problem_pages import asking, page_of
from cxreader.serving.web.rendering import is_page

MEDIA = "application/problem+json"
STATUS: dict[type[CxreaderError], int] = {
    SignInError: 401,
    ForbiddenError: 403,
    TooManyError: 429,
    SilentError: 403,
    AbsentError: 404,
    ConfigError: 503,
    UsageError: 400,
    MissingDependencyError: 501,
    DataError: 422,
    ModelError: 422,
    MissingObjectError: 500,
    StorageError: 503,
}
"""The status of each kind of error, and of the kinds below it that do not stand here."""
_ASKING = "urn:cxreader:confirmation"
_AGAIN = 30
"""Seconds after which who was refused for want of room may try again."""


class Problem(BaseModel):
    """Problem details. `type` names the kind of error, `mend` says what would help."""

    type: str = Field(examples=["urn:cxreader:absent"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no such study"])
    mend: str | None = Field(None, examples=["it may have been deleted"])
    errors: list[dict[str, str]] | None = Field(
        None, description="Of a request that does not fit: each place and what is wrong."
    )


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI tells of a route's refusals: these, and those that every route has."""
    content: dict[str, Any] = {"content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    return {status: {"description": HTTPStatus(status).phrase, **content} for status in (*statuses, 401, 403, 422, 503)}


def status_of(error: CxreaderError) -> int:
    """The HTTP status of an error."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def answer(status: int, kind: str, detail: str, **more: Any) -> JSONResponse:
    """A problem as a response."""
    title = HTTPStatus(status).phrase
    problem = Problem(type=f"urn:cxreader:{kind}", title=title, status=status, detail=detail, **more)
    return JSONResponse(problem.model_dump(exclude_none=True), status, media_type=MEDIA)


def of_error(error: CxreaderError) -> JSONResponse:
    """The answer to an error of ours; paths of this machine stay here."""
    status = status_of(error)
    named = error.where if isinstance(error, UsageError) and error.where else None
    detail = error.what if named is None else f"{named}: {error.what}"
    found = answer(status, _kind(error), detail, mend=error.mend)
    if status == 401:
        found.headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503):
        found.headers["Retry-After"] = str(int(getattr(error, "after", _AGAIN)))
    return found


def install(app: FastAPI) -> None:
    """Answer every error so; as a page where a person looks."""

    def ours(request: Request, error: Exception) -> Response:
        made = of_error(error) if isinstance(error, CxreaderError) else answer(500, "error", "something failed")
        return _seen(request, made)

    def invalid(request: Request, error: Exception) -> Response:
        found = error.errors() if isinstance(error, RequestValidationError) else ()
        each = [{"where": ".".join(map(str, one["loc"])), "what": str(one["msg"])} for one in found]
        return _seen(request, answer(422, "request", "the request does not fit", errors=each))

    def plain(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        made = answer(status, "http", HTTPStatus(status).description or HTTPStatus(status).phrase)
        made.headers.update(getattr(error, "headers", None) or {})
        return _seen(request, made)

    app.add_exception_handler(CxreaderError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)


def _seen(request: Request, made: JSONResponse) -> Response:
    if not is_page(request):
        return made
    told = Problem.model_validate_json(bytes(made.body))
    if told.type == _ASKING:
        return asking(request.url.path)
    return page_of(request, told.status, told.title, told.detail, told.mend)


def _kind(error: CxreaderError) -> str:
    words = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", words).lower() or "error"
