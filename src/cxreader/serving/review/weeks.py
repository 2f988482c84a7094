"""Weeks: from Monday 00:00 by the site's clock, told by their Monday, numbered from the first Monday of 1970."""

from __future__ import annotations

from datetime import date

from cxreader.serving.zone import SiteZone

_FIRST = date(1970, 1, 5).toordinal()


def week_of(seconds: float, zone: SiteZone) -> int:
    """The number of a moment's week."""
    return (zone.at(seconds).date().toordinal() - _FIRST) // 7


def begins(week: int, zone: SiteZone) -> float:
    """When a week begins, in seconds since 1970."""
    return zone.midnight(_monday(week))


def name(week: int) -> str:
    """Its Monday, as 2026-11-30."""
    return _monday(week).isoformat()


def last(now: float, count: int, zone: SiteZone) -> range:
    """The last `count` weeks up to the one of now, which is not over."""
    return range(week_of(now, zone) - count + 1, week_of(now, zone) + 1)


def _monday(week: int) -> date:
    return date.fromordinal(_FIRST + 7 * week)
