"""Where an image and a study stand in the worklist, when that was too long, and why, in words.

The order is `inference.triage`'s: the list and `cxreader read --sort` never order differently. An image that has no answer yet
stands with those that have none. A study stands where its most urgent image does. Each step has a longest wait: what waited
longer stands before everything else, the longest overdue first, since priority alone lets the least urgent wait for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cxreader.inference.triage import ALARM, IN_DOUBT, NORMAL, UNANSWERED, Urgency

BANDS = {ALARM: "alarm", UNANSWERED: "no answer", IN_DOUBT: "in doubt", NORMAL: "below the operating point"}
"""The words for a step of the rule."""
OVERDUE = "overdue"
"""And for what waited too long, whatever its step."""
WAITING = Urgency(UNANSWERED, 0.0, "waiting to be read")


@dataclass(frozen=True, slots=True)
class Waits:
    """The longest wait of each step, in seconds from the moment that a study's first image was received."""

    by_step: Mapping[int, float]

    def due(self, received: float, step: int) -> float:
        """The moment from which on a study of this step is overdue."""
        return received + self.by_step[step]


def failed(attempts: int) -> Urgency:
    """The place of an image that no reader survived."""
    return Urgency(UNANSWERED, 0.0, f"not read after {attempts} attempts: a person must look")


def most_urgent(places: Iterable[Urgency]) -> Urgency:
    """The place of a study with images at these places; the first of several that are equally urgent."""
    return min(places, key=lambda place: (place.step, -place.height))


def overdue_reason(waited: float, due: float, reason: str) -> str:
    """Why an overdue study stands at the front: `waited` and `due` in seconds from when it was received, and its own reason."""
    return f"waited {waited // 60:.0f} min of {due / 60:.0f}; {reason}"
