"""From a table of predictions to everything that is said about them: one frozen record with a JSON round trip."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreader.atomic import write_whole
from cxreader.codec import Plain, in_words
from cxreader.counting import format_count
from cxreader.errors import DataError, TableError
from cxreader.evaluation.decisions.answered import Answered, judge_answered
from cxreader.evaluation.decisions.conformal import ConformalRule, JointRule, contradicting
from cxreader.evaluation.decisions.refusals import Refusals
from cxreader.evaluation.evidence import EvaluationOptions, Evidence, gather, refuse_undrawable
from cxreader.evaluation.grounds import Exchange, grounds_of
from cxreader.evaluation.plausibility import contradictory, implausible
from cxreader.evaluation.predictions import n_without_patient
from cxreader.evaluation.statistics.curves import (
    Histogram,
    PrecisionRecallCurve,
    RocCurve,
    band,
    curve_draws,
    precision_recall_curve,
    roc_curve,
)
from cxreader.evaluation.statistics.exact import bounded_metrics
from cxreader.evaluation.statistics.intervals import (
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
from cxreader.evaluation.verdict import FEW, Background, Verdict, few_judged, reach_verdict
from cxreader.records import OperatingPoint, PredictionTable

SCHEMA = 3
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""By each earlier schema that is still read, the step that makes its values those of the next schema."""
NO_BACKGROUND = Background()
Provenance = Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True, eq=False)
class Counts:
    """Who was judged, and who was left out for which reason; `patients` is None where no patient is known."""

    images: int
    patients: int | None
    abnormal: int
    normal: int
    excluded: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, sample: Sample, excluded: Mapping[str, int] | None) -> Counts:
        """The images of a sample, and how many were left out by reason."""
        n_abnormal, n_normal = sample.n_positive, sample.n_negative
        return cls(len(sample.label), sample.n_patients, n_abnormal, n_normal, dict(excluded or {}))


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation(Plain):
    """All that is said about one set of predictions; schema 3 of `evaluation.json`.

    `metrics` by the names of `METRIC_NAMES`; `confusion` counts tp, fp, tn, fn at the operating point; `baselines` is
    the AUC of each baseline on the same images and `comparisons` the paired differences, `auc minus NAME`. `warnings`
    stand in every report. `provenance` holds plain values: artifact, source, split, seed, version, date. `evidence`
    answers what was asked besides. `refusals`: how many of the images a reader would not answer, None where none was asked.
    `verdict`: whether it is worth a trial, None in files that were written before there was one. `answered`: the images that
    would be answered by themselves, None where no image of the table is refused or referred.
    """

    schema: int = SCHEMA
    counts: Counts
    metrics: dict[str, Estimate]
    confusion: dict[str, int]
    operating_point: OperatingPoint
    baselines: dict[str, Estimate] = field(default_factory=dict)
    comparisons: dict[str, Estimate] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    provenance: dict[str, str | int | float | bool | None] = field(default_factory=dict)
    evidence: Evidence | None = None
    refusals: Refusals | None = None
    verdict: Verdict | None = None
    answered: Answered | None = None
    roc: RocCurve
    precision_recall: PrecisionRecallCurve
    histogram: Histogram

    @property
    def further_warnings(self) -> tuple[str, ...]:
        """The warnings that the verdict does not say already: for where both stand on one screen."""
        return tuple(w for w in self.warnings if self.verdict is None or not self.verdict.says(w))

    def to_json(self) -> str:
        """Strict JSON (no NaN), one key a line; `from_json` gives the same record back exactly."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, where: str | None = None) -> Evaluation:
        """Read what `to_json` wrote; raises DataError, naming `where`, for another schema or a damaged record."""
        mend = "write it again with: cxreader evaluate"
        try:
            values = json.loads(text)
            while values["schema"] != SCHEMA:
                if values["schema"] not in UPGRADES:
                    known = ", ".join(map(str, (*UPGRADES, SCHEMA)))
                    raise DataError(f"schema {values['schema']!r}, this version reads {known}", where=where, mend=mend)
                values = {**UPGRADES[values["schema"]](values), "schema": values["schema"] + 1}
            return cls.from_dict(values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"is no evaluation ({in_words(error)})", where=where, mend=mend) from error

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the JSON to `path`, whole or not at all; raises StorageError."""
        return write_whole(path, self.to_json().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Evaluation:
        """Read what `save` wrote; raises DataError for a file that is missing or damaged."""
        try:
            text = Path(path).read_bytes()
        except OSError as error:
            mend = "write it with: cxreader evaluate"
            raise DataError(f"cannot be read ({error.strerror})", where=path, mend=mend) from error
        return cls.from_json(text, where=os.fspath(path))


def evaluate(
    table: PredictionTable,
    operating_point: OperatingPoint | float,
    *,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
    baselines: Mapping[str, NDArray[np.floating]] | None = None,
    excluded: Mapping[str, int] | None = None,
    warnings: Sequence[str] = (),
    provenance: Provenance | None = None,
    options: EvaluationOptions | None = None,
    refusals: Refusals | None = None,
    background: Background = NO_BACKGROUND,
) -> Evaluation:
    """Judge predictions at one operating point; every interval comes from the same resamples of patients.

    `baselines` gives by name the probabilities (n,) of something simpler on the same images, in the table's order: its
    AUC and the paired difference are added. `excluded` counts by reason what was left out before. `warnings` and
    `provenance` are kept as given, behind what is found or known here. A threshold alone is a point "given by the
    user". What is `options` besides is answered in `evidence`; `refusals` are kept as given. `background`: what the
    verdict takes in besides.
    Raises TableError for a baseline of another length, DataError for a threshold outside 0 to 1 and for a
    worklist that is asked for at a prevalence when a class is missing.
    """
    point = operating_point if isinstance(operating_point, OperatingPoint) else OperatingPoint.given(operating_point)
    if options is not None:
        refuse_undrawable(table.label, options)
    sample = Sample.of(table)
    label, probability = sample.label, table.probability
    exchange, decision = Exchange.of(point.threshold, sample, options), probability >= point.threshold
    statistic = _everything(table, point.threshold, baselines or {}, exchange)
    points, draws = drawn = resample(statistic, sample, n_resamples=n_resamples, seed=seed)
    found = estimates(points, draws, sample, reasons=_reasons(label, baselines or {}))
    metrics = bounded_metrics({n: found[n] for n in METRIC_NAMES}, sample, decision)
    bands = {name: band(draws[name]) for name in ("roc", "precision_recall") if name in draws}
    return Evaluation(
        metrics=metrics,
        confusion=confusion(label, decision),
        roc=roc_curve(label, probability, bands.get("roc")),
        precision_recall=precision_recall_curve(label, probability, bands.get("precision_recall")),
        histogram=Histogram.of(label, probability),
        counts=Counts.of(sample, excluded),
        operating_point=point,
        baselines={name: found[f"baseline {name}"] for name in baselines or {}},
        comparisons={f"auc minus {name}": found[f"auc minus {name}"] for name in baselines or {}},
        warnings=(
            *implausible(sample, probability, metrics["auc"]),
            *contradictory(() if options is None else options.points),
            *_found_warnings(table, sample, point),
            *_referred(table, point, None if options is None else options.conformal),
            *warnings,
        ),
        provenance={
            "cxreader": version("cxreader"),
            "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "seed": seed,
            "n_resamples": n_resamples,
            **(provenance or {}),
        },
        evidence=None if options is None else _evidence(table, options, point, drawn, seed, n_resamples),
        refusals=refusals,
        answered=judge_answered(table, point.threshold, seed=seed, n_resamples=n_resamples),
        verdict=reach_verdict(
            grounds_of(
                {**found, **metrics}, sample, decision, point, exchange, refusals=refusals, background=background
            )
        ),
    )


def _evidence(
    table: PredictionTable,
    options: EvaluationOptions,
    point: OperatingPoint,
    drawn: Resampled,
    seed: int,
    n_resamples: int,
) -> Evidence:
    """The answers; where no operating points are asked for, at the one that decides."""
    whole = replace(options, points=options.points or (point,))
    same = whole.points[0].threshold == point.threshold
    metrics = drawn.only(METRIC_NAMES) if same else None
    return gather(table, whole, seed=seed, n_resamples=n_resamples, metrics=metrics)


def _everything(
    table: PredictionTable, threshold: float, baselines: Mapping[str, NDArray[np.floating]], exchange: Exchange
) -> Statistic:
    """Metrics, curves, baselines, differences and what the verdict weighs as one statistic: all share their resamples."""
    label = np.asarray(table.label)
    for name, probability in baselines.items():
        if len(probability) != len(table):
            mend = "give one probability an image, in the table's order"
            raise TableError(f"baseline {name!r} has {len(probability)} rows, the table {len(table)}", mend=mend)
    own = all_metrics(label, table.probability, threshold)
    others = {name: all_metrics(label, np.asarray(p)) for name, p in baselines.items()}
    curves = curve_draws(label, table.probability)

    def statistic(weight: Weights) -> dict[str, NDArray[np.float64]]:
        values = own(weight) | curves(weight)
        values |= exchange.weigh(label, weight, values)
        for name, other in others.items():
            values[f"baseline {name}"] = other(weight)["auc"]
            values[f"auc minus {name}"] = values["auc"] - values[f"baseline {name}"]
        return values

    return statistic


def _reasons(label: NDArray[np.integer], baselines: Mapping[str, object]) -> dict[str, str]:
    reasons = undefined_reasons(label)
    reasons |= dict.fromkeys(("informedness", "advantage"), reasons["auc"])
    return reasons | {f"{what} {name}": reasons["auc"] for name in baselines for what in ("baseline", "auc minus")}


def _referred(table: PredictionTable, point: OperatingPoint, rule: ConformalRule | JointRule | None) -> list[str]:
    """How many images a reader refers because threshold and conformal rule differ, by label: the figures count the threshold."""
    if rule is None or isinstance(rule, JointRule):  # whom several models refer is counted among the answered
        return []
    referred = contradicting(rule, table.probability, point.threshold)
    count, n_abnormal = int(referred.sum()), int(np.count_nonzero(referred & (table.label == 1)))
    if not count:
        return []
    return [
        f"{count:,} of {len(table):,} images ({n_abnormal:,} abnormal, {count - n_abnormal:,} normal) "
        f"{'is' if count == 1 else 'are'} referred by a reader, "
        "as the threshold and the conformal rule give them different labels; the figures here count what the threshold says."
    ]


def _found_warnings(table: PredictionTable, sample: Sample, point: OperatingPoint) -> list[str]:
    """What a reader of the numbers must know and can be seen from the table itself."""
    found = []
    if not sample.patients_known:
        found.append(
            "No patient is known: images are resampled as if each were another patient, so the intervals may be too "
            "narrow, and whether a patient was also in training cannot be known."
        )
    alone = n_without_patient(table)
    if alone:
        found.append(
            format_count(
                alone, f"of {len(table):,} images [names|name] no patient, and each counts as a patient of its own"
            )
            + ": the intervals may be too narrow, and whether such a patient was met before cannot be known."
        )
    for value, name in ((1, "abnormal"), (0, "normal")):
        n = len(np.unique(sample.groups[sample.label == value]))
        if 0 < n < FEW:
            words = few_judged(n, name, patients_known=sample.patients_known)
            found.append(f"{words[:1].upper()}{words[1:]}.")
    if point.fitted_on != "calibrate":
        found.append(f"The threshold {point.threshold:g} was not fitted on other patients: {point.rule}.")
    return found
