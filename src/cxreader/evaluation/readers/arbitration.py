"""What a second reader would change: a reader alone, with the model, and with an arbiter where the two differ.

The model's threshold was fixed before. The arbiter is each remaining reader in turn, and the figures are the means over
them; nobody arbitrates who sets the truth that the reader is judged by, as he would be right by definition. The readers did
not see the model's answer, and an arbiter did not see theirs: what people make of an answer they see is not measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.evaluation.readers.performance import RATES, rates_of
from cxreader.evaluation.readers.truths import Truths
from cxreader.evaluation.statistics.exact import bounded_share
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Statistic, Weights, bootstrap
from cxreader.evaluation.statistics.metrics import ratio

Floats = NDArray[np.float64]
Votes = NDArray[np.int8]
ALONE, ARBITER, EITHER, BOTH = "alone", "arbiter", "either", "both"
SCHEMES = (ALONE, ARBITER, EITHER, BOTH)
_NONE = {"sensitivity": "no abnormal image", "specificity": "no normal image"}


@dataclass(frozen=True, eq=False)
class SchemeResult(Plain):
    """One way of reading: `missed` abnormal images and `false_alarms`, means over the arbiters where there are several.

    NaN where no image of that class counts.
    `rates` by the names of RATES, `change` these minus the reader's alone, paired. `asked`: the share of images that need
    more than the first reader's word, which is the share that goes to the arbiter; None where there is no arbiter.
    `n_readers`: of a mean, over how many readers it is, the reader alone in `change` too; 0 of one reader's own.
    """

    scheme: str
    missed: float
    false_alarms: float
    rates: dict[str, Estimate]
    change: dict[str, Estimate]
    asked: Estimate | None = None
    n_readers: int = 0


@dataclass(frozen=True, eq=False)
class SecondReader(Plain):
    """A reader with the model as second reader; `reader` is empty for the mean over all readers.

    `arbiters`: who arbitrates in turn, none where everybody else sets the truth. `images` that count: read by him and by every
    arbiter, with a truth for him; `left_out`: read by him, but one of the others is missing. `without_images`: of the mean, how
    many readers have no image that counts, and are in no figure. Who read no image at all is nobody's arbiter.
    """

    reader: str
    arbiters: tuple[str, ...]
    images: int
    left_out: int
    schemes: tuple[SchemeResult, ...]
    without_images: int = 0


@dataclass(frozen=True, eq=False)
class _Case:
    """One reader's images: his truth (n,), -1 where an image does not count, and the calls (n,) of each scheme, as shares."""

    name: str
    arbiters: tuple[str, ...]
    truth: Votes
    calls: Mapping[str, Floats]
    differ: NDArray[np.bool_]
    left_out: int


