"""What the verdict of an artifact takes in besides its predictions: who trained it, who was judged, what the audit found."""

from __future__ import annotations

from cxreader.assessment.cohort import EvaluationCohort
from cxreader.evaluation.shortcuts.records import SUSPECTED, TOO_FEW, ShortcutAudit
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.evaluation.verdict import THUMBNAIL, Background
from cxreader.models.artifact import Artifact

PHANTOMS = "phantom"
"""How the name of a source of phantoms begins."""
NOT_AUDITED = "not audited for shortcuts"


def background_of(artifact: Artifact, cohort: EvaluationCohort, shortcuts: ShortcutAudit | None) -> Background:
    """Phantoms and patients who set the model forbid a verdict; the audit's suspicion and thumbnail go into it."""
    obstacles, cautions = [], []
    if cohort.index.name.startswith(PHANTOMS):
        obstacles.append("it was judged on phantoms, drawn by a program, and no result on them is clinical")
    elif str(artifact.provenance.get("data", {}).get("name", "")).startswith(PHANTOMS):
        obstacles.append("it was trained on phantoms, drawn by a program, and never met a patient")
    if cohort.split is not None and cohort.split.kind == "image-random":
        obstacles.append("it was split by image, so that patients of its training may be among those judged")
    if not artifact.patients.known:
        cautions.append("whether a judged patient set the model cannot be known")
    if shortcuts is None:
        cautions.append(NOT_AUDITED)
    elif shortcuts.verdict == TOO_FEW:
        cautions.append("too few patients to say whether there is a shortcut")
    return Background(tuple(obstacles), _suspicion(shortcuts), _thumbnail(shortcuts), tuple(cautions))


def _suspicion(shortcuts: ShortcutAudit | None) -> str | None:
    return shortcuts.reasons[0] if shortcuts is not None and shortcuts.verdict == SUSPECTED else None


def _thumbnail(shortcuts: ShortcutAudit | None) -> Estimate | None:
    found = () if shortcuts is None else shortcuts.baselines
    return next((baseline.gain for baseline in found if baseline.name == THUMBNAIL), None)
