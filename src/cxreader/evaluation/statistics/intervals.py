"""How sure a number is: bootstrap intervals, resampled by patient.

Images of one patient are not independent; resampling images would give intervals that are too narrow. Here whole
patients are drawn with replacement (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13),
and a resample is a row of integer weights, one an image, so that a statistic computes many resamples in one pass over
sorted arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.errors import TableError
from cxreader.records import ImageRecord, PredictionTable, group_of

Weights = NDArray[np.float64]
Statistic = Callable[[Weights], dict[str, NDArray[np.float64]]]
"""Weights (b, n) of b resamples over n images -> name -> (b,) or (b, k); NaN where a resample leaves it undefined,
infinite where a ratio has no bound there."""

N_RESAMPLES = 2000
LEVEL = 0.95
# A megabyte of weights at a time: a block and what a statistic makes of it stay in the processor's cache.
BLOCK_ELEMENTS = 1 << 17


@dataclass(frozen=True, slots=True)
class Estimate(Plain):
    """A number with its interval and with what it rests on.

    `value`, `low` and `high` are NaN where undefined, and then `reason` says why. `high` is infinite, with its reason,
    where more resamples are infinite than the interval leaves out above. `n_positive` and
    `n_negative` count abnormal and normal images; `n_patients` is None where no patient is known. `method` names the
    interval.
    """

    value: float
    low: float
    high: float
    n_positive: int
    n_negative: int
    n_patients: int | None
    method: str
    reason: str | None = None

    def __str__(self) -> str:
        patients = "patients unknown" if self.n_patients is None else f"{self.n_patients} patients"
        counts = f"{self.n_positive} abnormal, {self.n_negative} normal, {patients}"
        if np.isnan(self.value):
            return f"undefined ({self.reason}; {counts})"
        return f"{self.value:.3f} ({self.interval}; {counts})"

    @property
    def interval(self) -> str:
        """The interval for people: `0.880-0.940`, `-0.010 to 0.030` when an end is negative, or why there is none."""
        if np.isnan(self.low) or np.isnan(self.high):
            return f"no interval: {self.reason}"
        if np.isinf(self.high):
            return f"from {self.low:.3f} on, no upper end: {self.reason}"
        joint = "-" if self.low >= 0 else " to "
        return f"{self.low:.3f}{joint}{self.high:.3f}"


@dataclass(frozen=True, eq=False)
class Sample:
    """The images of an estimate and how they cluster: `label` (n,) 0 or 1, `groups` (n,) integers from 0, one a patient.

    `patients_known` is False when each image stands for itself because no patient is known.
    Raises TableError when the lengths differ.
    """

    label: NDArray[np.integer]
    groups: NDArray[np.integer]
    patients_known: bool = True

    def __post_init__(self) -> None:
        if len(self.label) != len(self.groups):
            raise TableError(f"{len(self.groups)} groups for {len(self.label)} labels", mend="give one group an image")

    @classmethod
    def of(cls, table: PredictionTable) -> Sample:
        """The sample of a table of predictions."""
        return cls(np.asarray(table.label), table.groups, table.patient is not None)

    @classmethod
    def of_records(cls, records: Sequence[ImageRecord]) -> Sample:
        """Labels and patients of these images; the same number in two sources is two patients.

        Patients are known where one record names its own: an image without one then counts as a patient of its own.
        """
        groups = np.unique([group_of(record) for record in records], return_inverse=True)[1]
        known = any(record.patient is not None for record in records)
        return cls(np.array([record.label for record in records], np.int8), groups, known)

    def part(self, images: NDArray[np.bool_]) -> Sample:
        """Some of the images, those where `images` (n,) is True."""
        return Sample(self.label[images], self.groups[images], self.patients_known)

    @property
    def n_positive(self) -> int:
        """Number of abnormal images."""
        return int(np.count_nonzero(self.label == 1))

    @property
    def n_negative(self) -> int:
        """Number of normal images."""
        return len(self.label) - self.n_positive

    @property
    def n_groups(self) -> int:
        """Number of patients, or of images where no patient is known."""
        return len(np.unique(self.groups))

    @property
    def n_patients(self) -> int | None:
        """Number of patients; None where no patient is known."""
        return self.n_groups if self.patients_known else None


def bootstrap_weights(
    groups: NDArray[np.integer], n_resamples: int = N_RESAMPLES, seed: int = 0, *, block: int | None = None
) -> Iterator[Weights]:
    """Resamples of whole groups as weights, in blocks (b, n) float64 that together hold `n_resamples` rows.

    A row draws as many groups as there are, with replacement; an image's weight is how often its group was drawn. The
    rows depend on `groups` and `seed` alone, not on `block` (rows a block; by default as many as fit the cache).
    """
    index, n_groups = numbered(groups)
    rows = block or max(1, BLOCK_ELEMENTS // max(1, len(index)))
    generator = np.random.default_rng(seed)
    for start in range(0, n_resamples, rows):
        b = min(rows, n_resamples - start)
        drawn = generator.integers(0, n_groups, size=(b, n_groups))
        drawn += np.arange(b)[:, None] * n_groups
        counts = np.bincount(drawn.ravel(), minlength=b * n_groups).reshape(b, n_groups).astype(np.float64)
        yield np.take(counts, index, axis=1)


def numbered(groups: NDArray[np.integer]) -> tuple[NDArray[np.intp], int]:
    """Groups (n,) numbered anew from 0 without gaps, and how many there are."""
    names, index = np.unique(groups, return_inverse=True)
    return np.asarray(index, dtype=np.intp).ravel(), len(names)


class Resampled(NamedTuple):
    """What a statistic gives on the whole sample, `points` (1,) or (1, k), and on resamples of it, by name.

    `draws` (n_resamples,) or (n_resamples, k); empty for fewer than two groups: of one there is nothing to resample.
    """

    points: Mapping[str, NDArray[np.float64]]
    draws: Mapping[str, NDArray[np.float64]]

    def only(self, names: Collection[str]) -> Resampled:
        """The same of these names alone."""
        return Resampled(*({name: v for name, v in part.items() if name in names} for part in self))


def resample(statistic: Statistic, sample: Sample, *, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Resampled:
    """Everything that `statistic` computes, on the whole sample and all on the same resamples of its groups."""
    points = statistic(np.ones((1, len(sample.label))))
    if sample.n_groups < 2:
        return Resampled(points, {})
    parts = [statistic(weight) for weight in bootstrap_weights(sample.groups, n_resamples, seed)]
    draws = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
    return Resampled(points, draws)


def bootstrap(
    statistic: Statistic,
    sample: Sample,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    reasons: Mapping[str, str] | None = None,
) -> dict[str, Estimate]:
    """Estimates of all that `statistic` computes as one number, with percentile intervals from the same resamples.

    `reasons` says by name why a statistic is undefined on the whole sample. A sample that cannot be resampled (one
    patient), or too many resamples that leave a statistic undefined, give a NaN interval with its reason.
    """
    points, draws = resample(statistic, sample, n_resamples=n_resamples, seed=seed)
    return estimates(points, draws, sample, reasons=reasons)


def estimates(
    points: Mapping[str, NDArray[np.float64]],
    draws: Mapping[str, NDArray[np.float64]],
    sample: Sample,
    *,
    reasons: Mapping[str, str] | None = None,
) -> dict[str, Estimate]:
    """Estimates from points (1,) and their resampled values (n_resamples,); what has more dimensions is left out."""
    why = reasons or {}
    return {
        name: _estimate(float(point[0]), draws.get(name, np.empty(0)), sample, why.get(name, "undefined here"))
        for name, point in points.items()
        if point.ndim == 1
    }


def _estimate(value: float, draws: NDArray[np.float64], sample: Sample, undefined: str) -> Estimate:
    defined = draws[~np.isnan(draws)]
    low, high, reason = _percentiles(defined, len(draws), sample.patients_known, undefined)
    if np.isinf(high):
        reason = f"infinite in {np.count_nonzero(np.isinf(defined))} of {len(draws)} resamples"
    if not np.isfinite(value):
        value, low, high, reason = np.nan, np.nan, np.nan, undefined
    method = method_name(sample.patients_known, len(draws), len(draws) - len(defined))
    counts = sample.n_positive, sample.n_negative, sample.n_patients
    return Estimate(value, float(low), float(high), *counts, method, reason)


def _percentiles(
    defined: NDArray[np.float64], n_draws: int, patients_known: bool, why: str
) -> tuple[float, float, str | None]:
    """Ends of the percentile interval, or NaN twice with the reason; `why`: what leaves the statistic undefined."""
    unit = "patient" if patients_known else "image"
    if n_draws == 0:
        return np.nan, np.nan, f"one {unit}: nothing to resample"
    # The interval leaves 1 - LEVEL out; when more than that is undefined, its ends are not determined.
    undefined = n_draws - len(defined)
    if undefined > (1 - LEVEL) * n_draws:
        # What hangs on decisions may be undefined among any number of patients.
        of_decisions = any(word in why for word in ("called", "referred"))
        cause = f"in these {why}" if of_decisions else f"too few {unit}s"
        return np.nan, np.nan, f"undefined in {undefined} of {n_draws} resamples: {cause}"
    least, most = float(defined.min()), float(defined.max())
    if least == most or most - least <= 1e-12:
        return np.nan, np.nan, "every resample gives the same value, which bounds nothing"
    # Nothing lies between a number and infinity: there an end is one of the resamples.
    method: Literal["inverted_cdf", "linear"] = "inverted_cdf" if np.isinf(most) else "linear"
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method=method)
    return float(low), float(high), None


def method_name(patients_known: bool, n_resamples: int, n_undefined: int = 0) -> str:
    """The interval's method in words, undefined resamples counted."""
    who = "bootstrap by patient" if patients_known else "bootstrap by image: no patient known"
    left_out = f", {n_undefined} undefined left out" if n_undefined else ""
    return f"{who}; percentile, {n_resamples} resamples{left_out}"
