"""DICOM dates with their times as people read them (PS3.5 6.2: DA followed by TM)."""

from __future__ import annotations

import datetime as dt

_FORMS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_OF_DAY = {8: "", 10: "%H h", 12: "%H:%M", 14: "%H:%M"}


def date(text: str) -> str:
    """For the study's page: 2026-11-30, 2026-11-30 09:15, 2026-11-30 09 h; as it is where it is no date."""
    found = _read(text)
    return text if found is None else found[0].strftime(f"%Y-%m-%d {found[1]}").strip()


def short(text: str, today: dt.date) -> str:
    """For the list: 30 Nov 2026, 30 Nov 09:15, and of today the time alone; empty for what is no date."""
    found = _read(text)
    if found is None:
        return ""
    at, of_day = found
    if not of_day:
        return at.strftime("%d %b %Y")
    return at.strftime(of_day if at.date() == today else f"%d %b {of_day}")


def _read(text: str) -> tuple[dt.datetime, str] | None:
    """The moment, and how its time of the day is told: of a date alone not at all. A time that is none is left out.

    `strptime` takes fields of one digit too, so that a form is tried only on as many digits as it has.
    """
    whole = text.partition(".")[0]
    for digits in (whole, whole[:8]):
        form = _FORMS.get(len(digits)) if digits.isascii() and digits.isdigit() else None
        if form is not None:
            try:
                return dt.datetime.strptime(digits, form), _OF_DAY[len(digits)]
            except ValueError:
                continue
    return None
