"""What an operating point does on test: rates, predictive values, likelihood ratios and the share flagged, by patient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.errors import TableError
from cxreader.evaluation.statistics.exact import bounded_metrics
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Statistic, Weights, bootstrap
from cxreader.evaluation.statistics.metrics import Confusion, confusion, precision, ratio, recall, specificity
from cxreader.evaluation.statistics.prevalence import at_prevalence
from cxreader.records import OperatingPoint, PredictionTable

Floats = NDArray[np.float64]
RATES = ("sensitivity", "specificity", "ppv", "npv", "lr_positive", "lr_negative", "flagged")
DEPLOYED = ("ppv", "npv", "flagged")


@dataclass(frozen=True, eq=False)
class AtThreshold(Plain):
    """One operating point on test.

    `confusion` counts tp, fp, tn, fn. `rates` by the names of RATES at the sample's own prevalence; `deployed` by those
    of DEPLOYED at `prevalence`, the share of abnormal images that the user states (None: none stated, empty).
    """

    point: OperatingPoint
    confusion: dict[str, int]
    rates: dict[str, Estimate]
    prevalence: float | None = None
    deployed: dict[str, Estimate] = field(default_factory=dict)

    def of_thousand(self, prevalence: float) -> dict[str, Estimate]:
        """Of 1,000 patients with an image each, a share `prevalence` in [0, 1] abnormal: `found`, `missed`, `false_alarms`.

        The prevalence is held fixed, so that the intervals are those of sensitivity and specificity.
        """
        abnormal, normal = 1000 * prevalence, 1000 * (1 - prevalence)
        return {
            "found": _times(self.rates["sensitivity"], abnormal),
            "missed": _times(_rest(self.rates["sensitivity"]), abnormal),
            "false_alarms": _times(_rest(self.rates["specificity"]), normal),
        }


def at_thresholds(
    table: PredictionTable,
    points: Sequence[OperatingPoint],
    *,
    prevalence: float | None = None,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> tuple[AtThreshold, ...]:
    """Judge each operating point on the table; all intervals come from the same resamples of patients.

    At `prevalence` in (0, 1) the rates of the two classes are kept and the classes are reweighted (Bayes), which holds
    if the abnormal images there are abnormal in the same ways. Likelihood ratios: how many times as often a flag (LR+),
    or its absence (LR-), is met in the abnormal as in the normal (Altman & Bland, BMJ 309, 1994, 102, and 329, 2004,
    168-169). Raises TableError for two points of one name and for a prevalence that does not lie between 0 and 1.
    """
    names = [point.name for point in points]
    if len(set(names)) < len(names):
        raise TableError(f"two operating points share a name: {', '.join(names)}", mend="give every point its own name")
    sample = Sample.of(table)
    flags = [table.probability >= point.threshold for point in points]
    statistic = _all_points(sample.label, flags, prevalence)
    reasons = {f"{k} {name}": why for k in range(len(points)) for name, why in _reasons(sample.label).items()}
    found = bootstrap(statistic, sample, n_resamples=n_resamples, seed=seed, reasons=reasons)
    return tuple(
        AtThreshold(
            point=point,
            confusion=confusion(sample.label, flags[k]),
            rates=bounded_metrics({name: found[f"{k} {name}"] for name in RATES}, sample, flags[k]),
            prevalence=prevalence,
            deployed={} if prevalence is None else {name: found[f"{k} deployed {name}"] for name in DEPLOYED},
        )
        for k, point in enumerate(points)
    )


def _times(share: Estimate, whole: float) -> Estimate:
    return replace(share, value=share.value * whole, low=share.low * whole, high=share.high * whole)


def _rest(share: Estimate) -> Estimate:
    """1 less a share, its ends exchanged."""
    return replace(share, value=1 - share.value, low=1 - share.high, high=1 - share.low)


def _all_points(label: NDArray[np.integer], flags: Iterable[NDArray[np.bool_]], prevalence: float | None) -> Statistic:
    """Every rate of every point: `0 sensitivity`, `0 deployed ppv`, `1 sensitivity` and so on."""
    positive = np.asarray(label) == 1
    columns = [positive, ~positive, *(side & flag for flag in flags for side in (positive, ~positive))]
    indicators = np.stack(columns, axis=1).astype(np.float64)

    def statistic(weight: Weights) -> dict[str, Floats]:
        n_positive, n_negative, *flagged = (weight @ indicators).T
        values: dict[str, Floats] = {}
        for k, (tp, fp) in enumerate(zip(flagged[::2], flagged[1::2], strict=True)):
            rates = _rates(Confusion(tp, fp, n_negative - fp, n_positive - tp), prevalence)
            values |= {f"{k} {name}": value for name, value in rates.items()}
        return values

    return statistic


def _rates(c: Confusion, prevalence: float | None) -> dict[str, Floats]:
    found, spared = recall(c), specificity(c)
    values = {
        "sensitivity": found,
        "specificity": spared,
        "ppv": precision(c),
        "npv": ratio(c.tn, c.tn + c.fn),
        "lr_positive": _unbounded(found, 1 - spared),
        "lr_negative": _unbounded(1 - found, spared),
        "flagged": ratio(c.tp + c.fp, c.tp + c.fp + c.tn + c.fn),
    }
    if prevalence is None:
        return values
    # An NPV is the precision of calling an image normal: the two classes change places.
    ppv, npv = (
        at_prevalence(*each)["precision"] for each in ((found, spared, prevalence), (spared, found, 1 - prevalence))
    )
    flagged = prevalence * found + (1 - prevalence) * (1 - spared)
    return values | {"deployed ppv": ppv, "deployed npv": npv, "deployed flagged": flagged}


def _unbounded(part: Floats, whole: Floats) -> Floats:
    """`part` by `whole`, infinite where only `whole` is 0: such a resample must count, or the upper end is too low."""
    return np.where((whole == 0) & (part > 0), np.inf, ratio(part, whole))


def _reasons(label: NDArray[np.integer]) -> dict[str, str]:
    """Why each rate would be undefined on the whole sample."""
    if len(label) == 0:
        return dict.fromkeys((*RATES, *(f"deployed {name}" for name in DEPLOYED)), "no image")
    classes = ((1, "no abnormal image"), (0, "no normal image"))
    missing = next((why for value, why in classes if not np.any(label == value)), None)
    none_flagged, all_flagged = "no image was called abnormal", "no image was called normal"
    return {
        "sensitivity": "no abnormal image",
        "specificity": "no normal image",
        "ppv": none_flagged,
        "npv": all_flagged,
        "lr_positive": missing or "no normal image was called abnormal: the ratio has no bound",
        "lr_negative": missing or "no normal image was called normal: the ratio has no bound",
        "deployed ppv": missing or none_flagged,
        "deployed npv": missing or all_flagged,
        "deployed flagged": missing or "no image",
    }
