"""Bootstrap by patient of five metrics: ours over blocks of weights, and a loop over scikit-learn's functions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apart import answer, apart
from cxreader.evaluation.statistics.intervals import Sample, Statistic, bootstrap_weights, resample
from cxreader.evaluation.statistics.metrics import all_metrics
from cxreader.machine import keep_pages
from measure import Row, Spread, peak_mib, ratios, take_turns

THRESHOLD, GOAL, MOST_MIB = 0.5, 50.0, 1024.0
METRICS = "AUC, average precision, sensitivity, specificity and Brier score"


def measure_resampling(*, quick: bool) -> list[Row]:
    """A hospital's table, which is judged; and a million predictions, whose time and memory are told."""
    sizes, few = ((2_200, 600, 40), 2) if quick else ((22_000, 6_000, 2_000), 20)
    many = (20_000, 5_000, 4) if quick else (1_000_000, 270_000, 2_000)
    rows = [_judged(_found(*sizes, few, 1 if quick else 5), few)]
    found = _found(*many, 0, 1)
    return [*rows, Row(_what(found), _ours(found))]


def _found(predictions: int, patients: int, resamples: int, few: int, repetitions: int) -> dict[str, Any]:
    """What the process of its own answers, with the sizes it was given."""
    given = {"predictions": predictions, "patients": patients, "resamples": resamples}
    return {**given, **apart("resampling.py", **given, few=few, repetitions=repetitions)}


def _judged(found: dict[str, Any], few: int) -> Row:
    times = ratios(found["peer"], found["ours"])
    return Row(
        _what(found),
        _ours(found),
        f"scikit-learn, one call a metric and resample: {Spread.of(found['peer']).text(1, 's')}; measured on {few} "
        f"resamples and scaled to {found['resamples']:,}",
        times,
        f"at least {GOAL:g}; memory under 1 GiB",
        times.median >= GOAL and found["mib"] < MOST_MIB,
    )


def _what(found: dict[str, Any]) -> str:
    return (
        f"bootstrap of {found['predictions']:,} predictions of {found['patients']:,} patients, {found['resamples']:,} "
        f"resamples by patient: {METRICS}"
    )


def _ours(found: dict[str, Any]) -> str:
    """Accuracy, precision and F1 come with the five."""
    return f"{Spread.of(found['ours']).text(2, 's')}, memory at most {found['mib']:,.0f} MiB, whole process"


@dataclass(frozen=True, slots=True)
class _Readings:
    """Predictions (n,) with their labels and patients; a fifth of the abnormal lie on the other side of the threshold."""

    label: NDArray[np.int64]
    probability: NDArray[np.float64]
    groups: NDArray[np.intp]

    @classmethod
    def drawn(cls, predictions: int, patients: int) -> _Readings:
        generator = np.random.default_rng(0)
        further = generator.integers(0, patients, predictions - patients)
        groups = generator.permutation(np.append(np.arange(patients), further))
        label = generator.integers(0, 2, predictions)
        score = 1.7 * (label - 0.5) + generator.normal(size=predictions)
        return cls(label, 1 / (1 + np.exp(-score)), groups)

    def statistic(self) -> Statistic:
        return all_metrics(self.label, self.probability, THRESHOLD)

    def ours(self, resamples: int) -> Mapping[str, NDArray[np.float64]]:
        """Everything from the table to the resampled values, the ranking included."""
        return resample(self.statistic(), Sample(self.label, self.groups), n_resamples=resamples).draws

    def peer(self, resamples: int) -> Callable[[], object]:
        """The loop as it is usually written; which images a patient has is looked up before it."""
        order = np.argsort(self.groups, kind="stable")
        members = np.split(order, np.cumsum(np.bincount(self.groups))[:-1])
        generator = np.random.default_rng(0)

        def loop() -> list[list[float]]:
            found = []
            for _ in range(resamples):
                drawn = generator.integers(0, len(members), len(members))
                found.append(self.by_sklearn(np.concatenate([members[patient] for patient in drawn])))
            return found

        return loop

    def by_sklearn(self, rows: NDArray[np.intp]) -> list[float]:
        from sklearn.metrics import average_precision_score, brier_score_loss, recall_score, roc_auc_score

        label, probability = self.label[rows], self.probability[rows]
        called = probability >= THRESHOLD
        return [
            roc_auc_score(label, probability),
            average_precision_score(label, probability),
            recall_score(label, called),
            recall_score(label, called, pos_label=0),
            brier_score_loss(label, probability),
        ]

    def check(self) -> None:
        """Both sides give the same numbers on one resample."""
        (weight,) = bootstrap_weights(self.groups, 1)
        ours = self.statistic()(weight)
        names = ("auc", "average_precision", "recall", "specificity", "brier")
        peer = self.by_sklearn(np.repeat(np.arange(len(self.label)), weight[0].astype(np.intp)))
        np.testing.assert_allclose([ours[name][0] for name in names], peer, rtol=1e-9)


def _measure(predictions: int, patients: int, resamples: int, few: int, repetitions: int) -> dict[str, Any]:
    """Seconds of both sides, the peer's scaled to all resamples, and ours' most memory before the peer is imported."""
    keep_pages()  # as `evaluate` does; the peer runs in the same process
    readings = _Readings.drawn(predictions, patients)
    start = time.perf_counter()
    readings.ours(resamples)
    first, mib = time.perf_counter() - start, peak_mib()
    if not few:
        return {"ours": [first], "mib": mib}
    readings.check()
    seconds = take_turns({"ours": lambda: readings.ours(resamples), "peer": readings.peer(few)}, repetitions)
    return {"ours": seconds["ours"], "peer": [s * resamples / few for s in seconds["peer"]], "mib": mib}


if __name__ == "__main__":
    answer(_measure)
