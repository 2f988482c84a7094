"""Several networks judged side by side on the same images, each trained several times.

A network's number is the mean over its trainings, its interval comes from resampling patients with those trainings held
fixed, and the spread over trainings is told beside it. All numbers share their resamples, so that a difference of two
networks is paired. With many pairs some interval excludes 0 by luck: only the intervals adjusted for all pairs at once
(C. E. Bonferroni's inequality; O. J. Dunn, Journal of the American Statistical Association 56, 1961, 52-64) may carry the
claim that one network is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import TableError
from cxreader.evaluation.comparison.records import (
    COMPARED,
    ComparedMetric,
    Comparison,
    Difference,
    MeanCurve,
    PairAgreement,
    RowResult,
)
from cxreader.evaluation.statistics.agreement import agreements
from cxreader.evaluation.statistics.curves import GRID, band, curve_draws
from cxreader.evaluation.statistics.intervals import (
    LEVEL,
    N_RESAMPLES,
    Estimate,
    Sample,
    Statistic,
    Weights,
    estimates,
    resample,
)
from cxreader.evaluation.statistics.metrics import METRIC_NAMES, all_metrics, confusion, undefined_reasons
from cxreader.evaluation.statistics.prevalence import PREVALENCE_METRICS, at_prevalence

Floats = NDArray[np.float64]
_CURVES = ("roc", "precision_recall")


@dataclass(frozen=True, eq=False)
class NetworkRuns:
    """One network, trained k times: `probability` (k, n) float64, calibrated, of abnormal, in [0, 1]; `seeds` (k,).

    Raises TableError for another shape, for no training, and for a value outside 0 to 1.
    """

    name: str
    seeds: tuple[int, ...]
    probability: Floats

    def __post_init__(self) -> None:
        p = self.probability
        if p.ndim != 2 or len(p) != len(self.seeds) or len(p) == 0:
            what = f"{self.name!r} has probabilities {p.shape} for {len(self.seeds)} seeds"
            raise TableError(what, mend="give one row of probabilities a training, and at least one")
        if not ((p >= 0) & (p <= 1)).all():
            raise TableError(f"{self.name!r} has a probability outside 0 to 1", mend="give calibrated probabilities")


def compare(
    sample: Sample,
    networks: Sequence[NetworkRuns],
    *,
    threshold: float = 0.5,
    prevalence: float = 0.2,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> Comparison:
    """Judge all contenders on the images of `sample`, in its order.

    An image is called abnormal from `threshold` on; 0.5 decides as the larger of two logits does. `prevalence` is the
    share of abnormal images to reweight to. What is undefined (a test part of one class) is NaN with its reason.
    Raises TableError for no contender, a name given twice, another number of images than the sample's, and a
    prevalence that does not lie between 0 and 1.
    """
    _check(sample, networks)
    statistic = _everything(sample, networks, threshold, prevalence)
    points = statistic(np.ones((1, len(sample.label))))
    draws = resample(statistic, sample.groups, n_resamples=n_resamples, seed=seed)
    found = estimates(points, draws, sample, reasons=_reasons(sample, networks, threshold))
    pairs = list(combinations(networks, 2))
    level = 1 - (1 - LEVEL) / max(1, len(pairs))
    rows = tuple(_row(c, sample, threshold, points, draws, found) for c in networks)
    return Comparison(
        rows=rows,
        differences=tuple(
            _difference(metric, one, other, found, draws, level, len(pairs))
            for metric in COMPARED
            for one, other in combinations(rows, 2)
        ),
        agreements=tuple(_agreement(a, b, found) for a, b in pairs),
        all_agree=replace(found["all_agree"], method=f"{found['all_agree'].method}; first training of each network"),
        threshold=threshold,
        prevalence=prevalence,
        adjusted_level=level,
        n_resamples=n_resamples,
        seed=seed,
    )


def _check(sample: Sample, networks: Sequence[NetworkRuns]) -> None:
    if not networks:
        raise TableError("no network to compare", mend="give at least one contender")
    names = [c.name for c in networks]
    if len(set(names)) < len(names):
        raise TableError(f"a name is given twice: {', '.join(names)}", mend="give every contender its own name")
    for c in networks:
        if c.probability.shape[1] != len(sample.label):
            what = f"{c.name!r} has {c.probability.shape[1]} probabilities a training for {len(sample.label)} images"
            raise TableError(what, mend="give one an image, in the sample's order")


def _everything(sample: Sample, networks: Sequence[NetworkRuns], threshold: float, prevalence: float) -> Statistic:
    """All that is estimated as one statistic, so that everything shares its resamples."""
    rows = {c.name: _mean_over_seeds(sample.label, c.probability, threshold, prevalence) for c in networks}
    alike = agreements({c.name: c.probability >= threshold for c in networks})

    def statistic(weight: Weights) -> dict[str, Floats]:
        values = alike(weight)
        for name, row in rows.items():
            values |= {f"{what} of {name}": value for what, value in row(weight).items()}
        for a, b in combinations(rows, 2):
            for metric in COMPARED:
                values[f"{metric} {a} minus {b}"] = values[f"{metric} of {a}"] - values[f"{metric} of {b}"]
        return values

    return statistic


def _mean_over_seeds(label: NDArray[np.integer], probability: Floats, threshold: float, prevalence: float) -> Statistic:
    """Metrics, curves and what they become at a prevalence, averaged over trainings (k, n); undefined if one is."""
    trainings = [(all_metrics(label, p, threshold), curve_draws(label, p)) for p in probability]

    def statistic(weight: Weights) -> dict[str, Floats]:
        total: dict[str, Floats] = {}
        for metrics, curves in trainings:
            values = metrics(weight)
            shifted = at_prevalence(values["recall"], values["specificity"], prevalence)
            values |= {f"{name} at prevalence": value for name, value in shifted.items()}
            for name, value in (values | curves(weight)).items():
                total[name] = total[name] + value if name in total else value
        return {name: value / len(trainings) for name, value in total.items()}

    return statistic


def _reasons(sample: Sample, networks: Sequence[NetworkRuns], threshold: float) -> dict[str, str]:
    """Why a number is undefined on the whole sample, by the statistic's names."""
    reasons = undefined_reasons(sample.label)
    told: dict[str, str] = {"all_agree": "no image"}
    two_classes = len(np.unique(sample.label)) == 2
    for c in networks:
        silent = int(np.count_nonzero(~(c.probability >= threshold).any(axis=1)))
        own = dict(reasons)
        if len(sample.label):
            own["precision"] = f"no image was called abnormal in {silent} of {len(c.seeds)} trainings"
        told |= {f"{metric} of {c.name}": reason for metric, reason in own.items()}
        for name in PREVALENCE_METRICS:
            told[f"{name} at prevalence of {c.name}"] = own["precision"] if two_classes else reasons["auc"]
    for a, b in combinations(networks, 2):
        told |= {f"{metric} {a.name} minus {b.name}": reasons.get(metric, "no image") for metric in COMPARED}
        told[f"kappa {a.name} and {b.name}"] = "both call every image the same"
    return told


