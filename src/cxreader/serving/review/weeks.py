"""Weeks: from Monday 00:00 UTC, told by their Monday."""

from __future__ import annotations

from datetime import UTC, datetime

DAY = 86_400.0
WEEK = 7 * DAY
_MONDAY = 4 * DAY
"""1970-01-05, the first Monday of the clock."""


def week_of(seconds: float) -> int:
    """The number of a moment's week."""
    return int((seconds - _MONDAY) // WEEK)


def begins(week: int) -> float:
    """When a week begins, in seconds since 1970."""
    return _MONDAY + week * WEEK


def name(week: int) -> str:
    """Its Monday, as 2026-11-30."""
    return datetime.fromtimestamp(begins(week), UTC).date().isoformat()


def last(now: float, count: int) -> range:
    """The last `count` weeks up to the one of now, which is not over."""
    return range(week_of(now) - count + 1, week_of(now) + 1)
