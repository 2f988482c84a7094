"""The AUC in pairs of an abnormal and a normal image that are alike in age, sex and view: what those cannot explain.

Where the abnormal are older, a model that reads age from the lungs ranks them higher and has learnt no disease. Among pairs
of one sex, one view and nearly one age that is of no use (the covariate-adjusted AUC in its matched form: H. Janes and
M. S. Pepe, American Journal of Epidemiology 168, 2008, 89-97). Pairs are weighted equally, so that it speaks of patients of
whom there are both kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cxreader.codec import Plain
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Statistic, Weights, bootstrap
from cxreader.evaluation.statistics.metrics import Ranking, ratio, undefined_reasons

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
YEARS = 5.0
MATCHED_BY = ("age", "sex", "view")
MOST_PAIRS = 300_000
"""Of more pairs as many are drawn by seed, which adds a standard error below 0.001 to the AUC."""


@dataclass(frozen=True, eq=False)
class MatchedPairs(Plain):
    """`plain` AUC of all images, `matched` AUC of the pairs alike in `by` (age within `years`), and matched minus plain.

    `n_pairs`: pairs of an abnormal and a normal image; `n_drawn` of them were compared. `unknown` images lack one of `by`,
    `alone` ones have no partner. All three numbers come from the same resamples of patients.
    """

    by: tuple[str, ...]
    years: float
    n_pairs: int
    n_drawn: int
    unknown: int
    alone: int
    plain: Estimate
    matched: Estimate
    change: Estimate


def match_pairs(
    sample: Sample,
    probability: NDArray[np.floating],
    columns: Mapping[str, NDArray[np.generic]],
    *,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> MatchedPairs | None:
    """Match by those of age, sex and view that `columns` (n,) tell of both classes; None where they tell of none.

    `age` is float64 in years with NaN, `sex` and `view` are text, empty where unknown.
    """
    known = {name: _known(columns[name]) for name in MATCHED_BY if name in columns}
    by = tuple(n for n, there in known.items() if all(np.any(there & (sample.label == value)) for value in (0, 1)))
    if not by:
        return None
    told = np.all([known[name] for name in by], axis=0)
    kind = np.array(
        ["|".join(row) for row in zip(*(columns[n].astype(np.str_) for n in by if n != "age"), strict=True)]
        or [""] * len(told)
    )
    age = np.asarray(columns["age"], dtype=np.float64) if "age" in by else np.zeros(len(told))
    windows = _windows(sample.label, kind, age, told)
    first, second = _drawn(windows, seed)
    statistic, paired = _statistic(sample, np.asarray(probability, dtype=np.float64), first, second)
    why = undefined_reasons(sample.label)["auc"] if len(set(sample.label.tolist())) < 2 else "no pair is alike"
    reasons = dict.fromkeys(("plain", "matched", "change"), why)
    found = bootstrap(statistic, sample, n_resamples=n_resamples, seed=seed, reasons=reasons)
    return MatchedPairs(
        by=by,
        years=YEARS,
        n_pairs=int(windows.counts.sum()),
        n_drawn=len(first),
        unknown=int(np.count_nonzero(~told)),
        alone=int(np.count_nonzero(told & ~paired)),
        plain=found["plain"],
        matched=found["matched"],
        change=found["change"],
    )


@dataclass(frozen=True, eq=False)
class _Windows:
    """Each abnormal image's partners: `counts[k]` of `partners` from `starts[k]` on, which are sorted by kind and age."""

    abnormal: Places
    partners: Places
    starts: Places
    counts: Places


def _known(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    if values.dtype.kind == "f":
        return np.isfinite(values.astype(np.float64))
    return np.asarray(values.astype(np.str_) != "")


def _windows(label: NDArray[np.integer], kind: NDArray[np.str_], age: Floats, told: NDArray[np.bool_]) -> _Windows:
    abnormal, normal = (np.flatnonzero(told & (label == value)) for value in (1, 0))
    normal = normal[np.lexsort((age[normal], kind[normal]))]
    starts, counts = np.zeros((2, len(abnormal)), dtype=np.intp)
    for name in np.unique(kind[abnormal]).tolist():
        low, high = (int(np.searchsorted(kind[normal], name, side)) for side in ("left", "right"))
        ages, own = age[normal[low:high]], kind[abnormal] == name
        first = np.searchsorted(ages, age[abnormal[own]] - YEARS, "left")
        last = np.searchsorted(ages, age[abnormal[own]] + YEARS, "right")
        starts[own], counts[own] = low + first, last - first
    return _Windows(abnormal, normal, starts, counts)


def _drawn(windows: _Windows, seed: int) -> tuple[Places, Places]:
    """Every pair, or `MOST_PAIRS` of them, as places of its abnormal and its normal image."""
    ends = np.cumsum(windows.counts)
    total = int(ends[-1]) if len(ends) else 0
    if total > MOST_PAIRS:
        pair = np.sort(np.random.default_rng(seed).choice(total, MOST_PAIRS, replace=False))
    else:
        pair = np.arange(total)
    of = np.searchsorted(ends, pair, "right")
    within = pair - (ends - windows.counts)[of]
    return windows.abnormal[of], windows.partners[windows.starts[of] + within]


def _statistic(
    sample: Sample, probability: Floats, first: Places, second: Places
) -> tuple[Statistic, NDArray[np.bool_]]:
    """The three AUCs, and which images (n,) stand in a pair."""
    n, ranking = len(sample.label), Ranking.of(sample.label, probability)
    won = (probability[first] > probability[second]) + (probability[first] == probability[second]) / 2
    pairs = csr_array((np.ones(len(first)), (first, second)), shape=(n, n))
    wins = csr_array((won, (first, second)), shape=(n, n))
    paired = np.zeros(n, dtype=np.bool_)
    paired[first] = paired[second] = True

    def statistic(weight: Weights) -> dict[str, Floats]:
        both, better = ((weight * (matrix @ weight.T).T).sum(axis=1) for matrix in (pairs, wins))
        plain, matched = ranking.areas(weight)[0], ratio(better, both)
        return {"plain": plain, "matched": matched, "change": matched - plain}

    return statistic, paired
