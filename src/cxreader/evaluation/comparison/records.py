"""What a comparison of several networks on the same images says: frozen records, plain values for JSON, and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.counting import format_count
from cxreader.evaluation.statistics.intervals import Estimate

Floats = NDArray[np.float64]
ComparedMetric = Literal["auc", "accuracy"]
COMPARED: tuple[ComparedMetric, ...] = ("auc", "accuracy")


@dataclass(frozen=True, eq=False)
class MeanCurve:
    """The vertical average of one network's curves over its trainings: `mean`, `low` and `high` at `grid`, each (101,).

    Of a ROC curve: true positive rates at false positive rates; of a precision-recall curve: precisions at recalls.
    `low` and `high` bound the average pointwise at 95 %, by patient. NaN where undefined.
    """

    grid: Floats
    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, eq=False)
class RowResult:
    """One network: means over its k trainings with intervals for other trainings and patients, and each training's own values.

    `metrics` and `by_seed` by the names of METRIC_NAMES, `confusion` one dict of tp, fp, tn, fn a training,
    `at_prevalence` accuracy, precision and f1 had the images the comparison's prevalence. With one
    training the intervals hold for other patients alone; the bands of the curves do always.
    """

    name: str
    seeds: tuple[int, ...]
    metrics: dict[str, Estimate]
    by_seed: dict[str, tuple[float, ...]]
    confusion: tuple[dict[str, int], ...]
    roc: MeanCurve
    precision_recall: MeanCurve
    at_prevalence: dict[str, Estimate]

    @property
    def one_class(self) -> str | None:
        """`calls every image normal`, where all trainings call one class for every image; None where one does not."""
        called = {_only_class(c) for c in self.confusion}
        if not called or None in called:
            return None
        return f"calls every image {' or every image '.join(sorted(map(str, called)))}"

    @property
    def learned(self) -> bool:
        """False for a network that calls one class for every image and whose AUC is not shown to lie above 0.5."""
        return self.one_class is None or self.metrics["auc"].low > 0.5


@dataclass(frozen=True, eq=False)
class Difference:
    """`first` minus `second` in one metric on the same patients.

    `estimate` has the 95 % interval of this pair alone, `adjusted` the one at the level that holds for all pairs at
    once. `by_seed`: the differences of trainings paired in order.
    """

    metric: ComparedMetric
    first: str
    second: str
    estimate: Estimate
    adjusted: Estimate
    by_seed: tuple[float, ...]

    @property
    def better(self) -> str | None:
        """Who is ahead by the adjusted interval and in every pair of trainings; None where one of the two does not say so.

        The interval is about other patients. That no training of the one falls behind its counterpart guards, as far as a
        few seeds can, against a lead that luck in training made.
        """
        if self.adjusted.low > 0 and min(self.by_seed) > 0:
            return self.first
        return self.second if self.adjusted.high < 0 and max(self.by_seed) < 0 else None

    @property
    def turned(self) -> Difference:
        """The same as `second` minus `first`."""
        one, all_pairs = _negative(self.estimate), _negative(self.adjusted)
        return Difference(self.metric, self.second, self.first, one, all_pairs, tuple(-d for d in self.by_seed))

    @property
    def worse(self) -> str | None:
        """Who is behind by the adjusted interval; None where nobody is."""
        return None if self.better is None else self.second if self.better == self.first else self.first


@dataclass(frozen=True, eq=False)
class PairAgreement:
    """How alike two networks decide: means over `n_paired` trainings paired in order."""

    first: str
    second: str
    kappa: Estimate
    agreement: Estimate
    n_paired: int


@dataclass(frozen=True, eq=False)
class Comparison(Plain):
    """Several networks on the same images; every interval comes from the same resamples of patients.

    `differences` holds every pair in AUC, then every pair in accuracy; `adjusted_level` is the level of their adjusted
    intervals. `all_agree`: share of images on which the first training of every network decides alike.
    """

    rows: tuple[RowResult, ...]
    differences: tuple[Difference, ...]
    agreements: tuple[PairAgreement, ...]
    all_agree: Estimate
    threshold: float
    prevalence: float
    adjusted_level: float
    n_resamples: int
    seed: int

    @property
    def by_whom(self) -> str:
        """Who was resampled, in words: `by patient`, or `by image` where no patient is known."""
        return "by image" if self.all_agree.n_patients is None else "by patient"

    @property
    def unlearned(self) -> tuple[str, ...]:
        """The names of the networks that did not learn: differences against them are none between networks."""
        return tuple(row.name for row in self.rows if not row.learned)

    @property
    def cautions(self) -> tuple[str, ...]:
        """A sentence for each network that calls one class for every image."""
        return tuple(
            f"{row.name} {row.one_class}: "
            + (
                "its figures at this threshold are those of no network."
                if row.learned
                else "it did not learn, and no figure of it or difference against it carries a claim."
            )
            for row in self.rows
            if row.one_class is not None
        )

    def row(self, name: str) -> RowResult:
        """The row of this name; raises KeyError."""
        return {row.name: row for row in self.rows}[name]

    def of(self, metric: ComparedMetric) -> tuple[Difference, ...]:
        """The differences in one metric."""
        return tuple(d for d in self.differences if d.metric == metric)

    def headline(self, metric: ComparedMetric = "auc") -> str:
        """One short sentence: who is ahead, or that nobody is shown to be."""
        title, differences, unlearned = _title(metric), self.of(metric), self.unlearned
        if len(unlearned) == len(self.rows):
            who = "The one network did not learn: it" if len(self.rows) == 1 else "No network learned: each"
            return f"{who} calls one class for every image."
        if differences and len(unlearned) == len(self.rows) - 1:
            alone = next(row.name for row in self.rows if row.learned)
            return f"No winner: {alone} alone learned, {self._others()} called one class for every image."
        if not differences:
            return "One network alone: nothing is compared."
        if all(np.isnan(d.adjusted.low) for d in differences):
            return f"No network can be compared by {title}: {differences[0].adjusted.reason}."
        winner = self._winner(differences)
        if winner:
            return f"{winner} had a higher {title}, in these trainings, than {self._others()}."
        if any(d.better and d.worse not in unlearned for d in differences):
            return "No winner: some networks are worse than others, none is better than all."
        whom = "networks that learned" if unlearned else "networks"
        return f"No winner: no difference of {title} between the {whom} holds."

    def detail(self, metric: ComparedMetric = "auc") -> str:
        """What stands behind `headline`: how many differences hold after adjustment; empty where nothing was compared."""
        differences, title = self.of(metric), _title(metric)
        held = [d for d in differences if d.better]
        if not differences or all(np.isnan(d.adjusted.low) for d in differences):
            return ""
        pairs = format_count(len(differences), "[pair|pairs]")
        many = f"Adjusted for {pairs} ({100 * self.adjusted_level:.2f} % intervals {self.by_whom}, these trainings held fixed)"
        if not held:
            return f"{many}, every interval of a difference of {title} holds 0 or is undefined."
        against = [d for d in held if d.worse in self.unlearned]
        if len(against) == len(held):
            whom = f"all against networks that did not learn ({'; '.join(self.unlearned)})"
            return f"{many}, {len(held)} of {len(differences)} differences hold, {whom}."
        winner = self._winner(differences)
        if winner:
            leads = [d for d in held if d.better == winner and d.worse not in self.unlearned]
            closest = min(leads, key=lambda d: abs(d.estimate.value))
            lead = sorted(abs(end) for end in (closest.adjusted.low, closest.adjusted.high))
            gap = f"{abs(closest.estimate.value):.3f} ({lead[0]:.3f}-{lead[1]:.3f})"
            return f"{many}, its smallest lead is {gap}, over {closest.worse}."
        return f"{many}, {len(held)} of {len(differences)} differences hold. {self._leader(metric, held)}"

    def _leader(self, metric: ComparedMetric, held: Sequence[Difference]) -> str:
        """The highest mean with its interval, and over whom its lead does not hold."""
        known = [row for row in self.rows if not np.isnan(row.metrics[metric].value)]
        first = max(known, key=lambda row: row.metrics[metric].value)
        behind = {d.worse for d in held if d.better == first.name}
        open_ = [row.name for row in self.rows if row.name != first.name and row.name not in behind]
        estimate, others = first.metrics[metric], len(self.rows) - 1
        value = f"{estimate.value:.3f} ({estimate.interval})"
        over = f"over {'; '.join(open_)}" if len(open_) <= 2 else f"over {len(open_)} of the {others} others"
        return f"The highest {_title(metric)} is {value}, {first.name}; its lead does not hold {over}."

    def statement(self, metric: ComparedMetric = "auc") -> str:
        """Two or three sentences: what holds after adjustment, or that nothing does and nobody is the winner."""
        return f"{self.headline(metric)} {self.detail(metric)}".rstrip()

    def _winner(self, differences: Sequence[Difference]) -> str | None:
        """The one whose lead over every other holds."""
        leads = [d.better for d in differences if d.better]
        return next((row.name for row in self.rows if leads.count(row.name) == len(self.rows) - 1), None)

    def _others(self) -> str:
        return "the other" if len(self.rows) == 2 else f"each of the {len(self.rows) - 1} others"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON, and the `statement` in words of each metric beside the numbers it rests on."""
        return super().to_dict() | {"statement": {metric: self.statement(metric) for metric in COMPARED}}


def _negative(estimate: Estimate) -> Estimate:
    return replace(estimate, value=-estimate.value, low=-estimate.high, high=-estimate.low)


def _only_class(confusion: dict[str, int]) -> str | None:
    """The one class that is called; None where both are, or no image was judged."""
    abnormal, normal = (confusion[a] + confusion[b] for a, b in (("tp", "fp"), ("tn", "fn")))
    return None if min(abnormal, normal) > 0 or abnormal == normal else "abnormal" if abnormal else "normal"


def _title(metric: ComparedMetric) -> str:
    return "AUC" if metric == "auc" else "accuracy"
