"""No row holds a decision beside another one of the conformal rule, whatever the thresholds; of one model and of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxreader.evaluation.decisions.conformal import ConformalRule, contradicting
from cxreader.evaluation.evaluate import evaluate
from cxreader.evaluation.evidence import EvaluationOptions
from cxreader.inference.batch.table import answer_of
from cxreader.inference.combine import combine
from cxreader.inference.decide import decided
from cxreader.inference.triage import ALARM, urgency
from cxreader.records import OperatingPoint, PredictionTable, Reading

SHARE = st.floats(0, 1)
NAMES: tuple[Literal["normal"], Literal["abnormal"]] = ("normal", "abnormal")


def _by_hand(p: float, threshold: float, abnormal_from: float, normal_to: float) -> str:
    """The label of the threshold, or refer where exactly the other one is possible."""
    by_threshold = "abnormal" if p >= threshold else "normal"
    possible = {name for name, can in (("normal", p <= normal_to), ("abnormal", p >= abnormal_from)) if can}
    return "refer" if len(possible) == 1 and by_threshold not in possible else by_threshold


def _reading(p: float, point: OperatingPoint, rule: ConformalRule, name: str = "m") -> Reading:
    conformal = str(rule.predict(np.array([p]))[0])
    return decided(Reading("a.png", name, point, probability=p, conformal=conformal, acceptance="accepted"))  # type: ignore[arg-type]


def _agrees(reading: Reading) -> None:
    row = answer_of(reading)
    assert (row["decision"], row["conformal"]) not in (("abnormal", "normal"), ("normal", "abnormal"))
    if row["decision"] == "refer":
        assert row["reasons"]
        assert row["reason_of_rank"].startswith("referred: ")
        assert urgency(reading).step == ALARM
    else:
        assert row["decision"] == ("abnormal" if row["probability"] >= row["threshold"] else "normal")


@given(SHARE, SHARE, SHARE, SHARE)
def test_threshold_and_conformal_rule_that_differ_refer(
    p: float, threshold: float, abnormal_from: float, normal_to: float
) -> None:
    point, rule = OperatingPoint.given(threshold), ConformalRule(0.1, abnormal_from, normal_to, 100, 100)
    reading = _reading(p, point, rule)
    assert reading.decision == _by_hand(p, threshold, abnormal_from, normal_to)
    assert contradicting(rule, np.array([p]), threshold).tolist() == [reading.decision == "refer"]
    _agrees(reading)


@given(st.lists(st.tuples(SHARE, SHARE, SHARE, SHARE), min_size=2, max_size=3), st.floats(0.01, 1))
def test_neither_do_the_rows_of_several(each: Sequence[tuple[float, float, float, float]], bound: float) -> None:
    readings = [
        _reading(p, OperatingPoint.given(t), ConformalRule(0.1, a, n, 100, 100), f"m{k}")
        for k, (p, t, a, n) in enumerate(each)
    ]
    found = combine(readings, OperatingPoint.given(float(np.mean([t for _, t, _, _ in each]))), bound)
    _agrees(found)
    for member in found.members:
        _agrees(member)


def test_the_reason_names_both_and_the_worklist_gives_it() -> None:
    point, rule = OperatingPoint.given(0.25), ConformalRule(0.1, 0.75, 0.5, 100, 100)
    reading = _reading(0.375, point, rule)
    assert reading.reasons == ("the threshold says abnormal, the conformal rule normal",)
    assert urgency(reading).reason == "referred: the threshold says abnormal, the conformal rule normal"
    assert urgency(reading).height == 0.375


def test_a_members_own_contradiction_is_no_reason_of_the_whole() -> None:
    point, rule = OperatingPoint.given(0.25), ConformalRule(0.1, 0.75, 0.5, 100, 100)
    plain = Reading("a.png", "other", point, "abnormal", 0.5, acceptance="accepted")
    found = combine([_reading(0.375, point, rule), plain], point, 0.25)
    assert (found.decision, found.conformal, found.reasons) == ("abnormal", None, ())
    assert found.members[0].decision == "refer"


def test_an_evaluation_counts_them() -> None:
    probability = np.array([0.1, 0.3, 0.4, 0.45, 0.6, 0.9])
    table = PredictionTable(np.array(list("abcdef")), np.array([0, 0, 1, 0, 1, 1], np.int8), probability)
    rule = ConformalRule(0.1, abnormal_from=0.55, normal_to=0.5, n_positive=100, n_negative=100)
    options = EvaluationOptions(conformal=rule)
    found = evaluate(table, OperatingPoint("youden", 0.35, "J", 100, 100), n_resamples=20, options=options)
    (line,) = [warning for warning in found.warnings if "conformal" in warning]
    assert line.startswith("2 of 6 images (1 abnormal, 1 normal) are referred by a reader")
    agreeing = EvaluationOptions(conformal=ConformalRule(0.1, 0.35, 0.3, 100, 100))
    found = evaluate(table, OperatingPoint("youden", 0.35, "J", 100, 100), n_resamples=20, options=agreeing)
    assert not [warning for warning in found.warnings if "conformal" in warning]


@pytest.mark.parametrize("label", NAMES)
def test_a_rule_that_refers_leaves_the_thresholds_answer(label: Literal["normal", "abnormal"]) -> None:
    p = 0.75 if label == "abnormal" else 0.25
    reading = Reading("a.png", "m", OperatingPoint.given(0.5), probability=p, conformal="refer", acceptance="accepted")
    assert decided(reading).decision == label
