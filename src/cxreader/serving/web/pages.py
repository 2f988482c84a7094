"""Pages as HTML from the templates beside this file."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

STATIC = Path(__file__).with_name("static")


def page(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """The page of a template; every value is escaped."""
    return HTMLResponse(_templates().get_template(template).render(**values), status)


@cache
def _templates() -> Environment:
    folder = Path(__file__).with_name("templates")
    return Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
