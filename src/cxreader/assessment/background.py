"""What the verdict of an artifact takes in besides its predictions: who trained it, who was judged, what the audit found."""

from __future__ import annotations

from cxreader.assessment.cohort import EvaluationCohort
from cxreader.evaluation.shortcuts.records import SUSPECTED, TOO_FEW, ShortcutAudit
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.evaluation.verdict import THUMBNAIL, Background
from cxreader.models.artifact import Artifact
from cxreader.models.population import Population

PHANTOMS = "phantom"
"""How the name of a source of phantoms begins."""
OTHERS = "this model is for other patients"
SOME = 0.05
"""Share of judged images outside the training ages from which on it is said; more than half forbid a verdict."""
TRAINED_ON = "trained on"
"""Where an evaluation's provenance names the artifact's population in words."""
NOT_AUDITED = "not audited for shortcuts"


def background_of(artifact: Artifact, cohort: EvaluationCohort, shortcuts: ShortcutAudit | None) -> Background:
    """Phantoms and patients who set the model forbid a verdict; the audit's suspicion and thumbnail go into it."""
    obstacles: list[str] = []
    cautions: list[str] = []
    if cohort.index.name.startswith(PHANTOMS):
        obstacles.append("it was judged on phantoms, drawn by a program, and no result on them is clinical")
    elif str(artifact.provenance.get("data", {}).get("name", "")).startswith(PHANTOMS):
        obstacles.append("it was trained on phantoms, drawn by a program, and never met a patient")
    if cohort.split is not None and cohort.split.kind == "image-random":
        obstacles.append("it was split by image, so that patients of its training may be among those judged")
    foreign = _of_other_ages(artifact, cohort)
    (obstacles if foreign.startswith(OTHERS) else cautions).extend([foreign] if foreign else [])
    if not artifact.patients.known:
        cautions.append("whether a judged patient set the model cannot be known")
    if shortcuts is None:
        cautions.append(NOT_AUDITED)
    elif shortcuts.verdict == TOO_FEW:
        cautions.append("too few patients to say whether there is a shortcut")
    return Background(tuple(obstacles), _suspicion(shortcuts), _thumbnail(shortcuts), tuple(cautions))


def trained_on(artifact: Artifact) -> str:
    """The population of an artifact in words, or that it does not state it."""
    population = Population.read(artifact.provenance)
    return "not stated by the artifact, which is of an earlier version" if population is None else str(population)


def _of_other_ages(artifact: Artifact, cohort: EvaluationCohort) -> str:
    """How many of the judged images are of an age that no training patient had; empty for few, or where it is not known."""
    population = Population.read(artifact.provenance)
    ages = [r.age for r in cohort.records if r.age is not None and r.age_plausible]
    outside = 0 if population is None else sum(map(population.is_outside, ages))
    if population is None or outside <= SOME * len(ages):
        return ""
    words = f"{outside:,} of {len(ages):,} judged images whose age is known are outside the training ages ({population.ages})"
    return f"{OTHERS}: {words}" if outside > len(ages) / 2 else words


def _suspicion(shortcuts: ShortcutAudit | None) -> str | None:
    return shortcuts.reasons[0] if shortcuts is not None and shortcuts.verdict == SUSPECTED else None


def _thumbnail(shortcuts: ShortcutAudit | None) -> Estimate | None:
    found = () if shortcuts is None else shortcuts.baselines
    return next((baseline.gain for baseline in found if baseline.name == THUMBNAIL), None)
