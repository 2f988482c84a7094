"""Pages for people: one self-contained file each, that loads nothing and prints on A4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.evaluation.statistics.metrics import METRIC_TITLES
from cxreader.records import Decision, Label
from cxreader.reporting.evaluation.figures import Picture, evaluation_figures, to_data_uri
from cxreader.reporting.evaluation.image_evidence import NO_IMAGE_EVIDENCE, ImageEvidence
from cxreader.reporting.evaluation.sections import sections
from cxreader.reporting.evaluation.tables import MEANINGS, rests_on

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure

_FIGURE_TITLES = {
    "roc": "ROC curve",
    "precision_recall": "Precision-recall curve",
    "confusion": "Decisions at the operating point",
    "probabilities": "Where the probabilities lie",
}


@dataclass(frozen=True, eq=False)
class ReadingPanel:
    """One reading for the demonstration page.

    `image` and `overlay` (heat map and true boxes on the image): PNG bytes, or pixels uint8 (H, W) or (H, W, 3).
    `probability` of abnormal in [0, 1], calibrated. `findings` names what is truly there; `note` is one line below.
    """

    title: str
    truth: Label
    decision: Decision
    probability: float
    image: Picture
    overlay: Picture
    findings: str = ""
    note: str = ""

    @property
    def outcome(self) -> str:
        """Found, Left alone, Missed or False alarm."""
        if self.truth == self.decision:
            return "Found" if self.truth == "abnormal" else "Left alone"
        return "Missed" if self.truth == "abnormal" else "False alarm"


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do next, in words, and the command that does it."""

    text: str
    command: str


def verdict(evaluation: Evaluation, patient: str = "patient") -> str:
    """One line, such as `AUC 0.93 (0.90-0.95) on 203 patients: 120 abnormal, 133 normal images`.

    `patient` is what to call one of them.
    """
    auc, counts = evaluation.metrics["auc"], evaluation.counts
    who = f"images of unknown {patient}s" if counts.patients is None else _count(counts.patients, patient)
    return f"AUC {_two(auc)} on {who}: {counts.abnormal:,} abnormal, {counts.normal:,} normal images"


def decision_line(evaluation: Evaluation) -> str:
    """One line: what happens at the operating point."""
    point, found, alone = (evaluation.operating_point, evaluation.metrics["recall"], evaluation.metrics["specificity"])
    return (
        f"Called abnormal from a probability of {point.threshold:.2f} on, it finds {_share(found)} of the abnormal "
        f"images and leaves {_share(alone)} of the normal ones alone."
    )


def render_evaluation(
    evaluation: Evaluation,
    *,
    title: str = "Evaluation",
    figures: Mapping[str, Figure] | None = None,
    image_evidence: ImageEvidence = NO_IMAGE_EVIDENCE,
) -> str:
    """The report of an evaluation as one HTML file: the verdict, what each question's answer is, and a section for each.

    `image_evidence`: what other commands found of the same model from images. `figures` by the names of `evaluation_figures`,
    which draws them when left out.
    """
    drawn = evaluation_figures(evaluation, image_evidence) if figures is None else figures
    page = _environment().get_template("evaluation.html.jinja")
    return page.render(
        title=title,
        evaluation=evaluation,
        provenance=evaluation.provenance,
        verdict=verdict(evaluation),
        decision_line=decision_line(evaluation),
        pictures={name: to_data_uri(figure) for name, figure in drawn.items()},
        alternatives=_alternatives(evaluation),
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
    title: str = "cxreader demonstration",
) -> str:
    """The demonstration on phantoms as one HTML file: the verdict, readings with heat maps, numbers, how to go on.

    `summary` tells in words what was trained (network, images, epochs); `timings` gives seconds by step.
    """
    page = _environment().get_template("demo.html.jinja")
    cards = [
        {"panel": p, "image": to_data_uri(p.image), "overlay": to_data_uri(p.overlay), "right": p.truth == p.decision}
        for p in readings
    ]
    steps = {name: _duration(seconds) for name, seconds in timings.items()}
    return page.render(
        title=title,
        cards=cards,
        summary=summary,
        timings=steps,
        total=_duration(sum(timings.values())),
        next_steps=next_steps,
        **_evidence(evaluation, figures, "phantom patient"),
    )


