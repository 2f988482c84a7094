"""How much came and was read, week by week: counts of everything, of no sample, so that they have no interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cxreader.serving.review import weeks
from cxreader.serving.store.reading.judged import Answered, Judged
from cxreader.serving.zone import SiteZone


@dataclass(frozen=True, slots=True)
class Volume:
    """A week, told by its Monday: images and studies received, images read, alarms and refusals among those, final verdicts."""

    name: str
    begins: float
    images: int
    studies: int
    read: int
    alarms: int
    refused: int
    verdicts: int


def volumes(
    received: Sequence[tuple[float, int]],
    answers: Sequence[Answered],
    verdicts: Sequence[Judged],
    of: range,
    zone: SiteZone,
) -> list[Volume]:
    """The weeks in their order. A study counts in the week of its first image of that time."""
    images, read, alarms, refused, said = (dict.fromkeys(of, 0) for _ in range(5))
    studies: dict[int, int] = {}
    for at, study in received:
        _count(images, weeks.week_of(at, zone))
        studies.setdefault(study, weeks.week_of(at, zone))
    for one in answers:
        week = weeks.week_of(one.read_at, zone)
        _count(read, week)
        _count(alarms, week, one.decision in ("abnormal", "refer"))
        _count(refused, week, one.acceptance in ("refused", None))
    for verdict in verdicts:
        _count(said, weeks.week_of(verdict.given_at, zone), verdict.stage == "final")
    first = list(studies.values())
    return [
        Volume(weeks.name(n), weeks.begins(n, zone), images[n], first.count(n), read[n], alarms[n], refused[n], said[n])
        for n in of
    ]


def _count(counts: dict[int, int], week: int, counted: bool = True) -> None:
    if counted and week in counts:
        counts[week] += 1
