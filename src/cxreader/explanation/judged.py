"""What an artifact's evaluation says of its maps: whoever shows a map asks here first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxreader.explanation.localisation_report import GRAD_CAM, REGION_HEAD, LocalisationByFinding


def judged_maps(
    evaluation: Mapping[str, Any] | None, source: str, *, by_finding: bool = False
) -> LocalisationByFinding | None:
    """What an artifact's evaluation (the record of `assessment.summary`) says of maps called `source`; None: not judged.

    `source`: `GRAD_CAM` or `REGION_HEAD`. `by_finding`: of a region head the maps of each finding, else that of any finding.
    """
    if evaluation is None:
        return None
    if source == REGION_HEAD:
        plain = evaluation.get("regions", {}).get("region_head_by_finding" if by_finding else "region_head")
    else:
        plain = evaluation.get("maps") if evaluation.get("maps_by", GRAD_CAM) == GRAD_CAM else None
    return None if plain is None else LocalisationByFinding.from_dict(plain)
