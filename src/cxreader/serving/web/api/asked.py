"""What of the worklist is asked for, as the query of a request says it."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from fastapi import Depends, Query

from cxreader.serving.order.places import BANDS, OVERDUE
from cxreader.serving.store.reading.filters import Filters
from cxreader.serving.web.door import TheDoor
from cxreader.serving.zone import SiteZone

Band = Literal["overdue", "alarm", "no-answer", "in-doubt", "below"]
WORDS: dict[str, str] = dict(
    zip(("overdue", "alarm", "no-answer", "in-doubt", "below"), (OVERDUE, *BANDS.values()), strict=True)
)
"""The band that each name of an address stands for."""
Decision = Literal["abnormal", "refer", "normal", "refused", "unread"]
Word = Annotated[str, Query(max_length=100, pattern=r"^[^\x00-\x1f]*$")]
Day = Annotated[dt.date | Literal[""], Query()]


def asked(
    door: TheDoor,
    band: Annotated[Band | Literal[""], Query(description="Where in the order.")] = "",
    decision: Annotated[Decision | Literal[""], Query(description="Of the image that decides the place.")] = "",
    view: Annotated[Word, Query(description="Of that image; `-` where it has none.")] = "",
    station: Annotated[Word, Query(description="The AE title or user that sent it, else the door.")] = "",
    reader: Annotated[Word, Query(description="Who has it in hand, by name; `-` for nobody.")] = "",
    since: Annotated[Day, Query(alias="from", description="The first day on which it was received.")] = "",
    until: Annotated[Day, Query(alias="to", description="The last one.")] = "",
) -> Filters:
    """The filters of a request."""
    return Filters(
        band=WORDS.get(band, ""),
        decision=decision,
        view=view,
        station=station,
        reader=reader,
        since=_midnight(since, door.settings.zone),
        until=_midnight(until, door.settings.zone, later=1),
    )


Asked = Annotated[Filters, Depends(asked)]


def _midnight(day: dt.date | str, zone: SiteZone, later: int = 0) -> float | None:
    """The beginning of a day, or of the one after, by the site's clocks; seconds."""
    if not isinstance(day, dt.date):
        return None
    try:
        return zone.midnight(day + dt.timedelta(days=later))
    except (OverflowError, ValueError, OSError):
        return None
