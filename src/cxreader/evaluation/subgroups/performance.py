"""For whom does a reading work less well: AUC, sensitivity and specificity by subgroup, each against the rest.

All groups share their resamples of patients, so that a gap is paired where patients stand on both sides of it. A gap is
significant when its p-value (normal, with the bootstrap's standard error) stays below 0.05 after Holm's correction for all
gaps that were tested. A group with few patients is said to be too small, and is not tested.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from cxreader.codec import Plain
from cxreader.counting import format_count
from cxreader.evaluation.statistics.exact import bounded_metrics
from cxreader.evaluation.statistics.hypothesis_tests import holm
from cxreader.evaluation.statistics.intervals import (
    LEVEL,
    N_RESAMPLES,
    Estimate,
    Resampled,
    Sample,
    Weights,
    estimates,
    resample,
)
from cxreader.evaluation.subgroups.effective_sample_size import NEARLY_ALL, NEARLY_PARTED, varies
from cxreader.evaluation.subgroups.groupings import FINDING, Grouping, groupings
from cxreader.evaluation.subgroups.rates import METRICS, FindingRates, Metric, PartitionRates
from cxreader.records import LABEL_NAMES, OperatingPoint, PredictionTable

Floats = NDArray[np.float64]
FEW_PATIENTS = 20
SAME_NORMALS = "every finding is judged against the same normal images"


@dataclass(frozen=True, slots=True)
class Gap(Plain):
    """A group's metric minus the rest's, with its interval; `p` two-sided and `p_holm` adjusted, NaN where not tested.

    `flagged`: it is significant, the adjusted p-value below 0.05. A negative `estimate` means that the group is worse off.
    """

    estimate: Estimate
    p: float
    p_holm: float
    flagged: bool


@dataclass(frozen=True, eq=False)
class Subgroup(Plain):
    """One group of a `dimension` (one of groupings.DIMENSIONS): its metrics, and its gaps to the rest, by METRICS.

    The rest is all other images whose value is known; of a finding all other abnormal images, against the same normal
    ones. A finding has no specificity of its own. `too_small` counts the patients (images, where patients are not known) of a
    side that has fewer than FEW_PATIENTS of a class; then no gap is tested.
    """

    dimension: str
    name: str
    metrics: dict[Metric, Estimate]
    gaps: dict[Metric, Gap]
    too_small: str | None = None

    @property
    def flagged(self) -> tuple[Metric, ...]:
        """The metrics whose gap is flagged."""
        return tuple(metric for metric, gap in self.gaps.items() if gap.flagged)


@dataclass(frozen=True, eq=False)
class Subgroups(Plain):
    """Every group in the order of groupings.DIMENSIONS, judged at one operating point.

    `notes` says by dimension what could not be grouped and why. `n_tests` is how many gaps the p-values are adjusted for;
    a gap and the same one seen from the other side, as of women and of men, count once.
    """

    point: OperatingPoint
    groups: tuple[Subgroup, ...]
    notes: dict[str, str] = field(default_factory=dict)
    n_tests: int = 0

    @property
    def flagged(self) -> tuple[Subgroup, ...]:
        """The groups with a flagged gap."""
        return tuple(group for group in self.groups if group.flagged)


def subgroups(
    table: PredictionTable, point: OperatingPoint, *, seed: int = 0, n_resamples: int = N_RESAMPLES
) -> Subgroups:
    """Judge every group that the table's columns give (`groupings.groupings`), all from the same resamples of patients.

    Raises TableError for an age or a follow-up that is no number.
    """
    sample = Sample.of(table)
    found, notes = groupings(table)
    flag = table.probability >= point.threshold
    rates = {
        grouping.dimension: (FindingRates if grouping.dimension == FINDING else PartitionRates)(
            grouping, sample.label, table.probability, flag
        )
        for grouping in found
    }

    def statistic(weight: Weights) -> dict[str, Floats]:
        return {f"{name}/{what}": v for name, each in rates.items() for what, v in each(weight).items()}

    points, draws = resample(statistic, sample, n_resamples=n_resamples, seed=seed) if rates else Resampled({}, {})
    judged, questions = [], []
    for grouping in found:
        head = f"{grouping.dimension}/"
        own_points, own_draws = (
            {k.removeprefix(head): v for k, v in d.items() if k.startswith(head)} for d in (points, draws)
        )
        judged += [
            _judge(grouping, k, sample, table.probability, flag, own_points, own_draws)
            for k in range(len(grouping.names))
        ]
        questions += [_question(grouping, k, sample.label) for k in range(len(grouping.names))]
    return _corrected(point, judged, questions, notes)


def _judge(
    grouping: Grouping,
    k: int,
    sample: Sample,
    probability: NDArray[np.floating],
    flag: NDArray[np.bool_],
    points: Mapping[str, Floats],
    draws: Mapping[str, Floats],
) -> Subgroup:
    """Group k of a grouping, its gaps not yet corrected for their number."""
    inside, rest = _sides(grouping, k, sample.label)
    found = estimates(
        {what: values[:, k] for what, values in points.items()},
        {what: values[:, k] for what, values in draws.items()},
        sample.part(inside),
        reasons=_reasons(sample.label[inside], sample.label[rest], grouping.dimension == FINDING),
    )
    too_small = _too_small(sample, inside, "") or _too_small(sample, rest, "the rest has ")
    gaps: dict[Metric, Gap] = {}
    unit = "patient" if sample.patients_known else "image"
    for metric in METRICS:
        gap, spread = found[f"gap {metric}"], draws.get(f"gap {metric}")
        if not np.isnan(gap.low) and not all(
            varies(metric, sample, probability, flag, side) for side in (inside, rest)
        ):
            why = (NEARLY_PARTED if metric == "auc" else NEARLY_ALL).format(unit=unit)
            gap = replace(gap, low=float("nan"), high=float("nan"), reason=why)
        p = float("nan") if too_small or spread is None else _p_value(gap, spread[:, k])
        gaps[metric] = Gap(gap, p, float("nan"), flagged=False)
    bounded = bounded_metrics({metric: found[metric] for metric in METRICS}, sample.part(inside), flag[inside])
    metrics: dict[Metric, Estimate] = {metric: bounded[metric] for metric in METRICS}
    return Subgroup(grouping.dimension, grouping.names[k], metrics, gaps, too_small)


def _sides(grouping: Grouping, k: int, label: NDArray[np.integer]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Images of the group and of the rest (n,); with a finding the normal images stand on both sides."""
    member = grouping.member[:, k]
    rest = grouping.known & ~member
    return (member | (label == 0), rest) if grouping.dimension == FINDING else (member, rest)


