"""The evidence is what its parts say alone, and survives the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxreader.errors import DataError, TableError, UsageError
from cxreader.evaluation.calibration.prior_shift import PriorShift, estimate_prevalence, shift_prevalence
from cxreader.evaluation.calibration.report import calibration_report
from cxreader.evaluation.comparison.paired import compare_models
from cxreader.evaluation.comparison.second_reading import compare_labels, contradicted
from cxreader.evaluation.decisions.at_threshold import at_thresholds
from cxreader.evaluation.decisions.conformal import ConformalRule, judge_conformal
from cxreader.evaluation.decisions.decision_curve import decision_curve
from cxreader.evaluation.evaluate import Evaluation, evaluate
from cxreader.evaluation.evidence import EvaluationOptions, Evidence, gather
from cxreader.evaluation.readers.label_quality import LabelQuality, correct_auc
from cxreader.evaluation.readers.readings import Readings
from cxreader.evaluation.readers.study import study_readers
from cxreader.evaluation.statistics.bca import bootstrap_bca
from cxreader.evaluation.statistics.delong import auc_delong
from cxreader.evaluation.statistics.exact import bounded_metrics
from cxreader.evaluation.statistics.intervals import Sample, Weights, bootstrap_weights
from cxreader.evaluation.statistics.matched_pairs import match_pairs
from cxreader.evaluation.statistics.metrics import METRIC_NAMES, all_metrics
from cxreader.evaluation.subgroups.performance import subgroups
from cxreader.evaluation.worklist.policies import POLICIES, WorklistPolicy
from cxreader.evaluation.worklist.reading_room import Arrivals, ReadingRoom, ReadingTime
from cxreader.evaluation.worklist.triage import simulate_triage
from cxreader.records import OperatingPoint, PredictionTable

POINTS = (OperatingPoint("screening", 0.3, "r", 50, 50), OperatingPoint("rule-in", 0.7, "r", 50, 50))
RULE = ConformalRule(0.1, 0.35, 0.6, 50, 50)
# Few arrivals: what is tested is that the worklist is asked for, not what queueing does.
ROOM = ReadingRoom(ReadingTime("exponential", 5.0), recorded=Arrivals(np.linspace(0, 240, 50)))
PANEL, QUALITY = ("a", "b", "c"), LabelQuality(0.95, 0.95)
WORKLISTS = (*POLICIES, WorklistPolicy("probability", 60.0))
SEED: dict[str, Any] = {"seed": 3, "n_resamples": 60}


def _table(n: int = 200, seed: int = 0) -> PredictionTable:
    generator = np.random.default_rng(seed)
    label = np.arange(n) % 2
    p = 1 / (1 + np.exp(-(1.5 * (2 * label - 1) + generator.normal(size=n))))
    names = np.array([f"P{k}" for k in generator.integers(0, 90, n)])
    columns = {"sex": generator.choice(["F", "M"], n), "age": generator.uniform(20, 90, n)}
    return PredictionTable(np.array([f"{k:03d}.png" for k in range(n)]), label, p, names, columns)


def _asked(table: PredictionTable) -> EvaluationOptions:
    again = np.where(np.arange(len(table)) % 9 == 0, 1 - table.label, table.label)  # every ninth is read otherwise
    second = dict(zip(table.image.tolist(), again.tolist(), strict=True))
    other = replace(table, probability=np.sqrt(table.probability))
    asked = EvaluationOptions(POINTS, 0.1, RULE, ROOM, second, {"rival": other}, "ours", 0.5, 60.0)
    return replace(asked, readings=_readings(table), panel=PANEL, label_quality=QUALITY)


def _readings(table: PredictionTable) -> Readings:
    """Four readers who err on every fifth image or so, each on others; their images are named without a suffix."""
    n = len(table)
    votes = np.stack([np.where(np.arange(n) % (5 + k) == k, 1 - table.label, table.label) for k in range(4)])
    names = np.array([name.removesuffix(".png") for name in table.image.tolist()])
    silent = np.full(n, -1, np.int8)
    return Readings(names, ("a", "b", "c", "d"), ("",), votes[None].astype(np.int8), np.full((1, 4, n), np.nan), silent)


@pytest.fixture(scope="module")
def table() -> PredictionTable:
    return _table()


@pytest.fixture(scope="module")
def evidence(table: PredictionTable) -> Evidence:
    return gather(table, _asked(table), **SEED)


Alone = Callable[[PredictionTable, EvaluationOptions], Any]
ALONE: dict[str, Alone] = {
    "auc_delong": lambda t, _: auc_delong(Sample.of(t), t.probability),
    "points": lambda t, a: at_thresholds(t, POINTS, prevalence=a.prevalence, **SEED),
    "decision_curve": lambda t, a: decision_curve(
        Sample.of(t), shift_prevalence(t.probability, 0.5, 0.1), prevalence=a.prevalence, **SEED
    ),
    "calibration": lambda t, _: calibration_report(Sample.of(t), t.probability, **SEED),
    "subgroups": lambda t, _: subgroups(t, POINTS[0], **SEED),
    "contradictions": lambda t, a: contradicted(t, POINTS[0], second=a.second),
    "conformal": lambda t, a: judge_conformal(RULE, Sample.of(t), t.probability, prevalence=a.prevalence, **SEED),
    "triage": lambda t, a: simulate_triage(t, POINTS[0], ROOM, policies=WORKLISTS, prevalence=a.prevalence, seed=3),
    "labels": lambda t, a: compare_labels(t, a.second or {}, POINTS[0], **SEED),
    "models": lambda t, _: compare_models(
        Sample.of(t), {"ours": t.probability, "rival": np.sqrt(t.probability)}, 0.3, **SEED
    ),
    "readers": lambda t, _: study_readers(
        _readings(t),
        groups=t.groups,
        patients_known=True,
        panel=PANEL,
        label=t.label.astype(np.int8),
        probability=t.probability,
        threshold=0.3,
        **SEED,
    ),
    "corrected": lambda t, _: correct_auc(Sample.of(t), t.probability, QUALITY, **SEED),
    "matched": lambda t, _: match_pairs(Sample.of(t), t.probability, t.columns, **SEED),
    "prior": lambda t, _: PriorShift(0.5, estimate_prevalence(t.probability, t.groups, 0.5, **SEED)),
}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value.to_dict()


@pytest.mark.parametrize("part", ALONE)
def test_each_part_is_the_function_called_alone(part: str, table: PredictionTable, evidence: Evidence) -> None:
    assert _plain(getattr(evidence, part)) == _plain(ALONE[part](table, _asked(table)))


def test_bca_is_of_the_metrics_at_the_first_point(table: PredictionTable, evidence: Evidence) -> None:
    sample = Sample.of(table)
    alone = bootstrap_bca(all_metrics(sample.label, table.probability, 0.3), sample, **SEED)
    assert evidence.bca == {name: alone[name] for name in METRIC_NAMES}
    assert evidence.bca["recall"].value == evidence.points[0].rates["sensitivity"].value
    assert {*ALONE, "bca"} == {field.name for field in fields(Evidence)}  # nothing is left untested


def test_the_metrics_are_resampled_once_where_the_first_point_decides(
    table: PredictionTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []

    def counted(groups: NDArray[np.integer], n_resamples: int, seed: int) -> Iterator[Weights]:
        begun.append(n_resamples)
        return bootstrap_weights(groups, n_resamples, seed)

    monkeypatch.setattr("cxreader.evaluation.statistics.intervals.bootstrap_weights", counted)
    numbers = []
    for points in (POINTS, POINTS[::-1]):
        begun.clear()
        evidence = evaluate(
            table, POINTS[0], options=EvaluationOptions(points), baselines={"b": table.probability}, **SEED
        ).evidence
        assert evidence is not None
        numbers.append(len(begun))
        sample = Sample.of(table)
        alone = bootstrap_bca(all_metrics(sample.label, table.probability, points[0].threshold), sample, **SEED)
        flagged = table.probability >= points[0].threshold
        assert evidence.bca == bounded_metrics({name: alone[name] for name in METRIC_NAMES}, sample, flagged)
    assert numbers[1] == numbers[0] + 1


def test_what_is_not_asked_is_not_answered(table: PredictionTable) -> None:
    bare = gather(table, EvaluationOptions(POINTS[:1]), **SEED)
    assert (bare.conformal, bare.triage, bare.labels, bare.models) == (None, None, None, None)
    assert (bare.readers, bare.corrected) == (None, None)
    assert bare.points[0].deployed == {}
    assert not bare.decision_curve.deployed


def test_the_file_gives_the_same_record_back(table: PredictionTable, tmp_path: Path) -> None:
    for options in (_asked(table), EvaluationOptions()):
        evaluation = evaluate(table, POINTS[0], options=options, **SEED)
        path = evaluation.save(tmp_path / "evaluation.json")
        values = json.loads(path.read_text("utf-8"), parse_constant=pytest.fail)
        assert values["schema"] == 3
        loaded = Evaluation.load(path)
        assert loaded.evidence is not None
        assert loaded.to_json() == evaluation.to_json()
    assert list(values["evidence"]) == [field.name for field in fields(Evidence)]
    assert evaluate(table, 0.5, n_resamples=5).evidence is None


def test_the_record_is_read_field_by_field(evidence: Evidence) -> None:
    """NaN aside, what is read back equals what was written, tuples and all, not only its text."""
    again = Evidence.from_dict(json.loads(json.dumps(evidence.to_dict(), allow_nan=False)))
    assert again.points[1].point == POINTS[1]
    assert again.conformal is not None
    assert evidence.conformal is not None
    assert again.conformal.rule == RULE
    assert again.conformal.counts == evidence.conformal.counts
    assert again.contradictions == evidence.contradictions
    assert again.triage is not None
    assert again.triage.shifts == ROOM.shifts
    np.testing.assert_array_equal(again.decision_curve.net_benefit, evidence.decision_curve.net_benefit)


@pytest.mark.parametrize("table", [_table(0), _table(1), replace(_table(), label=np.zeros(200, dtype=int))])
def test_too_little_gives_reasons_that_can_be_written(table: PredictionTable) -> None:
    evaluation = evaluate(table, POINTS[0], options=EvaluationOptions(POINTS, conformal=RULE), **SEED)
    assert evaluation.evidence is not None
    assert np.isnan(evaluation.evidence.auc_delong.value)
    assert evaluation.evidence.auc_delong.reason
    assert Evaluation.from_json(evaluation.to_json()).to_json() == evaluation.to_json()


def test_without_points_the_one_that_decides_is_judged(table: PredictionTable) -> None:
    evaluation = evaluate(table, 0.4, options=EvaluationOptions(), **SEED)
    assert evaluation.evidence is not None
    (point,) = evaluation.evidence.points
    assert point.point == evaluation.operating_point
    assert point.confusion == evaluation.confusion


def test_what_cannot_be_answered_is_refused(table: PredictionTable) -> None:
    for prevalence in (0.0, 1.0, float("nan")):
        with pytest.raises(UsageError, match="lies not between 0 and 1"):
            EvaluationOptions(prevalence=prevalence)
    with pytest.raises(TableError, match="share a name"):
        gather(table, EvaluationOptions((POINTS[0], POINTS[0])), **SEED)
    with pytest.raises(DataError, match="none of the 1 image of the second reading"):
        gather(table, EvaluationOptions(POINTS, second={"x.png": 1}), **SEED)
    with pytest.raises(TableError, match=r"^model rival: 1 of this model"):
        gather(table, EvaluationOptions(POINTS, others={"rival": _table(199)}), **SEED)


@pytest.mark.parametrize("label", [0, 1])
def test_a_worklist_that_cannot_be_drawn_is_refused_before_any_resampling(
    table: PredictionTable, label: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def heavy(*_: Any, **__: Any) -> None:
        pytest.fail("resampled before it refused")

    monkeypatch.setattr("cxreader.evaluation.statistics.intervals.bootstrap_weights", heavy)
    one_class = replace(table, label=np.full(len(table), label))
    options = EvaluationOptions(POINTS, prevalence=0.1, room=ROOM)
    with pytest.raises(DataError, match="lack a class to draw from"):
        gather(one_class, options, **SEED)
    with pytest.raises(DataError, match="lack a class to draw from"):
        evaluate(one_class, POINTS[0], options=options, **SEED)