def second_reader(
    votes: Votes,
    names: Sequence[str],
    truths: Truths,
    called: NDArray[np.bool_],
    sample: Sample,
    *,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> tuple[SecondReader, ...]:
    """Each reader of `votes` (r, n) with the model, which calls `called` (n,) abnormal; last the mean over the readers.

    Without an arbiter: abnormal where either calls it so, or where both do. Intervals by patient, changes paired. A mean is over
    the readers who have images of the class and, with an arbiter, over those who have one.
    """
    cases = [_case(k, votes, names, truths, called) for k in range(len(names))]
    same = {"seed": seed, "n_resamples": n_resamples}
    each = tuple(_judged(case.name, [case], sample, **same) for case in cases)
    if len(cases) < 2:
        return each
    counted = [case for case in cases if (case.truth >= 0).any()]
    mean = _judged("", counted or cases, sample, **same)
    return (*each, replace(mean, without_images=len(cases) - len(counted)))


def _case(reader: int, votes: Votes, names: Sequence[str], truths: Truths, called: NDArray[np.bool_]) -> _Case:
    arbiters = [k for k in range(len(votes)) if k != reader and k not in truths.setters[reader]]
    arbiters = [k for k in arbiters if (votes[k] >= 0).any()]
    own, others = votes[reader], votes[arbiters]
    judged = (own >= 0) & (truths.each[reader] >= 0)
    counts = judged & (others >= 0).all(axis=0)
    first, differ = own == 1, (own == 1) != called
    calls = {ALONE: first, EITHER: first | called, BOTH: first & called}
    shares = {name: np.asarray(call, dtype=np.float64) for name, call in calls.items()}
    if arbiters:
        shares[ARBITER] = np.where(differ, (others == 1).mean(axis=0), shares[ALONE])
    truth = np.where(counts, truths.each[reader], np.int8(-1))
    left_out = int(np.count_nonzero(judged & ~counts))
    return _Case(names[reader], tuple(names[k] for k in arbiters), truth, shares, differ, left_out)


def _judged(name: str, cases: Sequence[_Case], sample: Sample, *, seed: int, n_resamples: int) -> SecondReader:
    """The mean over the cases of every figure: of one case, its own."""
    schemes = [scheme for scheme in SCHEMES if _reading(scheme, cases)]
    counted = np.any([case.truth >= 0 for case in cases], axis=0)
    label = np.max([case.truth for case in cases], axis=0)[counted].astype(np.int64)
    whole = Sample(label, sample.groups[counted], sample.patients_known)
    parts = [
        _Case(c.name, c.arbiters, c.truth[counted], {s: c.calls[s][counted] for s in c.calls}, c.differ[counted], 0)
        for c in cases
    ]
    by_all = " that he and every arbiter read" if any(case.left_out for case in cases) else ""
    reasons = {
        f"{what}{scheme} {rate}": f"{_NONE[rate]}{by_all}"
        for what in ("", "change ")
        for scheme in schemes
        for rate in RATES
    }
    found = bootstrap(
        _mean_statistic(parts, schemes),
        whole,
        n_resamples=n_resamples,
        seed=seed,
        reasons=reasons | {"asked": "no image"},
    )
    return SecondReader(
        reader=name,
        arbiters=cases[0].arbiters if len(cases) == 1 else (),
        images=int(np.count_nonzero(counted)),
        left_out=sum(case.left_out for case in cases),
        schemes=tuple(_scheme(scheme, _reading(scheme, parts), found, whole, mean=not name) for scheme in schemes),
    )


def _scheme(
    scheme: str, cases: Sequence[_Case], found: Mapping[str, Estimate], sample: Sample, *, mean: bool
) -> SchemeResult:
    missed = [float((1 - case.calls[scheme])[case.truth == 1].sum()) for case in _having(1, cases)]
    alarms = [float(case.calls[scheme][case.truth == 0].sum()) for case in _having(0, cases)]
    return SchemeResult(
        scheme=scheme,
        missed=float(np.mean(missed)) if missed else float("nan"),
        false_alarms=float(np.mean(alarms)) if alarms else float("nan"),
        rates={
            rate: bounded_share(found[f"{scheme} {rate}"], np.any([c.truth == value for c in cases], axis=0), sample)
            for rate, value in zip(RATES, (1, 0), strict=True)
        },
        change={} if scheme == ALONE else {rate: found[f"change {scheme} {rate}"] for rate in RATES},
        asked=found["asked"] if scheme == ARBITER else None,
        n_readers=len(cases) if mean else 0,
    )


def _reading(scheme: str, cases: Sequence[_Case]) -> list[_Case]:
    """The cases that can be read in this way."""
    return [case for case in cases if scheme in case.calls]


def _having(value: int, cases: Sequence[_Case]) -> list[_Case]:
    """The cases with an image whose truth is `value`."""
    return [case for case in cases if (case.truth == value).any()]


def _mean_statistic(cases: Sequence[_Case], schemes: Sequence[str]) -> Statistic:
    def mean_rate(weight: Weights, own: Sequence[_Case], scheme: str, rate: str) -> Floats:
        return np.asarray(np.mean([rates_of(weight, c.truth, c.calls[scheme])[rate] for c in own], axis=0))

    def statistic(weight: Weights) -> dict[str, Floats]:
        values: dict[str, Floats] = {}
        for scheme in schemes:
            for rate, value in zip(RATES, (1, 0), strict=True):
                own = _having(value, _reading(scheme, cases)) or _reading(scheme, cases)
                values[f"{scheme} {rate}"] = mean_rate(weight, own, scheme, rate)
                values[f"change {scheme} {rate}"] = values[f"{scheme} {rate}"] - mean_rate(weight, own, ALONE, rate)
        asked = [_share(weight, case) for case in _reading(ARBITER, cases)]
        return values | ({"asked": np.mean(asked, axis=0)} if asked else {})

    return statistic


def _share(weight: Weights, case: _Case) -> Floats:
    counts = (case.truth >= 0).astype(np.float64)
    return ratio(weight @ (counts * case.differ), weight @ counts)
