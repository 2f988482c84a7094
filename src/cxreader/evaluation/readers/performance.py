"""Each reader against the truth, the model on the same images, and the model moved to the reader's own point.

A reader who says normal or abnormal is one point below the model's ROC curve or above it. Two comparisons are fair: at the
reader's specificity, the model's sensitivity minus his, and at his sensitivity the specificities. The point at which the
model is asked is found anew in each resample, so that the interval holds the chance in it too. Between two thresholds
the curve is joined by a straight line, as for its area.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.evaluation.statistics.agreement import agreement_and_kappa
from cxreader.evaluation.statistics.curves import Steps
from cxreader.evaluation.statistics.exact import bounded_metrics
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Statistic, Weights, bootstrap
from cxreader.evaluation.statistics.metrics import ratio

Floats = NDArray[np.float64]
Votes = NDArray[np.int8]
RATES = ("sensitivity", "specificity")
_NONE = {"sensitivity": "no abnormal image", "specificity": "no normal image"}


@dataclass(frozen=True, eq=False)
class ModelAnswers:
    """What the model says of n images: `probability` (n,) and `called` (n,), True where it is abnormal at the fixed threshold."""

    probability: Floats
    called: NDArray[np.bool_]

    def part(self, images: NDArray[np.bool_]) -> ModelAnswers:
        """Some of the images, those where `images` (n,) is True."""
        return ModelAnswers(self.probability[images], self.called[images])


@dataclass(frozen=True, eq=False)
class ModelBeside(Plain):
    """The model on one reader's images, against his truth.

    By the names of RATES: `rates` of the model at its own threshold, `change` these minus the reader's, `matched` the model's
    minus the reader's where the model is moved to the reader's other rate (its sensitivity at his specificity, and the
    other way round). All paired.
    """

    rates: dict[str, Estimate]
    change: dict[str, Estimate]
    matched: dict[str, Estimate]


@dataclass(frozen=True, eq=False)
class ReaderResult(Plain):
    """One reader (or the model, or the table's label, as if it read): `rates` by the names of RATES, `kappa` with the truth.

    `in_panel`: he is judged by the other members. `left_out`: images that he read and that have no truth for him (ties).
    """

    reader: str
    in_panel: bool
    left_out: int
    rates: dict[str, Estimate]
    kappa: Estimate
    model: ModelBeside | None = field(default=None)


def rates_of(weight: Weights, truth: NDArray[np.integer], called: NDArray[np.generic]) -> dict[str, Floats]:
    """Sensitivity and specificity, each (b,), of `called` (n,), which may be shares; images whose truth is -1 do not count."""
    share = np.asarray(called, dtype=np.float64)
    positive, negative = (truth == 1).astype(np.float64), (truth == 0).astype(np.float64)
    found, spared = weight @ (positive * share), weight @ (negative * (1 - share))
    return {"sensitivity": ratio(found, weight @ positive), "specificity": ratio(spared, weight @ negative)}


def judge_reader(
    name: str,
    votes: Votes,
    truth: Votes,
    sample: Sample,
    model: ModelAnswers | None = None,
    *,
    in_panel: bool = False,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> ReaderResult:
    """A reader's votes (n,) against his truth (n,), both -1 where there is none, on the patients of `sample`.

    Images without vote or truth are left out. Every interval comes from the same resamples of patients.
    """
    judged = (votes >= 0) & (truth >= 0)
    own = Sample(truth[judged].astype(np.int64), sample.groups[judged], sample.patients_known)
    called = votes[judged] == 1
    answers = None if model is None else model.part(judged)
    statistic = _reader_statistic(own.label, called, answers)
    reasons = {f"{prefix}{rate}": why for prefix in ("", "model ", "change ") for rate, why in _NONE.items()}
    missing = next(
        (why for value, why in ((1, _NONE["sensitivity"]), (0, _NONE["specificity"])) if value not in own.label), ""
    )
    reasons |= {f"matched {rate}": missing or "undefined here" for rate in RATES}
    reasons["kappa"] = "both call every image the same" if judged.any() else "no image"
    found = bootstrap(statistic, own, n_resamples=n_resamples, seed=seed, reasons=reasons)
    return ReaderResult(
        reader=name,
        in_panel=in_panel,
        left_out=int(np.count_nonzero((votes >= 0) & (truth < 0))),
        rates=bounded_metrics({rate: found[rate] for rate in RATES}, own, called),
        kappa=found["kappa"],
        model=None if answers is None else _beside(found, own, answers),
    )


def _beside(found: Mapping[str, Estimate], own: Sample, answers: ModelAnswers) -> ModelBeside:
    return ModelBeside(
        rates=bounded_metrics({rate: found[f"model {rate}"] for rate in RATES}, own, answers.called),
        change={rate: found[f"change {rate}"] for rate in RATES},
        matched={rate: found[f"matched {rate}"] for rate in RATES},
    )


def _reader_statistic(label: NDArray[np.integer], called: NDArray[np.bool_], model: ModelAnswers | None) -> Statistic:
    kappas = agreement_and_kappa(called, label == 1)
    steps = None if model is None else Steps.of(label, model.probability)
    columns = np.stack([(label == 1) & called, (label == 0) & called], axis=1).astype(np.float64)

    def statistic(weight: Weights) -> dict[str, Floats]:
        own = rates_of(weight, label, called)
        values = {**own, "kappa": kappas(weight)[1][:, 0]}
        if model is None or steps is None:
            return values
        fixed = rates_of(weight, label, model.called)
        values |= {f"model {rate}": fixed[rate] for rate in RATES}
        values |= {f"change {rate}": fixed[rate] - own[rate] for rate in RATES}
        moved = _moved(steps, weight, weight @ columns)
        return values | {f"matched {rate}": moved[rate] - own[rate] for rate in RATES}

    return statistic


def _moved(steps: Steps, weight: Weights, called: Floats) -> dict[str, Floats]:
    """The model's sensitivity where it has as many false positives as the reader, and its specificity at his sensitivity.

    `called` (b, 2): the true and the false positives of the reader. Counts are compared, not rates, so that points that are
    level are found level.
    """
    tp, fp = steps.counts(weight)
    sensitivity, specificity = np.full((2, len(weight)), np.nan)
    for b, (found, false) in enumerate(zip(tp, fp, strict=True)):
        if found[-1] > 0 and false[-1] > 0:
            sensitivity[b] = np.interp(called[b, 1], false, found) / found[-1]
            # From the end, so that of several points of one sensitivity the most specific is taken.
            specificity[b] = 1 - np.interp(-called[b, 0], -found[::-1], false[::-1]) / false[-1]
    return {"sensitivity": sensitivity, "specificity": specificity}
