"""An artifact's own evaluation as rows of a table: every rate with its interval and counts, or why it has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxreader.codec import from_plain
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.models.artifact import Artifact

RATES = {
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV: of those called abnormal, abnormal",
    "npv": "NPV: of those below, normal",
    "flagged": "Share called abnormal",
}


def rows_of(artifact: Artifact) -> dict[str, Any] | None:
    """What a page shows of the block `evaluation`; None where the artifact was not judged.

    `points`: of each operating point its name, threshold, rule, counts and rates in words.
    """
    told = artifact.evaluation
    if told is None:
        return None
    points = [
        {
            "name": one["point"]["name"],
            "threshold": one["point"]["threshold"],
            "rule": one["point"]["rule"],
            "confusion": one["confusion"],
            "rates": [(words, _words(one["rates"][name])) for name, words in RATES.items() if name in one["rates"]],
        }
        for one in told["points"]
    ]
    return {name: told.get(name) for name in ("data", "part", "counts", "warnings", "date", "cxreader")} | {
        "points": points
    }


def _words(plain: Mapping[str, Any]) -> tuple[str, str]:
    """Value with its interval; counts and method."""
    found: Estimate = from_plain(Estimate, dict(plain))
    patients = "patients unknown" if found.n_patients is None else f"{found.n_patients:,} patients"
    counts = f"{found.n_positive:,} abnormal, {found.n_negative:,} normal, {patients}"
    if found.value != found.value:
        return f"undefined: {found.reason}", counts
    return f"{found.value:.3f} ({found.interval})", counts
