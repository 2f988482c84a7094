"""Worklist policies: which of the waiting images is read next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from cxreader.errors import UsageError, nearest

Order = Literal["first-come", "flagged", "probability"]


@dataclass(frozen=True, slots=True)
class WorklistPolicy:
    """The `order` in which waiting images are read: `first-come`, `flagged` before the others, or falling `probability`.

    Ties go in the order of arrival. An image that has waited `max_wait` minutes (above 0) is read before all others, the
    oldest such first; None sets no limit. Raises UsageError for an unknown order, for a wait that is not above 0 or not
    finite, and for one beside first-come, which never lets an image be overtaken.
    """

    order: Order
    max_wait: float | None = None

    def __post_init__(self) -> None:
        if self.order not in get_args(Order):
            raise UsageError(f"no worklist policy is named {self.order!r}", mend=nearest(self.order, get_args(Order)))
        if self.max_wait is not None and (self.order == "first-come" or not 0 < self.max_wait < math.inf):
            what = f"a maximum wait of {self.max_wait} minutes does not fit {self.order!r}"
            raise UsageError(what, mend="give minutes above 0, with flagged or probability")

    def __str__(self) -> str:
        name = {"first-come": "first come", "flagged": "flagged first", "probability": "by probability"}[self.order]
        return name if self.max_wait is None else f"{name}, whoever waited {self.max_wait:g} min before all"


FIRST_COME = WorklistPolicy("first-come")
POLICIES = (FIRST_COME, WorklistPolicy("flagged"), WorklistPolicy("probability"))
