"""The site's time zone: by it days begin, times of the day are told, and what is made is dated."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class SiteZone:
    """A time zone by its IANA name; the machine's own for an empty one."""

    name: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for a name that is no zone's, or of which this machine has no data."""
        if self.name:
            try:
                ZoneInfo(self.name)
            except (OSError, KeyError, ValueError):
                raise ValueError(
                    f"{self.name!r} is no time zone that this machine knows: give an IANA name as Europe/Berlin "
                    "(without a system's own list of them: pip install tzdata)"
                ) from None

    @property
    def told(self) -> str:
        """What it is called."""
        return self.name or f"the machine's own, {self.at(dt.datetime.now(dt.UTC).timestamp()):%Z}"

    def at(self, seconds: float) -> dt.datetime:
        """A moment, in seconds since 1970, as this zone's clocks show it."""
        if self.name:
            return dt.datetime.fromtimestamp(seconds, ZoneInfo(self.name))
        return dt.datetime.fromtimestamp(seconds).astimezone()

    def midnight(self, day: dt.date) -> float:
        """When a day begins, in seconds since 1970."""
        return dt.datetime.combine(day, dt.time(), ZoneInfo(self.name) if self.name else None).timestamp()


MACHINE = SiteZone()
"""The machine's own."""
