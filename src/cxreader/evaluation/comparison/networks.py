"""Several networks judged side by side on the same images, each trained several times.

A network's number is the mean over its trainings, with one interval for other trainings and other patients together
(`trainings`), and each training's own value stands beside it. Differences of two networks are paired on the same resamples
of patients, with the trainings held fixed. With many pairs some interval excludes 0 by luck: only the intervals adjusted for
all pairs at once (C. E. Bonferroni's inequality; O. J. Dunn, Journal of the American Statistical Association 56, 1961, 52-64)
may carry the claim that one network is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from cxreader.counting import format_count
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
from cxreader.evaluation.comparison.trainings import over_trainings
from cxreader.evaluation.statistics.agreement import agreements
from cxreader.evaluation.statistics.curves import GRID, band, curve_draws
from cxreader.evaluation.statistics.exact import bounded_metrics
from cxreader.evaluation.statistics.intervals import (
    LEVEL,
    N_RESAMPLES,
    Estimate,
    Resampled,
    Sample,
    Statistic,
    Weights,
    estimates,
    resample,
)
from cxreader.evaluation.statistics.metrics import METRIC_NAMES, all_metrics, confusion, undefined_reasons
from cxreader.evaluation.statistics.prevalence import PREVALENCE_METRICS, at_prevalence
from cxreader.evaluation.statistics.side_by_side import mean_of, side_by_side, value_name

Floats = NDArray[np.float64]


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
    """Judge all networks on the images of `sample`, in its order.

    An image is called abnormal from `threshold` on; 0.5 decides as the larger of two logits does. `prevalence` is the
    share of abnormal images to reweight to. What is undefined (a test part of one class) is NaN with its reason.
    Raises TableError for no network, a name given twice, another number of images than the sample's, and a
    prevalence that does not lie between 0 and 1.
    """
    _check(sample, networks)
    statistic = _everything(sample, networks, threshold, prevalence)
    drawn = resample(statistic, sample, n_resamples=n_resamples, seed=seed)
    found = estimates(*drawn, sample, reasons=_reasons(sample, networks, threshold))
    pairs = list(combinations(range(len(networks)), 2))
    level = 1 - (1 - LEVEL) / max(1, len(pairs))
    rows = tuple(_row(k, network, sample, drawn, found, threshold, prevalence) for k, network in enumerate(networks))
    return Comparison(
        rows=rows,
        differences=tuple(
            _difference(metric, pair, rows, drawn, found, level) for metric in COMPARED for pair in pairs
        ),
        agreements=tuple(_agreement(pair, networks, found) for pair in pairs),
        all_agree=replace(found["all_agree"], method=f"{found['all_agree'].method}; first training of each network"),
        threshold=threshold,
        prevalence=prevalence,
        adjusted_level=level,
        n_resamples=n_resamples,
        seed=seed,
    )


def _check(sample: Sample, networks: Sequence[NetworkRuns]) -> None:
    if not networks:
        raise TableError("no network to compare", mend="give at least one network")
    names = [c.name for c in networks]
    if len(set(names)) < len(names):
        raise TableError(f"a name is given twice: {', '.join(names)}", mend="give every network its own name")
    for c in networks:
        if c.probability.shape[1] != len(sample.label):
            what = f"{c.name!r} has {c.probability.shape[1]} probabilities a training for {len(sample.label)} images"
            raise TableError(what, mend="give one an image, in the sample's order")


def _everything(sample: Sample, networks: Sequence[NetworkRuns], threshold: float, prevalence: float) -> Statistic:
    """All that is estimated as one statistic, so that everything shares its resamples."""
    rows = [mean_of([_training(sample.label, p, threshold, prevalence) for p in c.probability]) for c in networks]
    alone = side_by_side(rows, list(combinations(range(len(rows)), 2)), COMPARED)
    alike = agreements([c.probability >= threshold for c in networks])
    return lambda weight: alone(weight) | alike(weight)


def _figures(label: NDArray[np.integer], probability: Floats, threshold: float, prevalence: float) -> Statistic:
    """Metrics and what they become at a prevalence, of one training (n,)."""
    metrics = all_metrics(label, probability, threshold)

    def statistic(weight: Weights) -> dict[str, Floats]:
        values = metrics(weight)
        shifted = at_prevalence(values["recall"], values["specificity"], prevalence)
        return values | {_at(name): value for name, value in shifted.items()}

    return statistic


def _training(label: NDArray[np.integer], probability: Floats, threshold: float, prevalence: float) -> Statistic:
    """Figures and curves of one training (n,)."""
    figures, curves = _figures(label, probability, threshold, prevalence), curve_draws(label, probability)
    return lambda weight: figures(weight) | curves(weight)


def _at(name: str) -> str:
    return f"{name} at prevalence"


def _reasons(sample: Sample, networks: Sequence[NetworkRuns], threshold: float) -> dict[str, str]:
    """Why a number is undefined on the whole sample, by the statistic's names."""
    of_label = undefined_reasons(sample.label)
    reasons: dict[str, str] = {"all_agree": "no image"}
    two_classes = len(np.unique(sample.label)) == 2
    for k, c in enumerate(networks):
        silent = int(np.count_nonzero(~(c.probability >= threshold).any(axis=1)))
        own = dict(of_label)
        if len(sample.label):
            own["precision"] = f"no image was called abnormal in {silent} of {len(c.seeds)} trainings"
        reasons |= {value_name(metric, k): reason for metric, reason in own.items()}
        for name in PREVALENCE_METRICS:
            reasons[value_name(_at(name), k)] = own["precision"] if two_classes else of_label["auc"]
    for pair in combinations(range(len(networks)), 2):
        reasons |= {value_name(metric, *pair): of_label.get(metric, "no image") for metric in COMPARED}
        reasons[value_name("kappa", *pair)] = "both call every image the same"
    return reasons