def _environment() -> Environment:
    """Templates come with the package; everything put into them is escaped, and a forgotten name is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("cxreader.reporting", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _evidence(evaluation: Evaluation, figures: Mapping[str, Figure] | None, patient: str = "patient") -> dict[str, Any]:
    """What the demonstration shows of an evaluation, in words and pictures."""
    drawn = evaluation_figures(evaluation) if figures is None else figures
    alternatives = _alternatives(evaluation)
    methods = dict.fromkeys(e.method for e in evaluation.metrics.values())
    return {
        "evaluation": evaluation,
        "provenance": evaluation.provenance,
        "verdict": verdict(evaluation, patient),
        "decision_line": decision_line(evaluation),
        "tiles": [_tile(evaluation.metrics[k], name) for k, name in _TILES.items()],
        "rows": [
            _row(METRIC_TITLES[k], MEANINGS[k], e, rests_on(k, evaluation)) for k, e in evaluation.metrics.items()
        ],
        "comparisons": _comparison_rows(evaluation),
        "methods": "; or ".join(methods),
        "figures": [
            {"title": _FIGURE_TITLES[name], "uri": to_data_uri(f), "alt": alternatives.get(name, name)}
            for name, f in drawn.items()
            if name in _FIGURE_TITLES
        ],
    }


_TILES = {"auc": "AUC", "recall": "Sensitivity", "specificity": "Specificity"}


def _tile(estimate: Estimate, name: str) -> dict[str, str]:
    value = "undefined" if np.isnan(estimate.value) else f"{estimate.value:.2f}"
    words = _interval_words(estimate, digits=2)
    return {"name": name, "value": value, "interval": words if np.isnan(estimate.low) else f"95 % interval {words}"}


def _row(name: str, meaning: str, estimate: Estimate, rests_on: str) -> dict[str, str]:
    value = "undefined" if np.isnan(estimate.value) else f"{estimate.value:.3f}"
    interval = _interval_words(estimate, digits=3)
    return {"name": name, "meaning": meaning, "value": value, "interval": interval, "rests_on": rests_on}


def _comparison_rows(evaluation: Evaluation) -> list[dict[str, str]]:
    """Each baseline's AUC, and what the model gains over it."""
    both = f"{evaluation.counts.abnormal:,} abnormal, {evaluation.counts.normal:,} normal"
    rows = [_row(name, "AUC of this baseline on the same images", e, both) for name, e in evaluation.baselines.items()]
    gain = "paired difference on the same patients; above 0 the model is better"
    return rows + [_row(name.replace("auc", "AUC", 1), gain, e, both) for name, e in evaluation.comparisons.items()]


def _alternatives(evaluation: Evaluation) -> dict[str, str]:
    """What each figure says, for those who cannot see it."""
    c, m = evaluation.confusion, evaluation.metrics
    return {
        "roc": f"ROC curve with its 95 % band. AUC {m['auc']}.",
        "precision_recall": f"Precision-recall curve with its 95 % band. Average precision {m['average_precision']}.",
        "confusion": f"{c['tp']} abnormal images found, {c['fn']} missed; "
        f"{c['fp']} false alarms, {c['tn']} normal images left alone.",
        "probabilities": "Histogram of calibrated probabilities, abnormal and normal images apart, and the "
        f"threshold {evaluation.operating_point.threshold:.3f}.",
    }


def _interval_words(estimate: Estimate, digits: int) -> str:
    if np.isnan(estimate.value) or np.isnan(estimate.low):
        return estimate.reason or ""
    joint = "-" if estimate.low >= 0 else " to "
    return f"{estimate.low:.{digits}f}{joint}{estimate.high:.{digits}f}"


def _two(estimate: Estimate) -> str:
    if np.isnan(estimate.value):
        return f"undefined ({estimate.reason})"
    words = "no interval" if np.isnan(estimate.low) else _interval_words(estimate, digits=2)
    return f"{estimate.value:.2f} ({words})"


def _share(estimate: Estimate) -> str:
    return "an undefined share" if np.isnan(estimate.value) else f"{100 * estimate.value:.0f}\u00a0%"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s" if seconds < 10 else f"{rest} s"