def _row(
    network: NetworkRuns,
    sample: Sample,
    threshold: float,
    points: Mapping[str, Floats],
    draws: Mapping[str, Floats],
    found: Mapping[str, Estimate],
) -> RowResult:
    name, label = network.name, sample.label
    alone = [all_metrics(label, p, threshold)(np.ones((1, len(label)))) for p in network.probability]
    outcomes = [confusion(label, p >= threshold) for p in network.probability]
    curves = {what: _curve(f"{what} of {name}", points, draws) for what in _CURVES}
    mean = f"mean of {len(network.seeds)} training{'s' * (len(network.seeds) > 1)}"
    return RowResult(
        name=name,
        seeds=network.seeds,
        metrics={m: _told(found[f"{m} of {name}"], mean) for m in METRIC_NAMES},
        by_seed={m: tuple(float(values[m][0]) for values in alone) for m in METRIC_NAMES},
        confusion=tuple({outcome: int(count[0]) for outcome, count in vars(c).items()} for c in outcomes),
        at_prevalence={m: _told(found[f"{m} at prevalence of {name}"], mean) for m in PREVALENCE_METRICS},
        **curves,
    )


def _told(estimate: Estimate, more: str) -> Estimate:
    return replace(estimate, method=f"{estimate.method}; {more}")


def _curve(name: str, points: Mapping[str, Floats], draws: Mapping[str, Floats]) -> MeanCurve:
    low, high = band(draws[name]) if name in draws else np.full((2, len(GRID)), np.nan)
    return MeanCurve(GRID, points[name][0], low, high)


def _difference(
    metric: ComparedMetric,
    one: RowResult,
    other: RowResult,
    found: Mapping[str, Estimate],
    draws: Mapping[str, Floats],
    level: float,
    n_pairs: int,
) -> Difference:
    name = f"{metric} {one.name} minus {other.name}"
    estimate = found[name]
    adjusted = _adjusted(estimate, draws.get(name, np.empty(0)), level, n_pairs)
    paired = zip(one.by_seed[metric], other.by_seed[metric], strict=False)  # as many as the one with fewer has
    return Difference(metric, one.name, other.name, estimate, adjusted, tuple(a - b for a, b in paired))


def _adjusted(estimate: Estimate, draws: Floats, level: float, n_pairs: int) -> Estimate:
    """The same difference with the interval for all pairs at once, never narrower than the pair's own.

    A percentile so far out would rest on two or three of 2,000 resamples; so the bootstrap's standard error is used with
    the normal distribution (Efron & Tibshirani 1993, chapter 13.3).
    """
    if np.isnan(estimate.low):
        return estimate
    half = NormalDist().inv_cdf((1 + level) / 2) * float(np.nanstd(draws, ddof=1))
    low, high = min(estimate.low, estimate.value - half), max(estimate.high, estimate.value + half)
    method = f"{estimate.method}; normal with the bootstrap's standard error, {100 * level:.2f} % for {n_pairs} pairs"
    return replace(estimate, low=low, high=high, method=method.replace(" percentile,", ""))


def _agreement(a: NetworkRuns, b: NetworkRuns, found: Mapping[str, Estimate]) -> PairAgreement:
    n_paired = min(len(a.seeds), len(b.seeds))
    told = f"mean of {n_paired} pair{'s' * (n_paired > 1)} of trainings"
    kappa, agreement = (_told(found[f"{what} {a.name} and {b.name}"], told) for what in ("kappa", "agreement"))
    return PairAgreement(a.name, b.name, kappa, agreement, n_paired)