def _question(grouping: Grouping, k: int, label: NDArray[np.integer]) -> frozenset[bytes]:
    """Which images stand against which: the same of women against men as of men against women."""
    return frozenset(np.packbits(side).tobytes() for side in _sides(grouping, k, label))


def _p_value(gap: Estimate, draws: Floats) -> float:
    """Two-sided, of a normal gap with the bootstrap's standard error; NaN where the gap has no interval."""
    if np.isnan(gap.low):
        return float("nan")
    return float(2 * norm.sf(abs(gap.value) / np.nanstd(draws, ddof=1)))


def _too_small(sample: Sample, images: NDArray[np.bool_], who: str) -> str | None:
    unit = "patient" if sample.patients_known else "image"
    for value, name in ((1, "abnormal"), (0, "normal")):
        n = len(np.unique(sample.groups[images & (sample.label == value)]))
        if n < FEW_PATIENTS:
            words = f"[patient|patients] with {name} images" if unit == "patient" else f"{name} [image|images]"
            return who + format_count(n, words)
    return None


def _reasons(inside: NDArray[np.integer], rest: NDArray[np.integer], is_finding: bool) -> dict[str, str]:
    """Why a metric or a gap would be undefined on the whole sample."""
    reasons: dict[str, str] = {}
    for metric, classes in (("auc", (1, 0)), ("sensitivity", (1,)), ("specificity", (0,))):
        for what, images, whose in ((metric, inside, "in this group"), (f"gap {metric}", rest, "in the rest")):
            lacking = next((LABEL_NAMES[value] for value in classes if not np.any(images == value)), None)
            reasons[what] = f"no {lacking} image {whose}" if lacking else reasons.get(metric, "undefined here")
        if reasons[metric] != "undefined here":
            reasons[f"gap {metric}"] = reasons[metric]
    return reasons | ({"specificity": SAME_NORMALS, "gap specificity": SAME_NORMALS} if is_finding else {})


def _corrected(
    point: OperatingPoint, judged: list[Subgroup], questions: list[frozenset[bytes]], notes: dict[str, str]
) -> Subgroups:
    """Holm's adjustment over every gap that was tested; a gap and its mirror are one hypothesis."""
    p_by_hypothesis: dict[tuple[frozenset[bytes], Metric], float] = {}
    for group, question in zip(judged, questions, strict=True):
        for metric, gap in group.gaps.items():
            p_by_hypothesis.setdefault((question, metric), gap.p)
    p_values = np.array(list(p_by_hypothesis.values()))
    adjusted = dict(zip(p_by_hypothesis, holm(p_values).tolist(), strict=True))
    corrected = []
    for group, question in zip(judged, questions, strict=True):
        gaps = {}
        for metric, gap in group.gaps.items():
            p = adjusted[question, metric]
            gaps[metric] = replace(gap, p_holm=p, flagged=p < 1 - LEVEL)
        corrected.append(replace(group, gaps=gaps))
    return Subgroups(point, tuple(corrected), notes, int(np.count_nonzero(~np.isnan(p_values))))
