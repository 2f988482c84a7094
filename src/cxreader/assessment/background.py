"""What the verdict of an artifact takes in besides its predictions: who trained it, who was judged, what the audit found."""

from __future__ import annotations

from cxreader.assessment.cohort import EvaluationCohort
from cxreader.counting import format_count
from cxreader.data.index import Index
from cxreader.data.split import Split, leak
from cxreader.evaluation.shortcuts.records import SUSPECTED, TOO_FEW, ShortcutAudit
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.evaluation.verdict import THUMBNAIL, Background
from cxreader.models.artifact import Artifact
from cxreader.models.population import PHANTOMS, Population, drawn

OTHERS = "this model is for other patients"
SOME = 0.05
"""Share of judged images whose age is far from the training ages (`Population.is_outside`) beyond which it is said; more than
half forbid a verdict."""
TRAINED_ON = "trained on"
"""Where an evaluation's provenance names the artifact's population in words."""
NOT_AUDITED = "not audited for shortcuts"
ON_PHANTOMS = "it was judged on phantoms, drawn by a program, and no result on them is clinical"
UNKNOWN_PATIENTS = (
    "whether one of these patients set the model cannot be known: it was trained without knowing patients"
)
TOO_FEW_PATIENTS = "too few patients to say whether there is a shortcut"


def background_of(artifact: Artifact, cohort: EvaluationCohort, shortcuts: ShortcutAudit | None) -> Background:
    """Phantoms and patients who set the model forbid a verdict; the audit's suspicion and thumbnail go into it."""
    obstacles: list[str] = []
    cautions: list[str] = []
    if cohort.index.name.startswith(PHANTOMS):
        obstacles.append(ON_PHANTOMS)
    elif drawn(artifact.provenance):
        obstacles.append("it was trained on phantoms, drawn by a program, and never met a patient")
    if cohort.split is not None and cohort.split.kind == "image-random":
        obstacles.append(split_by_image(cohort.split, cohort.index))
    foreign = _of_other_ages(artifact, cohort)
    (obstacles if foreign.startswith(OTHERS) else cautions).extend([foreign] if foreign else [])
    if not artifact.patients.known:
        cautions.append(UNKNOWN_PATIENTS)
    if shortcuts is None:
        cautions.append(NOT_AUDITED)
    elif shortcuts.verdict == TOO_FEW:
        cautions.append(TOO_FEW_PATIENTS)
    return Background(tuple(obstacles), suspicion(shortcuts), _thumbnail(shortcuts), tuple(cautions))


def split_by_image(split: Split, index: Index) -> str:
    """That an honest judging is not possible, and how large the leak is."""
    return f"it was split at random by image, so that patients of its training may be among those judged: {leak(split, index)}"


def trained_on(artifact: Artifact) -> str:
    """The population of an artifact in words, or that it does not state it."""
    population = Population.read(artifact.provenance)
    return "not stated by the artifact, which is of an earlier version" if population is None else str(population)


def _of_other_ages(artifact: Artifact, cohort: EvaluationCohort) -> str:
    """How many of the judged images are of an age that few training patients had; empty for few, or where it is not known."""
    population = Population.read(artifact.provenance)
    ages = [r.age for r in cohort.records if r.age is not None and r.age_plausible]
    outside = 0 if population is None else sum(map(population.is_outside, ages))
    if population is None or outside <= SOME * len(ages):
        return ""
    words = f"{outside:,} of {len(ages):,} judged images whose age is known are far from the training ages"
    words += f" ({population.ages})"
    return f"{OTHERS}: {words}" if outside > len(ages) / 2 else words


def suspicion(shortcuts: ShortcutAudit | None) -> str | None:
    """Why the audit suspects a shortcut: its first reason, and how many more there are; None where it does not."""
    if shortcuts is None or shortcuts.verdict != SUSPECTED:
        return None
    first, *more = shortcuts.reasons
    return first + (f"; {format_count(len(more), 'more [reason|reasons]')} under its heading" if more else "")


def _thumbnail(shortcuts: ShortcutAudit | None) -> Estimate | None:
    found = () if shortcuts is None else shortcuts.baselines
    return next((baseline.gain for baseline in found if baseline.name == THUMBNAIL), None)
