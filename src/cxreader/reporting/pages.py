"""What every HTML page shares: its templates, and durations in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cxreader.reporting.glossary import GLOSSARY

if TYPE_CHECKING:
    from jinja2 import Environment

_INTERVAL = re.compile(r"(?<=\d) to (?=[+\-]?\d)")


def environment() -> Environment:
    """The templates of the package; everything put into them is escaped, and a name that was not given is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("cxreader.reporting", "templates")
    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.globals["glossary"] = GLOSSARY
    found.filters["unbroken"] = unbroken
    return found


def unbroken(text: str) -> str:
    """A sentence whose intervals `-0.027 to 0.038` stay on one line, by no-break spaces; in templates a filter."""
    return _INTERVAL.sub("\u00a0to\u00a0", text)


def format_duration(seconds: float) -> str:
    """`3.2 s`, `45 s`, `1 min 15 s`, `2 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60:,} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s" if seconds < 10 else f"{rest} s"
