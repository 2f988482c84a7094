"""The page of an evaluation and that of the demonstration: one self-contained file each, that loads nothing and prints on A4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cxreader.counting import format_count
from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.records import Decision, Label
from cxreader.reporting.evaluation.figures.evaluation_figures import evaluation_figures
from cxreader.reporting.evaluation.image_evidence import NO_IMAGE_EVIDENCE, ImageEvidence
from cxreader.reporting.evaluation.readers import truths_apart
from cxreader.reporting.evaluation.sections import sections
from cxreader.reporting.pages import environment, format_duration
from cxreader.reporting.style import Picture, to_data_uri
from cxreader.reporting.tables import format_estimate, tile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cxreader.explanation.localisation_report import LocalisationReport

_FIGURE_TITLES = {
    "roc": "ROC curve",
    "precision_recall": "Precision-recall curve",
    "confusion": "Decisions at the operating point",
    "probabilities": "Where the probabilities lie",
}
_TILES = {"auc": "AUC", "recall": "Sensitivity", "specificity": "Specificity"}


@dataclass(frozen=True, eq=False)
class ReadingPanel:
    """One reading with its picture and its heat map.

    `image` and `overlay` (heat map and true boxes on the image): PNG or JPEG bytes, or pixels uint8 (H, W) or (H, W, 3).
    `probability` of abnormal in [0, 1]; without `calibrated` a score. `findings` names what is truly there; `note` is one
    line below.
    """

    title: str
    truth: Label
    decision: Decision
    probability: float
    image: Picture
    overlay: Picture
    findings: str = ""
    note: str = ""
    calibrated: bool = True

    @property
    def outcome(self) -> str:
        """Found, True negative, Missed, False alarm or Referred."""
        if self.decision == "refer":
            return "Referred"
        if self.truth == self.decision:
            return "Found" if self.truth == "abnormal" else "True negative"
        return "Missed" if self.truth == "abnormal" else "False alarm"


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do next, in words, and the command that does it."""

    text: str
    command: str


def verdict_line(evaluation: Evaluation, patient: str = "patient") -> str:
    """The verdict with its first reason; the figures where a file holds none, as before there were verdicts."""
    return figures_line(evaluation, patient) if evaluation.verdict is None else evaluation.verdict.line


def figures_line(evaluation: Evaluation, patient: str = "patient") -> str:
    """One line, such as `AUC 0.93 (0.90-0.95) on 203 patients: 120 abnormal, 133 normal images`.

    `patient` is what to call one of them.
    """
    auc, counts = evaluation.metrics["auc"], evaluation.counts
    who = (
        f"images of unknown {patient}s"
        if counts.patients is None
        else format_count(counts.patients, f"[{patient}|{patient}s]")
    )
    return (
        f"AUC {format_estimate(auc, why=False)} on {who}: {counts.abnormal:,} abnormal, {counts.normal:,} normal images"
    )


def decision_line(evaluation: Evaluation) -> str:
    """One line: what happens at the operating point."""
    point, metrics = evaluation.operating_point, evaluation.metrics
    return (
        f"Called abnormal from a probability of {point.threshold:.2f} on, it finds {_share(metrics['recall'])} of the "
        f"abnormal images and calls {_share(metrics['specificity'])} of the normal ones normal."
    )


def render_evaluation(
    evaluation: Evaluation,
    *,
    title: str = "Evaluation",
    figures: Mapping[str, Figure | Picture] | None = None,
    image_evidence: ImageEvidence = NO_IMAGE_EVIDENCE,
    examples: Sequence[ReadingPanel] = (),
) -> str:
    """The report of an evaluation as one HTML file: the verdict, what each question's answer is, and a section for each.

    `image_evidence`: what other commands found of the same model from images. `figures` by the names of `evaluation_figures`,
    which draws them when left out; where they are saved already, their files. `examples`: some of the judged images
    with their heat maps.
    """
    drawn: Mapping[str, Figure | Picture] = figures or evaluation_figures(evaluation, image_evidence)
    page = environment().get_template("evaluation.html.jinja")
    return page.render(
        title=title,
        evaluation=evaluation,
        provenance=evaluation.provenance,
        verdict=verdict_line(evaluation),
        figures_line=figures_line(evaluation),
        decision_line=decision_line(evaluation),
        truths_apart=truths_apart(evaluation),
        pictures={name: to_data_uri(figure) for name, figure in drawn.items()},
        alternatives=_alternatives(evaluation),
        examples=_cards(examples),
        **sections(evaluation, image_evidence),
    )


def render_demo(
    evaluation: Evaluation,
    readings: Sequence[ReadingPanel],
    *,
    summary: Mapping[str, str],
    timings: Mapping[str, float],
    next_steps: Sequence[NextStep],
    figures: Mapping[str, Figure] | None = None,
    localisation: LocalisationReport | None = None,
    title: str = "cxreader demonstration",
) -> str:
    """The demonstration on phantoms as one HTML file: the verdict, readings with heat maps, numbers, how to go on.

    `summary` tells in words what was trained (network, images, epochs); `timings` gives seconds by step. `localisation`: of the
    heat maps beside the boxes that were drawn.
    """
    image_evidence = ImageEvidence(localisation=localisation)
    page = environment().get_template("demo.html.jinja")
    cards = _cards(readings)
    drawn = evaluation_figures(evaluation) if figures is None else figures
    alternatives = _alternatives(evaluation)
    steps = {name: format_duration(seconds) for name, seconds in timings.items()}
    return page.render(
        title=title,
        cards=cards,
        summary=summary,
        timings=steps,
        total=format_duration(sum(timings.values())),
        next_steps=next_steps,
        evaluation=evaluation,
        provenance=evaluation.provenance,
        verdict=verdict_line(evaluation, "phantom patient"),
        figures_line=figures_line(evaluation, "phantom patient"),
        decision_line=decision_line(evaluation),
        tiles=[tile(name, evaluation.metrics[key], 2) for key, name in _TILES.items()],
        figures=[
            {"title": title, "uri": to_data_uri(drawn[name]), "alt": alternatives[name]}
            for name, title in _FIGURE_TITLES.items()
            if name in drawn
        ],
        **sections(evaluation, image_evidence),
    )


def _cards(readings: Sequence[ReadingPanel]) -> list[dict[str, Any]]:
    return [
        {"panel": p, "image": to_data_uri(p.image), "overlay": to_data_uri(p.overlay), "right": p.truth == p.decision}
        for p in readings
    ]


def _alternatives(evaluation: Evaluation) -> dict[str, str]:
    """What each figure says, for those who cannot see it."""
    c, m = evaluation.confusion, evaluation.metrics
    return {
        "roc": f"ROC curve with its 95 % band. AUC {m['auc']}.",
        "precision_recall": f"Precision-recall curve with its 95 % band. Average precision {m['average_precision']}.",
        "confusion": f"{c['tp']} abnormal images found, {c['fn']} missed; "
        f"{c['fp']} false alarms, {c['tn']} true negatives.",
        "probabilities": "Histogram of calibrated probabilities, abnormal and normal images apart, and the "
        f"threshold {evaluation.operating_point.threshold:.3f}.",
    }


def _share(estimate: Estimate) -> str:
    return "an undefined share" if np.isnan(estimate.value) else f"{100 * estimate.value:.0f}\u00a0%"
