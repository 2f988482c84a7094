"""Files of the pages: styles, scripts, and those of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.staticfiles import StaticFiles

STATIC = Path(__file__).with_name("static")


class PageFiles(StaticFiles):
    """The folder `static`; a browser asks each time whether its copy is still the same."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    def file_response(self, *given: Any, **more: Any) -> Response:
        """A file, or that it has not changed."""
        made = super().file_response(*given, **more)
        made.headers["cache-control"] = "no-cache"
        return made
