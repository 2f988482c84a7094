"""The review page: what a trial is watched by."""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from cxreader.counting import format_count
from cxreader.errors import DataError, UsageError
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.evaluation.worklist.triage import Triage
from cxreader.serving.review.review import review, simulation
from cxreader.serving.store.reading import modes
from cxreader.serving.web.allowed import Reader, person_of
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.rendering import page

router = APIRouter(include_in_schema=False)
WEEKS = (4, 13, 26, 52)
"""Weeks that may be looked back."""
Shift = Annotated[str, Query(max_length=40, pattern="^[0-9a-zA-Z.@ -]*$")]


@router.get("/review")
def show(
    request: Request,
    door: TheDoor,
    principal: Reader,
    weeks: Annotated[int, Query(ge=1, le=104)] = 13,
    shift: Shift = "",
) -> HTMLResponse:
    """Agreement, rejected alarms, volumes, turnaround, refusals of the last weeks; with `shift` the worklist simulated too."""
    door.shown(principal, "review")
    found = review(door.service, weeks)
    told, why = _simulated(door, weeks, shift)
    words: dict[str, Any] = {
        "count": format_count,
        "percent": percent,
        "points": points,
        "number": number,
        "choices": WEEKS,
        "zone": door.settings.zone.told,
    }
    return page(
        request,
        "review/page.html.jinja",
        person=person_of(door, principal),
        here="review",
        review=found,
        shift=shift or "0-24",
        simulated=told,
        why=why,
        reads_first=modes.mode_of(principal.user) == modes.READ_FIRST,
        **words,
    )


def _simulated(door: Door, weeks: int, shift: str) -> tuple[dict[str, Any] | None, str]:
    """What the simulation told, or why there is none."""
    if not shift:
        return None, ""
    try:
        found = simulation(door.service, weeks, shift)
    except (DataError, UsageError) as error:
        return None, error.what if error.mend is None else f"{error.what}; {error.mend}"
    return {
        "studies": found.studies,
        "known": found.read_minutes,
        "triage": found.triage,
        "rows": _rows(found.triage),
    }, ""


def _rows(triage: Triage) -> list[tuple[str, str, list[Estimate], Estimate | None]]:
    """By whom and policy: mean, 95th percentile and longest wait, and the change of the mean against first-come."""
    return [
        (
            who,
            str(one.policy),
            [one.times[who][m] for m in ("mean", "p95", "maximum")],
            one.change.get(who, {}).get("mean"),
        )
        for who in ("abnormal", "normal", "all")
        for one in triage.results
    ]


def percent(share: Estimate) -> str:
    """A share with its interval, or why it has none."""
    return _words(share, 100, 0, " %")


def points(change: Estimate) -> str:
    """A change of a share in percentage points with its interval, or why it has none."""
    return _words(change, 100, 0, " percentage points")


def number(one: Estimate, digits: int = 2) -> str:
    """A number with its interval, or why it has none."""
    return _words(one, 1, digits, "")


def _words(one: Estimate, times: float, digits: int, unit: str) -> str:
    value, low, high = (f"{times * part:,.{digits}f}" for part in (one.value, one.low, one.high))
    if math.isnan(one.value):
        return f"undefined: {one.reason}"
    if math.isnan(one.low) or math.isnan(one.high):
        return f"{value}{unit} (no interval: {one.reason})"
    return f"{value}{unit} ({low} to {high})"
