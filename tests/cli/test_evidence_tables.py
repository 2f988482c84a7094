"""What is said below a table of figures that have no interval."""

from __future__ import annotations

import math

import pytest

from cxreader.cli.evidence_tables import missing
from cxreader.evaluation.intervals import Estimate

SAME = "every resample gives the same value, which bounds nothing"


def _figure(value: float, reason: str | None) -> Estimate:
    end = math.nan if reason else value
    return Estimate(value, end, end, 5, 5, 4, "bootstrap", reason)


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ([None], ""),
        (
            ["undefined in 250 of 2000 resamples: too few patients"],
            "undefined in 250 of 2000 resamples: too few patients",
        ),
        (
            [f"undefined in {n} of 2000 resamples: too few patients" for n in (911, 101, 250, 911)],
            "undefined in 101 to 911 of 2000 resamples: too few patients",
        ),
        (
            [
                "undefined in 9 of 20 resamples: too few patients",
                SAME,
                "undefined in 7 of 20 resamples: too few images",
            ],
            f"undefined in 9 of 20 resamples: too few patients; {SAME}; undefined in 7 of 20 resamples: too few images",
        ),
    ],
)
def test_reasons_that_differ_in_a_count_are_said_once(reasons: list[str | None], said: str) -> None:
    figures = [_figure(0.9, reason) for reason in reasons]
    assert missing(figures) == (f" No interval: {said}." if said else "")


def test_what_is_undefined_is_said_apart_from_what_has_no_interval() -> None:
    figures = [_figure(math.nan, "no normal image in this group"), _figure(1.0, SAME)]
    assert missing(figures) == f" Undefined: no normal image in this group. No interval: {SAME}."