def _row(
    k: int,
    network: NetworkRuns,
    sample: Sample,
    drawn: Resampled,
    found: Mapping[str, Estimate],
    threshold: float,
    prevalence: float,
) -> RowResult:
    label = sample.label
    each = [_figures(label, p, threshold, prevalence) for p in network.probability]
    alone = [figures(np.ones((1, len(label)))) for figures in each]
    always = np.all(network.probability >= threshold, axis=0)
    bounded = bounded_metrics({m: found[value_name(m, k)] for m in METRIC_NAMES}, sample, always)
    shifted = {_at(m): found[value_name(_at(m), k)] for m in PREVALENCE_METRICS}
    joint = over_trainings(bounded | shifted, each, sample)
    return RowResult(
        name=network.name,
        seeds=network.seeds,
        metrics={m: joint[m] for m in METRIC_NAMES},
        by_seed={m: tuple(float(values[m][0]) for values in alone) for m in METRIC_NAMES},
        confusion=tuple(confusion(label, p >= threshold) for p in network.probability),
        roc=_curve(value_name("roc", k), drawn),
        precision_recall=_curve(value_name("precision_recall", k), drawn),
        at_prevalence={m: joint[_at(m)] for m in PREVALENCE_METRICS},
    )


def _with_method(estimate: Estimate, more: str) -> Estimate:
    return replace(estimate, method=f"{estimate.method}; {more}")


def _curve(name: str, drawn: Resampled) -> MeanCurve:
    low, high = band(drawn.draws[name]) if name in drawn.draws else np.full((2, len(GRID)), np.nan)
    return MeanCurve(GRID, drawn.points[name][0], low, high)


def _difference(
    metric: ComparedMetric,
    pair: tuple[int, int],
    rows: Sequence[RowResult],
    drawn: Resampled,
    found: Mapping[str, Estimate],
    level: float,
) -> Difference:
    name, (one, other) = value_name(metric, *pair), (rows[k] for k in pair)
    n_pairs = len(rows) * (len(rows) - 1) // 2
    adjusted = _adjusted(found[name], drawn.draws.get(name, np.empty(0)), level, n_pairs)
    paired = zip(one.by_seed[metric], other.by_seed[metric], strict=False)  # as many as the one with fewer has
    return Difference(metric, one.name, other.name, found[name], adjusted, tuple(a - b for a, b in paired))


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


def _agreement(pair: tuple[int, int], networks: Sequence[NetworkRuns], found: Mapping[str, Estimate]) -> PairAgreement:
    one, other = (networks[k] for k in pair)
    n_paired = min(len(one.seeds), len(other.seeds))
    mean = f"mean of {format_count(n_paired, '[pair|pairs] of trainings')}"
    kappa, agreement = (_with_method(found[value_name(what, *pair)], mean) for what in ("kappa", "agreement"))
    return PairAgreement(one.name, other.name, kappa, agreement, n_paired)
