"""Pages as HTML from the templates beside this file, in one frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cxreader.serving.roles import Scope

THEME = "cxreader-theme"
"""The cookie that holds the theme, dark or light; the button of the frame sets it."""
PROGRAMS = ("/api/", "/dicomweb", "/fhir", "/static", "/metrics", "/healthz", "/readyz")
"""Paths below which programs ask; all others are pages."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in, as the frame shows it; `csrf`: what forms and scripts of the page send back.

    `confirmed_for`: seconds for which they are not asked again who they are; `provider`: whether they sign in elsewhere.
    """

    name: str
    role: str
    scopes: frozenset[Scope]
    csrf: str
    confirmed_for: float
    provider: bool


def page(
    request: Request, template: str, *, status: int = 200, person: Person | None = None, here: str = "", **values: Any
) -> HTMLResponse:
    """The page of a template; every value is escaped. `here`: which part of the frame's navigation it is."""
    frame = {"person": person, "here": here, "theme": theme(request)}
    return HTMLResponse(_templates().get_template(template).render(frame | values), status)


def fragment(template: str, **values: Any) -> str:
    """Part of a page."""
    return _templates().get_template(template).render(values)


def theme(request: Request) -> str:
    """The theme that was chosen; dark by default, for a reading room."""
    return "light" if request.cookies.get(THEME) == "light" else "dark"


def is_page(request: Request) -> bool:
    """Whether a person looks at the answer: no program, and no script of a page."""
    return not request.url.path.startswith(PROGRAMS) and "hx-request" not in request.headers


@cache
def _templates() -> Environment:
    folder = Path(__file__).with_name("templates")
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
